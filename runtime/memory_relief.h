// Who helps a thread whose node has no memory left: the cluster, by moving blocks to nodes that have room.
#pragma once

#include <cstdint>

#include "runtime/abi/context.h"

namespace jvmc::rt {

class MemoryRelief {
 public:
  virtual ~MemoryRelief() = default;

  /// The heap has refused `bytes`, a moment after a collection. True: there may be room now, try again. False: there is
  /// none anywhere.
  ///
  /// Called on the guest thread's own fiber, in guest code, at an allocation. May suspend the fiber, never unwinds and
  /// never collects; nothing on the stack may own anything meanwhile. The thread goes on relying on the checks of
  /// coherence that it has made.
  virtual bool awaitMemory(ThreadContext& ctx, uint64_t bytes) = 0;
};

}  // namespace jvmc::rt
