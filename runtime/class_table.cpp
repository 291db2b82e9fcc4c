// ClassInfo of every class index. Built once, before any guest code runs; only initEpoch changes later.
//
// Interface tables are perfect hashes: a class's table is the smallest power of two at which `selector & mask`
// separates the selectors of all its interface methods. Selectors of one interface are consecutive, so a class with one
// interface has a table of that interface's size. Empty places hold the abstract cell, so that any selector may be
// looked up.
#include "runtime/class_table.h"

#include <algorithm>
#include <unordered_set>

#include "ir/support/check.h"

namespace jvmc::rt {
namespace {

uint8_t log2OfSize(uint32_t bytes) {
  uint8_t log2 = 0;
  while (1u << log2 < bytes) ++log2;
  return log2;
}

void setSuper(ClassInfo& info, const ClassInfo* super) {
  info.super = super;
  info.superDepth = super ? uint16_t(super->superDepth + 1) : 0;
  if (super) std::copy(std::begin(super->display), std::end(super->display), std::begin(info.display));
  if (info.superDepth < kDisplayDepth) info.display[info.superDepth] = &info;
}

/// Every interface that `c` implements, each once.
void collectInterfaces(const ir::Module& module, ir::ClassId c, std::vector<ir::ClassId>& out) {
  for (ir::ClassId s = c; s.valid(); s = module[s].super) {
    for (ir::ClassId i : module[s].interfaces) {
      if (std::find(out.begin(), out.end(), i) != out.end()) continue;
      out.push_back(i);
      collectInterfaces(module, i, out);
    }
  }
}

uint32_t collisionFreeMask(const std::vector<uint32_t>& selectors) {
  std::unordered_set<uint32_t> taken;
  for (uint32_t mask = 0;; mask = mask * 2 + 1) {
    if (selectors.size() > size_t(mask) + 1) continue;
    taken.clear();
    if (std::all_of(selectors.begin(), selectors.end(), [&](uint32_t s) { return taken.insert(s & mask).second; }))
      return mask;
  }
}

}  // namespace

/// Fills the table; its state is only needed while building.
class ClassTable::Builder {
 public:
  Builder(ClassTable& table, const ModuleLayout& layout)
      : table_(table), layout_(layout), module_(layout.module()), built_(module_.classes.size()) {}

  void build() {
    for (uint32_t i = 0; i < module_.classes.size(); ++i) buildClass(ir::ClassId(i));
    for (uint32_t i = 0; i < module_.types.size(); ++i) buildArray(ir::TypeId(i));
    for (uint32_t i = 0; i < module_.classes.size(); ++i) buildStatics(ir::ClassId(i));
  }

 private:
  void buildClass(ir::ClassId c) {
    if (built_[c.index()]) return;
    built_[c.index()] = true;
    const ir::ClassDecl& decl = module_[c];
    const ClassLayout& layout = layout_[c];
    ClassInfo& info = table_.info(layout_.classIndex(c));
    if (decl.super.valid()) buildClass(decl.super);
    setSuper(info, decl.super.valid() ? &table_[layout_.classIndex(decl.super)] : nullptr);
    info.initEpoch.store(layout_.needsInit(c) ? kNotInitialised : 0, std::memory_order_relaxed);
    info.instanceBytes = layout.instanceBytes;
    info.statics = layout.staticsAddress;
    info.refOffsets = layout.refOffsets.data();
    info.refCount = uint32_t(layout.refOffsets.size());
    info.wordGranularity = layout.wordGranularity.data();
    setInterfaces(info, c);
    info.vtable = newTable(layout.vtable.size());
    for (size_t i = 0; i < layout.vtable.size(); ++i) lastTable()[i] = cellOf(layout.vtable[i]);
    setItable(info, c);
  }

  void buildArray(ir::TypeId t) {
    const ir::Type& type = module_.types[t];
    if (type.kind != ir::TypeKind::Array) return;  // no object has this index; the entry stays empty
    ClassInfo& info = table_.info(layout_.arrayIndex(t));
    const ir::Type& element = module_.types[type.element()];
    likeObject(info);
    info.instanceBytes = kArrayElementsOffset;
    info.elementShift = log2OfSize(ir::storageBytes(element.kind));
    info.shape = element.isReference() ? ObjectShape::ReferenceArray : ObjectShape::PrimitiveArray;
    if (element.kind == ir::TypeKind::Ref) info.element = &table_[layout_.classIndex(element.classId())];
    if (element.kind == ir::TypeKind::Array) info.element = &table_[layout_.arrayIndex(type.element())];
  }

