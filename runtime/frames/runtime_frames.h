// The slots of the runtime's own frames (RuntimeFrame in runtime/thread.h). Like guest frames they are data: a thread
// can move while it initialises a class, starts a thread, or ends.
#pragma once

#include "runtime/thread.h"

namespace jvmc::rt {

/// kFrameClassInit: how far class initialisation (JLS 12.4.2) has come.
enum class ClassInitPhase : uint64_t {
  Begin,  ///< waits for the home's answer to ClassInitBegin
  Super,  ///< the superclass is being initialised above; asked again when control comes back
  Body,   ///< the initialiser runs above
  End,    ///< waits for the home's answer to ClassInitEnd
  kCount
};

/// kFrameClassInit: ClassId, ClassInitPhase, exception that End throws when it is through (or null).
inline constexpr uint32_t kClassInitSlots = 3;

/// kFrameThreadStart: Thread object, id of the new thread, FunctionId, ThreadStartPhase, then the slots of the
/// function's point `before 0`.
enum class ThreadStartPhase : uint64_t {
  SetId,  ///< waits for the compare-and-swap of the object's id (0: never started)
  Begin,  ///< waits for the home's answer to ThreadStart
  kCount
};
inline constexpr uint32_t kThreadStartFixedSlots = 4;

/// kFrameAfterFlush: FlushedOp, nanoseconds.
enum class FlushedOp : uint64_t { Fence, Sleep, Park, kCount };
inline constexpr uint32_t kAfterFlushSlots = 2;

}  // namespace jvmc::rt
