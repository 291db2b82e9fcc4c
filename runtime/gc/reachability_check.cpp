#include "runtime/gc/reachability_check.h"

#include "runtime/gc/marker.h"

namespace jvmc::rt {

void ReachabilityCheck::markConservative(uint64_t word) {
  for (uint64_t address : {word, word - 1}) {
    Region* region = space_.regionOf(address);
    ObjectRef object = region ? findObject(space_, allocator_, model_, *region, address) : kNullRef;
    if (object && region->isMarked(side_, object)) reach(object, kNullRef);
  }
}

void ReachabilityCheck::reach(ObjectRef ref, ObjectRef from) {
  if (space_.homeRegionOf(ref) && seen_.insert(ref).second) todo_.push_back({ref, from});
}

void ReachabilityCheck::run() {
  while (!todo_.empty()) {
    auto [object, from] = todo_.back();
    todo_.pop_back();
    JVMC_CHECK(space_.regionOf(object)->isMarked(side_, object), "the collector has missed an object", object, from);
    JVMC_CHECK(ObjectModel::isFlaggedOld(object), "stores into an old object go without a barrier", object);
    ObjectModel::forEachReference(model_.classOf(object), object, [&](ObjectRef target) { reach(target, object); });
  }
}

}  // namespace jvmc::rt