  void buildStatics(ir::ClassId c) {
    const ClassLayout& layout = layout_[c];
    ClassInfo& info = table_.info(layout_.staticsIndex(c));
    likeObject(info);
    info.instanceBytes = layout.staticsBytes;
    info.refOffsets = layout.staticsRefOffsets.data();
    info.refCount = uint32_t(layout.staticsRefOffsets.size());
    info.wordGranularity = layout.staticsWordGranularity.data();
  }

  /// Arrays and statics objects are direct subclasses of Object without methods of their own.
  void likeObject(ClassInfo& info) {
    const ClassInfo& object = table_[layout_.classIndex(ir::builtin::kObject)];
    setSuper(info, &object);
    info.initEpoch.store(0, std::memory_order_relaxed);
    info.vtable = object.vtable;
    info.itable = object.itable;
    info.itableMask = object.itableMask;
  }

  void setInterfaces(ClassInfo& info, ir::ClassId c) {
    std::vector<ir::ClassId> ids;
    collectInterfaces(module_, c, ids);
    std::vector<const ClassInfo*>& list = table_.interfaceLists_.emplace_back();
    for (ir::ClassId i : ids) list.push_back(&table_[layout_.classIndex(i)]);
    info.interfaces = list.data();  // moving the outer vector keeps the inner one's buffer
    info.interfaceCount = uint32_t(list.size());
  }

  void setItable(ClassInfo& info, ir::ClassId c) {
    std::vector<ir::SymbolRef> methods;
    if (!module_[c].isInterface) {  // an interface has no instances
      for (uint32_t i = 0; i < info.interfaceCount; ++i) {
        ir::ClassId owner(info.interfaces[i]->index);
        for (uint32_t m = 0; m < module_[owner].methods.size(); ++m) methods.push_back({{}, owner, m});
      }
    }
    std::vector<uint32_t> selectors;
    for (const ir::SymbolRef& m : methods) selectors.push_back(layout_.selector(m));
    info.itableMask = collisionFreeMask(selectors);
    info.itable = newTable(size_t(info.itableMask) + 1);
    for (size_t i = 0; i < methods.size(); ++i)
      lastTable()[selectors[i] & info.itableMask] = cellOf(layout_.resolve(c, methods[i]));
  }

  FunctionCell** newTable(size_t entries) {
    table_.tables_.push_back(std::make_unique<FunctionCell*[]>(entries));
    std::fill_n(lastTable(), entries, table_.abstractCell());
    return lastTable();
  }
  FunctionCell** lastTable() { return table_.tables_.back().get(); }
  FunctionCell* cellOf(ir::FunctionId f) { return f.valid() ? &table_.cells_[f.index()] : table_.abstractCell(); }

  ClassTable& table_;
  const ModuleLayout& layout_;
  const ir::Module& module_;
  std::vector<bool> built_;
};

ClassTable::ClassTable(const ModuleLayout& layout) {
  cellCount_ = layout.module().functions.size() + 1;
  cells_ = std::make_unique<FunctionCell[]>(cellCount_);
  for (size_t i = 0; i + 1 < cellCount_; ++i) cells_[i].function = uint32_t(i);
  abstractCell()->function = ir::FunctionId::kNone;
  for (uint32_t i = 0; i < layout.indexCount(); ++i) {
    owned_.push_back(std::make_unique<ClassInfo>());
    owned_.back()->index = i;
    pointers_.push_back(owned_.back().get());
  }
  Builder(*this, layout).build();
}

ClassTable::~ClassTable() = default;

bool isInstance(const ClassInfo& object, const ClassInfo& target) {
  if (&object == &target) return true;
  if (target.superDepth < kDisplayDepth) {
    if (object.display[target.superDepth] == &target) return true;
  } else {
    for (const ClassInfo* s = object.super; s && s->superDepth >= target.superDepth; s = s->super)
      if (s == &target) return true;
  }
  if (object.shape == ObjectShape::ReferenceArray && target.shape == ObjectShape::ReferenceArray)
    return isInstance(*object.element, *target.element);
  for (uint32_t i = 0; i < object.interfaceCount; ++i)
    if (object.interfaces[i] == &target) return true;
  return false;
}

}  // namespace jvmc::rt
