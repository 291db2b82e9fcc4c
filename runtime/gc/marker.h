// Finds live objects. A reference waits in two places before its object is looked at: a stack (depth first) and a short
// queue of prefetched ones, so that header and mark word have arrived in the cache when their turn comes (Cher,
// Hosking, Vitek: Software prefetching for mark-sweep garbage collection).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/heap/allocator.h"
#include "runtime/heap/block_space.h"
#include "runtime/heap/object_model.h"

namespace jvmc::rt {

class Marker {
 public:
  /// `checked` (zeal): verify that every reference leads to an object; all start bits must have been published.
  Marker(BlockSpace& space, Allocator& allocator, ObjectModel model, bool checked)
      : space_(space),
        allocator_(allocator),
        model_(model),
        checked_(checked),
        regionBytes_(uint64_t(1) << space.plan().regionShift) {}

  /// A reference that must be null, foreign, or the start of an object.
  void markPrecise(ObjectRef ref);
  /// Any word of a native stack: marks the object it points to, into, or right behind.
  void markConservative(uint64_t word);
  /// Marks all that is reachable from what was given so far.
  void drain();

  uint64_t objectCount() const { return objects_; }

 private:
  static constexpr size_t kPrefetched = 16;

  /// space_.regionOf(), quick for an address in the same region as the last one.
  Region* regionOf(uint64_t address) {
    if (address - lastBase_ < regionBytes_) [[likely]]
      return lastRegion_;
    return regionOfSlowly(address);
  }
  Region* regionOfSlowly(uint64_t address);
  void markContaining(uint64_t address);
  void visit(ObjectRef ref);
  void markLines(Region& region, ObjectRef ref, uint64_t bytes);

  BlockSpace& space_;
  Allocator& allocator_;
  ObjectModel model_;
  const bool checked_;
  std::vector<ObjectRef> stack_;
  std::array<ObjectRef, kPrefetched> queue_{};
  uint64_t objects_ = 0;
  const uint64_t regionBytes_;
  Region* lastRegion_ = nullptr;
  uint64_t lastBase_ = ~uint64_t(0);  // matches small numbers only, which lie in no region
};

/// The object of `region` that contains `address` by its start bits, or null.
ObjectRef findObject(Region& region, const ObjectModel& model, uint64_t address);

}  // namespace jvmc::rt
