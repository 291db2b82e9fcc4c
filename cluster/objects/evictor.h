// Takes clean copies of other nodes' objects out of memory: the world stops, the clean copies of some blocks become
// invalid, and pages that hold nothing else go back to the system.
//
// A copy that some thread may rely on stays (BlockHost::heldBlocks), and so does one that is busy (fetched, flushed) or
// dirty: its twin is of no use without it. Who needs one of the others fetches it again.
#pragma once

#include <set>

#include "cluster/objects/block_host.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// One caller at a time.
class Evictor {
 public:
  Evictor(SpaceCore& core, BlockHost& host) : core_(core), host_(host) {}

  /// Gives back at least `bytes` of memory, if that can be found in one turn around all copies. Returns how much.
  /// Caller: a runtime thread, outside accessGuest(). Stops the world for each 512 KiB, shortly.
  uint64_t evict(uint64_t bytes);
  /// The copies of the block that `drop` names become invalid, but for those that are busy or dirty: true if there is
  /// none of these. World stopped.
  bool dropCopies(uint64_t block, const std::function<bool(ObjectRef)>& drop);
  /// The program is over: an eviction under way gives up. Any thread.
  void stop() { stopped_ = true; }

 private:
  uint64_t evictSome(const std::vector<uint64_t>& blocks);
  bool isCopyBlock(uint64_t block) const;
  uint64_t evictBlock(uint64_t block, const std::function<bool(const CopyUnit& unit)>& stays);
  void collectPinned(const std::vector<uint64_t>& blocks);
  bool isPinned(const CopyUnit& unit);
  uint64_t endOf(const CopyUnit& unit);

  SpaceCore& core_;
  BlockHost& host_;
  std::atomic<bool> stopped_{false};
  std::set<CopyUnit> pinned_;  ///< busy or dirty
  std::set<uint64_t> held_;    ///< blocks that threads may rely on
};

}  // namespace jvmc::cluster
