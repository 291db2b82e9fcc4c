// The slots of the runtime's own frames (RuntimeFrame in runtime/thread.h). Like guest frames they are data: a thread can
// move while it initialises a class, starts a thread, or ends.
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

/// kFrameThreadStart: Thread object, id of the new thread, FunctionId, then the slots of the function's point `before 0`.
inline constexpr uint32_t kThreadStartFixedSlots = 3;

}  // namespace jvmc::rt
