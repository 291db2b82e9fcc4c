// Who writes which copy (I3): before its first store to a copy a thread joins the copy's writers, and the copy's
// content is kept as the twin.
#pragma once

#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// Thread-safe.
class Writers {
 public:
  explicit Writers(SpaceCore& core) : core_(core) {}

  /// Makes the thread one of the unit's writers, or finds that it need not be one: the object is at home, borrowed, or
  /// the unit a head. False if the copy has become too old meanwhile, or its block is moving. Caller: the thread, in
  /// guest code.
  bool join(rt::ThreadContext& ctx, const CopyUnit& unit);

  /// Under the lock of the unit's shard: enters the thread, which writes the unit, or may. Its entry has a twin.
  /// Caller: the thread, or the world is stopped.
  void enter(rt::ThreadContext& ctx, const CopyUnit& unit, Entry& entry);

  /// Under the lock too: what the copy holds is kept as the twin, unless there is one.
  void keepTwin(const CopyUnit& unit, Entry& entry);

 private:
  WriteSet& writeSetOf(rt::ThreadContext& ctx);

  SpaceCore& core_;
};

}  // namespace jvmc::cluster
