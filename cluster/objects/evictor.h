// Takes clean copies of other nodes' objects out of memory.
//
//     world stopped      clean copies of some blocks: epochs := invalid
//       until no thread relies on a check from before ("quiet", as for blocks that leave)
//     world stopped      pages that hold nothing but invalid copies go back to the system
//
// Nothing waits for an eviction and nothing revokes it: who needs one of the copies meanwhile fetches it again, and
// then it stays. So what is in use is passed over. A copy that is busy (fetched, flushed) or dirty stays: its twin is
// of no use without it.
#pragma once

#include <set>

#include "cluster/objects/block_mover.h"

namespace jvmc::cluster {

/// One caller at a time.
class Evictor {
 public:
  Evictor(SpaceCore& core, BlockHost& host) : core_(core), host_(host) {}

  /// Gives back at least `bytes` of memory, if that can be found in one turn around all copies. Returns how much.
  /// Caller: a runtime thread, outside accessGuest(). Stops the world at least twice for each 512 KiB, shortly.
  uint64_t evict(uint64_t bytes);
  /// The program is over: an eviction under way gives up. Any thread.
  void stop() { stopped_ = true; }

 private:
  uint64_t evictSome(const std::vector<uint64_t>& blocks);
  bool isCopyBlock(uint64_t block) const;
  void invalidate(const std::vector<uint64_t>& blocks);
  uint64_t giveBack(const std::vector<uint64_t>& blocks);
  void collectPinned(const std::vector<uint64_t>& blocks);
  bool isPinned(ObjectRef object, uint64_t end) const;
  uint64_t endOf(ObjectRef object);

  SpaceCore& core_;
  BlockHost& host_;
  std::atomic<bool> stopped_{false};
  std::set<ObjectRef> pinned_;  ///< busy or dirty
  std::set<uint64_t> held_;     ///< blocks that threads which have awaited memory since may rely on
};

}  // namespace jvmc::cluster
