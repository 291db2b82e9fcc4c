// Class initialisation by JLS 12.4.2. The state of a class lives at the home of its statics object
// (SyncOp::ClassInitBegin and End); the procedure itself runs on the thread that got the answer "run it":
//
//     Begin --answer--> Super --(superclass done)--> Body --(initialiser ended)--> End --answer--> done
//
// Each arrow can be cut by a capture: then a kFrameClassInit frame stands for the rest, and the frame that needed the
// class waits below it at its `before` point.
#pragma once

#include "runtime/frames/runtime_frames.h"

namespace jvmc::rt {

/// Goes on from `phase` when control comes back to a kFrameClassInit frame (already popped). `answer` is the home's,
/// for Begin; a pending exception is what the superclass's or the class's own initialiser threw. Afterwards
/// ctx.unwinding is None (the frame below goes on at its `before` point), Exception, or Capture.
void resumeClassInit(ThreadContext& ctx, ir::ClassId cls, ClassInitPhase phase, ObjectRef exception, uint64_t answer);

/// Finds out from a thread's frames which classes it is initialising: for a thread that has arrived.
void noteInitialising(GuestThread& thread);

}  // namespace jvmc::rt
