// The interpreter: reference semantics of the IR. Its frames lie on the fiber's interpreter stack; interpreted
// functions call each other inside one loop, without C++ recursion.
//
// Every entry point follows the helpers' protocol: look at ctx.unwinding afterwards. Exception: it left the function.
// Capture: the frames of this activation have been captured.
#pragma once

#include <cstdint>

#include "runtime/abi/context.h"

namespace jvmc::rt {

/// Calls `function` with argument slots; gives the result's slot (0 if it has none).
uint64_t interpretCall(ThreadContext& ctx, uint32_t function, const uint64_t* args);

/// Goes on with a frame at `resumePoint`. `supplied` is what the callee or the runtime gives at an `after` point. With
/// ctx.unwinding == Exception the exception is thrown at the frame's instruction instead.
uint64_t interpretResume(ThreadContext& ctx, uint32_t function, uint32_t resumePoint, const uint64_t* slots,
                         uint64_t supplied);

/// Calls `function` in compiled code if it has any, else interpreted (mode jit: compiles it). The common door for
/// jvmc_interpret and callGuest. Captures a `before 0` frame of it when the native stack is short.
uint64_t callFunction(ThreadContext& ctx, uint32_t function, const uint64_t* args);

/// Captures a frame of `function` that has its arguments but has not begun.
void captureUnstarted(ThreadContext& ctx, uint32_t function, const uint64_t* args);

}  // namespace jvmc::rt
