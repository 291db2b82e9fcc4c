// Zeal: traces the heap once more, slowly and on its own, and checks that a marking has missed nothing. Shares no code
// with Marker but findObject(): a barrier that forgets, a marking that ends too early or a root left out shows here, at
// the collection where it happens.
#pragma once

#include <unordered_set>
#include <vector>

#include "runtime/heap/allocator.h"
#include "runtime/heap/block_space.h"
#include "runtime/heap/object_model.h"

namespace jvmc::rt {

/// World stopped, a marking complete. Takes the same roots as a Marker.
class ReachabilityCheck {
 public:
  /// `side`: of the mark bits to check.
  ReachabilityCheck(BlockSpace& space, Allocator& allocator, ObjectModel model, int side)
      : space_(space), allocator_(allocator), model_(model), side_(side) {}

  void markPrecise(ObjectRef ref) { reach(ref, kNullRef); }
  /// Follows only marked objects: a word that was left on the stack by a frame of long ago, and lies in a frame again,
  /// may point to an object that was dead when a cycle began.
  void markConservative(uint64_t word);
  /// Aborts with the object and the one that refers to it if one that can be reached is not marked.
  void run();
  size_t objectCount() const { return seen_.size(); }

 private:
  void reach(ObjectRef ref, ObjectRef from);

  struct Reached {
    ObjectRef object, from;
  };
  BlockSpace& space_;
  Allocator& allocator_;
  ObjectModel model_;
  const int side_;
  std::unordered_set<ObjectRef> seen_;
  std::vector<Reached> todo_;
};

}  // namespace jvmc::rt
