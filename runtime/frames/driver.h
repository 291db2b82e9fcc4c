// The driver: runs a thread on the current fiber by resuming its innermost data frame, again and again. Outer frames
// stay data until their callee returns; each is resumed in a compiled continuation or in the interpreter.
#pragma once

#include "runtime/thread.h"

namespace jvmc::rt {

enum class RunOutcome : uint8_t {
  Ended,     ///< the thread is over, joiners know it; GuestThread::report is set if an exception left its last frame
  Captured,  ///< all native frames are data again; GuestThread::captureReason tells why
};

/// Runs ctx.thread. Called on its fiber, inside World::enter/leave, with the context's epoch, writer slot, lock owner,
/// thread object, depth limit and tables set. Submits ThreadEnd itself when the last frame has gone.
RunOutcome runThread(ThreadContext& ctx);

/// Calls a guest function from C++ (class initialisers). Like any helper: look at ctx.unwinding afterwards; the caller
/// must then capture whatever it needs as a RuntimeFrame, and return.
uint64_t callGuest(ThreadContext& ctx, uint32_t function, const uint64_t* args);

/// Appends captured native frames to the thread's data frames (captured innermost first, stored outermost first).
void commitCapture(ThreadContext& ctx);

}  // namespace jvmc::rt
