#include "cluster/objects/object_shape.h"

#include <algorithm>

namespace jvmc::cluster {

bool ObjectShape::isReference(uint64_t offset) const {
  if (forced_ != kAsClassSays) return false;
  if (isArray()) return info_.shape == rt::ObjectShape::ReferenceArray;
  const uint32_t* last = info_.refOffsets + info_.refCount;
  return std::binary_search(info_.refOffsets, last, uint32_t(offset));
}

}  // namespace jvmc::cluster
