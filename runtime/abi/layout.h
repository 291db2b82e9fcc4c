// Layouts of a module's classes: a pure function of the module, so every node computes the same one.
//
// Runtime class indexes (the 24 bits of the header) number everything an object can be:
//     [0, C)                 the module's classes, by ClassId
//     [C, C + T)             arrays: C + TypeId of the array type
//     [C + T, C + T + C)     statics objects: one for each class, also its lock and mirror
// where C = classes and T = types of the *sealed* module (the stored type table holds every type a program uses).
//
// Instance fields: superclass fields first, at the same offsets; then own fields by descending size, so that each
// 8-byte word holds fields of one size only (the granularity of diffs).
#pragma once

#include <cstdint>
#include <vector>

#include "ir/module.h"
#include "runtime/abi/address_plan.h"

namespace jvmc::rt {

using ClassIndex = uint32_t;

struct FieldLayout {
  uint32_t offset;  ///< from the object's address
  ir::TypeKind kind;
};

struct ClassLayout {
  uint32_t instanceBytes = kHeaderBytes;  ///< header included, a multiple of 8
  std::vector<FieldLayout> fields;        ///< by index in ClassDecl::fields (own ones only)
  std::vector<FieldLayout> statics;       ///< by index in ClassDecl::statics, offsets in the statics object
  uint32_t staticsBytes = kHeaderBytes;
  ObjectRef staticsAddress = kNullRef;
  std::vector<uint32_t> refOffsets;  ///< every reference field, inherited ones included, ascending
  std::vector<uint32_t> staticsRefOffsets;
  std::vector<uint8_t> wordGranularity;  ///< of each 8-byte word after the header: log2 of its fields' size
  std::vector<uint8_t> staticsWordGranularity;
  std::vector<ir::FunctionId> vtable;  ///< by slot; invalid: abstract
};

class ModuleLayout {
 public:
  ModuleLayout(const ir::Module& module, const AddressPlan& plan);

  const ir::Module& module() const { return module_; }
  const AddressPlan& plan() const { return plan_; }
  const ClassLayout& operator[](ir::ClassId c) const { return classes_[c.index()]; }
  const FieldLayout& field(const ir::SymbolRef& s) const { return classes_[s.owner.index()].fields[s.member]; }
  const FieldLayout& staticField(const ir::SymbolRef& s) const { return classes_[s.owner.index()].statics[s.member]; }

  ClassIndex classIndex(ir::ClassId c) const { return c.value; }
  ClassIndex arrayIndex(ir::TypeId arrayType) const { return classCount_ + arrayType.value; }
  /// Array type of these elements; must be in the module's type table.
  ClassIndex arrayIndexOfElement(ir::TypeId element) const;
  ClassIndex staticsIndex(ir::ClassId c) const { return classCount_ + typeCount_ + c.value; }
  uint32_t indexCount() const { return 2 * classCount_ + typeCount_; }
  bool isClass(ClassIndex i) const { return i < classCount_; }
  bool isArray(ClassIndex i) const { return i >= classCount_ && i < classCount_ + typeCount_; }
  bool isStatics(ClassIndex i) const { return i >= classCount_ + typeCount_; }
  ir::TypeId arrayType(ClassIndex i) const { return ir::TypeId(i - classCount_); }
  ir::ClassId staticsClass(ClassIndex i) const { return ir::ClassId(i - classCount_ - typeCount_); }

  /// Slot of a class's virtual method in the vtables of the class and its subclasses.
  uint32_t vtableSlot(const ir::SymbolRef& method) const;
  /// Number of an interface method, unique in the module: what itables are searched by.
  uint32_t selector(const ir::SymbolRef& method) const;
  /// What `call_virtual`/`call_interface method` runs on an object of class `c`; invalid: AbstractMethodError.
  ir::FunctionId resolve(ir::ClassId c, const ir::SymbolRef& method) const;
  ObjectRef staticsBegin() const { return plan_.base + kStaticsOffset; }
  /// First byte after the statics objects.
  ObjectRef staticsEnd() const { return staticsEnd_; }
  /// `address` lies in a block of statics objects.
  bool isInStaticsBlock(ObjectRef address) const {
    return address >= staticsBegin() && address < ((staticsEnd_ + kBlockBytes - 1) & ~ObjectRef(kBlockBytes - 1));
  }
  /// The class or one of its superclasses has an initialiser: Init instructions on it may run code.
  bool needsInit(ir::ClassId c) const;

 private:
  void layOut(ir::ClassId c);
  const ir::Module& module_;
  AddressPlan plan_;
  uint32_t classCount_, typeCount_;
  std::vector<ClassLayout> classes_;
  std::vector<uint8_t> done_;
  std::vector<std::vector<uint32_t>> methodNumber_;  // by class and method index: vtable slot or selector
  ObjectRef staticsEnd_ = 0;
};

/// Bytes of an array of `length` elements of `kind`, header included, a multiple of 8.
inline uint64_t arrayBytes(ir::TypeKind kind, uint32_t length) {
  return (kArrayElementsOffset + uint64_t(length) * ir::storageBytes(kind) + 7) & ~uint64_t(7);
}

}  // namespace jvmc::rt
