// Types of the IR. Interned in a TypeTable, so equal types have equal TypeIds.
//
//   i8 i16            storage types: fields and array elements only (stack type i32)
//   i32 i64 f32 f64   numbers
//   ref(C)            reference to an instance of class or interface C or of a subclass, or null
//   array(T)          reference to an array of T, or null; a subtype of ref(Object); covariant in reference T
//   null              the type of the literal `null`; a subtype of every reference type
#pragma once

#include <deque>
#include <unordered_map>

#include "ir/support/ids.h"

namespace jvmc::ir {

enum class TypeKind : uint8_t { Void, I8, I16, I32, I64, F32, F64, Null, Ref, Array };

struct Type {
  TypeKind kind = TypeKind::Void;
  uint32_t payload = 0;  ///< Ref: ClassId; Array: TypeId of the element

  ClassId classId() const { return ClassId(payload); }
  TypeId element() const { return TypeId(payload); }
  bool isReference() const { return kind >= TypeKind::Null; }
  bool isFloat() const { return kind == TypeKind::F32 || kind == TypeKind::F64; }
  friend bool operator==(const Type&, const Type&) = default;
};

// The primitive types have fixed ids.
inline constexpr TypeId kVoid{0}, kI8{1}, kI16{2}, kI32{3}, kI64{4}, kF32{5}, kF64{6}, kNull{7};

/// Bytes that a field or element of this kind takes in memory.
uint32_t storageBytes(TypeKind kind);

class TypeTable {
 public:
  TypeTable();

  const Type& operator[](TypeId id) const { return types_[id.index()]; }
  size_t size() const { return types_.size(); }
  TypeId ref(ClassId c) { return intern({TypeKind::Ref, c.value}); }
  TypeId array(TypeId element) { return intern({TypeKind::Array, element.value}); }
  /// The id of `type` if it is in the table already.
  TypeId find(const Type& type) const;

 private:
  TypeId intern(Type type);

  std::deque<Type> types_;  // references stay valid while it grows
  std::unordered_map<uint64_t, TypeId> ids_;
};

/// i32 for i8 and i16, else the type itself.
inline TypeId stackType(TypeId storage) {
  return storage == kI8 || storage == kI16 ? kI32 : storage;
}

}  // namespace jvmc::ir
