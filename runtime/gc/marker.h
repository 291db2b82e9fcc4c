// Finds live objects. A reference waits in two places before its object is looked at: a stack (depth first) and a short
// queue of prefetched ones, so that header and mark word have arrived in the cache when their turn comes (Cher,
// Hosking, Vitek: Software prefetching for mark-sweep garbage collection). Long reference arrays are looked at a piece
// at a time, so that a marker can stop soon at any moment.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/heap/allocator.h"
#include "runtime/heap/block_space.h"
#include "runtime/heap/object_model.h"

namespace jvmc::rt {

class Trace;

/// Which objects a marker marks, and where (region.h has the sides).
enum class MarkScope : uint8_t {
  Young,         ///< those not old yet become old
  YoungInCycle,  ///< the same while another marker is at Old: they count as marked for it
  Old,           ///< old ones, on the new side. Others may be in use by mutators: their bits are on neither side
  All,           ///< old or young, on the new side
};

class Marker {
 public:
  /// `checked` (zeal): verify that every reference leads to an object. Not for scope Old. `trace`: of a cluster-wide
  /// collection under way, for which young objects that survive are black; or null.
  Marker(BlockSpace& space, Allocator& allocator, ObjectModel model, MarkScope scope, bool checked = false,
         Trace* trace = nullptr);

  /// A reference that must be null, foreign, or the start of an object.
  void markPrecise(ObjectRef ref);
  /// Any word of a native stack: marks the object it points to, into, or right behind. While collecting.
  void markConservative(uint64_t word);
  /// From now on all that the two functions above find is also put here, marked before or not; null ends it.
  void copyTo(std::vector<ObjectRef>* found) { copy_ = found; }

  /// Marks what is reachable from what was given so far.
  void drain() { work(~uint64_t(0)); }
  /// The same, for at most about so many objects and array elements. True: there is nothing more to do.
  bool work(uint64_t budget);

  uint64_t objectCount() const { return objects_; }
  /// Lines of small objects that were not marked before; only with the scopes that mark young objects.
  uint64_t lineCount() const { return lines_; }

 private:
  static constexpr size_t kPrefetched = 16;
  static constexpr uint32_t kPieceElements = 512;
  struct ArrayRest {
    ObjectRef array;
    uint32_t next;  ///< element to go on from
  };

  /// space_.regionOf(), quick for an address in the same region as the last one.
  Region* regionOf(uint64_t address) {
    if (address - lastBase_ < regionBytes_) [[likely]]
      return lastRegion_;
    return regionOfSlowly(address);
  }
  Region* regionOfSlowly(uint64_t address);
  void markContaining(uint64_t address);
  void found(ObjectRef ref);
  bool isObject(Region& region, ObjectRef ref);
  /// Sets the bits of the object; false if there is nothing to do.
  bool claim(Region& region, ObjectRef ref);
  /// Returns how many references it has looked at.
  uint64_t visit(ObjectRef ref);
  uint64_t scanElements(ObjectRef array, uint32_t from);
  void push(ObjectRef target);
  void markLines(Region& region, ObjectRef ref, uint64_t bytes);

  BlockSpace& space_;
  Allocator& allocator_;
  ObjectModel model_;
  const MarkScope scope_;
  const bool checked_;
  Trace* const trace_;
  std::vector<ObjectRef>* copy_ = nullptr;
  std::vector<ObjectRef> stack_;
  std::vector<ArrayRest> arrays_;
  std::array<ObjectRef, kPrefetched> queue_{};
  size_t next_ = 0, waiting_ = 0;  // of the queue
  uint64_t objects_ = 0, lines_ = 0;
  const uint64_t regionBytes_;
  Region* lastRegion_ = nullptr;
  uint64_t lastBase_ = ~uint64_t(0);  // matches small numbers only, which lie in no region
};

/// The object that contains `address`: one that is old, or large, or (only while collecting) young. Null if there is
/// none.
ObjectRef findObject(const BlockSpace& space, Allocator& allocator, const ObjectModel& model, Region& region,
                     uint64_t address);

}  // namespace jvmc::rt
