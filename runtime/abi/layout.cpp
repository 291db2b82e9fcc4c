// Lays out classes. Superclasses come first, so that an inherited member has one offset and one vtable slot everywhere.
//
//     | header 16 | superclass fields, padded to 8 | own 8-byte fields | own 4 .. pad | own 2 .. pad | own 1 .. pad |
//
// Statics objects have the same form and lie one after another from kStaticsOffset on, in class order. None crosses a
// block, because blocks get new homes one by one; one that is larger than a block has its blocks for itself.
#include "runtime/abi/layout.h"

#include <array>

#include "ir/support/check.h"

namespace jvmc::rt {
namespace {

constexpr uint32_t kWordBytes = 8;
constexpr std::array<uint32_t, 4> kFieldSizes = {8, 4, 2, 1};

uint32_t roundUpToWord(uint32_t bytes) {
  return (bytes + kWordBytes - 1) & ~(kWordBytes - 1);
}

uint8_t log2OfSize(uint32_t bytes) {
  uint8_t log2 = 0;
  while (1u << log2 < bytes) ++log2;
  return log2;
}

/// Places `declared` from `offset` (a multiple of 8) on, one field size after the other. Returns the end, a multiple
/// of 8.
uint32_t placeFields(const ir::Module& module, const std::vector<ir::FieldDecl>& declared, uint32_t offset,
                     std::vector<FieldLayout>& fields, std::vector<uint32_t>& refOffsets,
                     std::vector<uint8_t>& wordGranularity) {
  fields.resize(declared.size());
  for (uint32_t size : kFieldSizes) {
    uint32_t begin = offset;
    for (size_t i = 0; i < declared.size(); ++i) {
      const ir::Type& type = module.types[declared[i].type];
      if (ir::storageBytes(type.kind) != size) continue;
      fields[i] = {offset, type.kind};
      if (type.isReference()) refOffsets.push_back(offset);
      offset += size;
    }
    offset = roundUpToWord(offset);
    wordGranularity.insert(wordGranularity.end(), (offset - begin) / kWordBytes, log2OfSize(size));
  }
  return offset;
}

uint32_t methodIndex(const ir::ClassDecl& decl, const std::string& name) {
  for (uint32_t i = 0; i < decl.methods.size(); ++i)
    if (decl.methods[i].name == name) return i;
  return ir::ClassId::kNone;
}

/// Collects the interfaces of `c` and of its superclasses that declare method `name`.
void collectDeclaring(const ir::Module& module, ir::ClassId c, const std::string& name,
                      std::vector<ir::ClassId>& declaring) {
  const ir::ClassDecl& decl = module[c];
  if (decl.isInterface && methodIndex(decl, name) != ir::ClassId::kNone) declaring.push_back(c);
  for (ir::ClassId i : decl.interfaces) collectDeclaring(module, i, name, declaring);
  if (decl.super.valid()) collectDeclaring(module, decl.super, name, declaring);
}

/// The default implementation that `c` inherits: the only one that is neither abstract nor overridden in a
/// subinterface.
ir::FunctionId resolveDefault(const ir::Module& module, ir::ClassId c, const std::string& name) {
  std::vector<ir::ClassId> declaring;
  collectDeclaring(module, c, name, declaring);
  ir::FunctionId found;
  for (ir::ClassId candidate : declaring) {
    bool overridden = false;
    for (ir::ClassId other : declaring) overridden |= other != candidate && module.isSubclass(other, candidate);
    ir::FunctionId implementation = module[candidate].methods[methodIndex(module[candidate], name)].implementation;
    if (overridden || !implementation.valid() || implementation == found) continue;
    if (found.valid()) return {};  // two unrelated defaults: neither is chosen, as in Java
    found = implementation;
  }
  return found;
}

/// `address`, or the beginning of the next block.
ObjectRef nextBlock(ObjectRef address) {
  return (address + kBlockBytes - 1) & ~ObjectRef(kBlockBytes - 1);
}

}  // namespace

ModuleLayout::ModuleLayout(const ir::Module& module, const AddressPlan& plan)
    : module_(module),
      plan_(plan),
      classCount_(uint32_t(module.classes.size())),
      typeCount_(uint32_t(module.types.size())),
      classes_(classCount_),
      done_(classCount_),
      methodNumber_(classCount_) {
  JVMC_CHECK(indexCount() <= kClassMask, indexCount());
  uint32_t nextSelector = 0;
  ObjectRef statics = plan_.base + kStaticsOffset;
  for (uint32_t i = 0; i < classCount_; ++i) {
    ir::ClassId c(i);
    layOut(c);
    const uint32_t bytes = classes_[i].staticsBytes;
    if (bytes > kBlockBytes - statics % kBlockBytes) statics = nextBlock(statics);
    classes_[i].staticsAddress = statics;
    statics = bytes > kBlockBytes ? nextBlock(statics + bytes) : statics + bytes;
    if (!module_[c].isInterface) continue;
    for (size_t m = 0; m < module_[c].methods.size(); ++m) methodNumber_[i].push_back(nextSelector++);
  }
  staticsEnd_ = statics;
  JVMC_CHECK(staticsEnd_ <= plan_.regionBase(1), staticsEnd_);
}

void ModuleLayout::layOut(ir::ClassId c) {
  if (done_[c.index()]) return;
  done_[c.index()] = true;
  const ir::ClassDecl& decl = module_[c];
  ClassLayout& layout = classes_[c.index()];
  if (decl.super.valid()) {
    layOut(decl.super);
    const ClassLayout& super = classes_[decl.super.index()];
    layout.instanceBytes = super.instanceBytes;
    layout.refOffsets = super.refOffsets;
    layout.wordGranularity = super.wordGranularity;
    layout.vtable = super.vtable;
  }
  layout.instanceBytes =
      placeFields(module_, decl.fields, layout.instanceBytes, layout.fields, layout.refOffsets, layout.wordGranularity);
  layout.staticsBytes = placeFields(module_, decl.statics, kHeaderBytes, layout.statics, layout.staticsRefOffsets,
                                    layout.staticsWordGranularity);
  if (decl.isInterface) return;
  std::vector<uint32_t>& numbers = methodNumber_[c.index()];
  for (const ir::MethodDecl& method : decl.methods) {
    uint32_t slot = uint32_t(layout.vtable.size());
    for (ir::ClassId s = decl.super; s.valid(); s = module_[s].super) {
      uint32_t overridden = methodIndex(module_[s], method.name);
      if (overridden == ir::ClassId::kNone) continue;
      slot = methodNumber_[s.index()][overridden];
      break;
    }
    if (slot == layout.vtable.size()) layout.vtable.emplace_back();
    layout.vtable[slot] = method.implementation;
    numbers.push_back(slot);
  }
}

ClassIndex ModuleLayout::arrayIndexOfElement(ir::TypeId element) const {
  ir::TypeId type = module_.types.find({ir::TypeKind::Array, element.value});
  JVMC_CHECK(type.valid() && type.value < typeCount_, element.value);
  return arrayIndex(type);
}

uint32_t ModuleLayout::vtableSlot(const ir::SymbolRef& method) const {
  JVMC_CHECK(!module_[method.owner].isInterface, module_[method.owner].name);
  return methodNumber_[method.owner.index()][method.member];
}

uint32_t ModuleLayout::selector(const ir::SymbolRef& method) const {
  JVMC_CHECK(module_[method.owner].isInterface, module_[method.owner].name);
  return methodNumber_[method.owner.index()][method.member];
}

ir::FunctionId ModuleLayout::resolve(ir::ClassId c, const ir::SymbolRef& method) const {
  if (!module_[method.owner].isInterface) return classes_[c.index()].vtable[vtableSlot(method)];
  // A class's own or inherited method wins over any interface's default, even if it is abstract.
  const std::string& name = module_.method(method).name;
  for (ir::ClassId s = c; s.valid() && !module_[s].isInterface; s = module_[s].super)
    if (uint32_t i = methodIndex(module_[s], name); i != ir::ClassId::kNone)
      return module_[s].methods[i].implementation;
  return resolveDefault(module_, c, name);
}

bool ModuleLayout::needsInit(ir::ClassId c) const {
  for (; c.valid(); c = module_[c].super)
    if (module_[c].initializer.valid()) return true;
  return false;
}

}  // namespace jvmc::rt
