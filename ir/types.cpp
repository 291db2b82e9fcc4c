#include "ir/types.h"

#include "ir/support/check.h"

namespace jvmc::ir {

uint32_t storageBytes(TypeKind kind) {
  switch (kind) {
    case TypeKind::I8:
      return 1;
    case TypeKind::I16:
      return 2;
    case TypeKind::I32:
    case TypeKind::F32:
      return 4;
    case TypeKind::I64:
    case TypeKind::F64:
    case TypeKind::Null:
    case TypeKind::Ref:
    case TypeKind::Array:
      return 8;
    case TypeKind::Void:
      break;
  }
  JVMC_UNREACHABLE("void has no storage");
}

TypeTable::TypeTable() {
  for (auto kind : {TypeKind::Void, TypeKind::I8, TypeKind::I16, TypeKind::I32, TypeKind::I64, TypeKind::F32,
                    TypeKind::F64, TypeKind::Null})
    intern({kind, 0});
}

TypeId TypeTable::find(const Type& type) const {
  auto it = ids_.find(uint64_t(type.kind) << 32 | type.payload);
  return it == ids_.end() ? TypeId() : it->second;
}

TypeId TypeTable::intern(Type type) {
  auto [it, isNew] = ids_.try_emplace(uint64_t(type.kind) << 32 | type.payload, TypeId(uint32_t(types_.size())));
  if (isNew) types_.push_back(type);
  return it->second;
}

}  // namespace jvmc::ir
