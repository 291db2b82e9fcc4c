// Gives back what a marking has left unmarked.
//
// After a full marking every block in use waits to be swept. That may go on while the program runs: each call does a
// few blocks, under the heap's lock. A block that waits is not allocated in, since its holes are not known yet; one
// taken meanwhile carries the sweep's number and is passed over.
#pragma once

#include "runtime/heap/allocator.h"
#include "runtime/heap/block_space.h"
#include "runtime/heap/object_model.h"

namespace jvmc::rt {

/// Not thread-safe: the heap's lock guards it.
class Sweeper {
 public:
  /// `poison` (zeal): fills dead objects with a pattern.
  Sweeper(BlockSpace& space, Allocator& allocator, ObjectModel model, bool poison)
      : space_(space), allocator_(allocator), model_(model), poison_(poison) {}

  /// World stopped, after a young marking and before Allocator::endCollection: young blocks without a live line become
  /// free, the others' holes known; dead large objects are released. `newLines`: what the marking has added.
  void sweepYoung(uint64_t newLines);
  /// Hands the holes that sweepYoung() found to the allocator, after Allocator::endCollection.
  void publishHoles();
  /// World stopped. Fills a dead object; does nothing unless this is zeal.
  void poison(ObjectRef ref) {
    if (poison_) poisonObject(ref);
  }
  /// The same for young objects that are not marked on `side`.
  void poisonYoung(int side);
  /// World stopped, nothing waits to be swept: the memory of a large object that others have found dead is free.
  void releaseLarge(Region& region, uint32_t block);

  /// World stopped, after BlockSpace::changeSides: all blocks wait.
  void begin();
  /// Sweeps up to `blocks` of them. True: none waits any more, and none did or memory was returned to the system.
  bool sweep(uint32_t blocks);
  bool isDone() const { return regionIndex_ == kDone; }

  /// The blocks are about to get another home, or have come from one with their lines marked.
  void blocksLeave(const Region& region, uint32_t first);
  void blocksHaveCome(const Region& region, uint32_t first);

  /// Bytes of live lines and large objects, as far as they are known.
  uint64_t liveBytes() const { return (liveLines_ << kLineShift) + (liveLargeBlocks_ << kBlockShift); }

 private:
  static constexpr size_t kDone = ~size_t(0);

  void sweepBlock(Region& region, uint32_t block);
  void sweepSmall(Region& region, uint32_t block);
  void sweepLarge(Region& region, uint32_t block);
  void poisonObject(ObjectRef ref);

  BlockSpace& space_;
  Allocator& allocator_;
  ObjectModel model_;
  const bool poison_;
  size_t regionIndex_ = kDone;  // where sweep() goes on
  uint32_t block_ = 0;
  std::vector<uint64_t> holes_;  // young blocks with holes
  uint64_t liveLines_ = 0, liveLargeBlocks_ = 0;
};

}  // namespace jvmc::rt
