// One stop-the-world collection, as a list of phases (docs/internals/heap.md):
//
//   clear     marks and line maps of all blocks
//   roots     precise roots, exported objects, statics, then every word of the native stacks
//   mark      all that is reachable
//   sweep     blocks without a live line become free, marks become starts, dead large objects are released
//   return    memory of blocks that stayed free for long
//
// Objects do not move.
#pragma once

#include <functional>
#include <vector>

#include "runtime/gc/marker.h"
#include "runtime/gc/world.h"
#include "runtime/heap/heap.h"

namespace jvmc::rt {

struct CollectionResult {
  uint64_t liveBytes = 0;  ///< live lines and large objects
  uint64_t liveObjects = 0;
};

class Collector {
 public:
  /// `poison`: fills dead memory with a pattern, and checks references while marking.
  Collector(BlockSpace& space, Allocator& allocator, ObjectModel model, World& world, bool poison)
      : space_(space), allocator_(allocator), model_(model), world_(world), poison_(poison) {}

  /// Inside World::stop, with the heap's lock held.
  CollectionResult collect(const std::vector<RootSource>& roots);

 private:
  void clearMarks();
  void markRoots(Marker& marker, const std::vector<RootSource>& roots);
  void markExported(Marker& marker);
  void markStatics(Marker& marker);
  void markStacks(Marker& marker);
  void sweep(CollectionResult& result);
  void sweepSmall(Region& region, uint32_t block, CollectionResult& result);
  void sweepLarge(Region& region, uint32_t block, CollectionResult& result);
  void poisonDead(Region& region, uint32_t block);

  BlockSpace& space_;
  Allocator& allocator_;
  ObjectModel model_;
  World& world_;
  const bool poison_;
  std::vector<uint64_t> recyclable_;  ///< small blocks with holes that this sweep found, ascending
};

}  // namespace jvmc::rt
