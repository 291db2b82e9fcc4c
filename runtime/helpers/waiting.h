// How helpers wait: submit to the home, then go on at once or park. Parking is capture: the helper returns with
// Unwinding::Capture, and the answer becomes the Resumption of the frame that called it.
#pragma once

#include "runtime/frames/runtime_frames.h"
#include "runtime/object_space.h"
#include "runtime/thread.h"

namespace jvmc::rt {

/// Unwinds into frames for `reason`.
void beginCapture(ThreadContext& ctx, CaptureReason reason);

/// Acts on an answer: renews the epoch if asked, throws if it is an exception. Gives the value.
uint64_t applyResumption(ThreadContext& ctx, const Resumption& resumption);

/// Carries out `request` (op, object and operands set; the rest is filled in here). Gives the value; afterwards
/// ctx.unwinding tells whether it was answered at once (None), with an exception, or is awaited (Capture).
uint64_t submitAndWait(ThreadContext& ctx, SyncRequest request, WaitKind kind, bool interruptible);

/// Flushes the thread's writes and renews its epoch, then does `op`. If the flush takes time the rest happens when
/// control comes back through a kFrameAfterFlush.
void flushThen(ThreadContext& ctx, FlushedOp op, int64_t nanos);
/// The part after the flush.
void afterFlush(ThreadContext& ctx, FlushedOp op, int64_t nanos);

/// Zeal at a Call safepoint that was carried out: every K-th is captured, and its value supplied again on resumption.
/// Gives `value` back.
uint64_t safepointAfter(ThreadContext& ctx, uint64_t value);

/// Counts a poll for zeal: true if a capture is due now; then captureReason is set.
bool zealIsDue(ThreadContext& ctx);
/// Sets the countdown and, if zeal needs every poll, makes polls take their slow path.
void armZeal(ThreadContext& ctx);

/// Goes on with a kFrameThreadStart (threads.cpp).
void resumeThreadStart(ThreadContext& ctx, ObjectRef object, ThreadId id, uint32_t function, ThreadStartPhase phase,
                       const uint64_t* slots, uint64_t answer);

}  // namespace jvmc::rt
