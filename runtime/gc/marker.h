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
      : space_(space), allocator_(allocator), model_(model), checked_(checked) {}

  /// A reference that must be null, foreign, or the start of an object.
  void markPrecise(ObjectRef ref);
  /// Any word of a native stack: marks the object it points to, into, or right behind.
  void markConservative(uint64_t word);
  /// Marks all that is reachable from what was given so far.
  void drain();

  uint64_t objectCount() const { return objects_; }

 private:
  static constexpr size_t kPrefetched = 16;

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
};

/// The object of `region` that contains `address` by its start bits, or null.
ObjectRef findObject(Region& region, const ObjectModel& model, uint64_t address);

}  // namespace jvmc::rt
