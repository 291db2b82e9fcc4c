// How compiled code calls.
//
//     R f(ThreadContext* ctx, FunctionCell* cell /* LLVM `nest`: r10 on x86-64 */, params...)
//
// C convention of the target. i32, i64, f32, f64 as themselves, references as `ptr`; no result is void. Every call goes
// through the callee's cell (`load entry; call`), so the cell pointer is at hand and passed along: adapters that serve
// every function of one signature find their function by it; compiled functions ignore it.
//
//   c2i adapter  per signature; what `entry` holds before a function is compiled: packs the arguments into slots and
//                calls helper `interpret(ctx, cell, args, result)`
//   i2c adapter  per signature; what `enter` holds once compiled: unpacks slots and calls cell->entry
//   continuation per function and resume point: `void c(ctx, const uint64_t* slots, uint64_t* result)` goes on there.
//                `slots` are the portable frame's; at an `after` point the callee's result follows as one more slot
//                (if it has one). Every continuation looks at ctx->unwinding first: Exception goes to the handler (at a
//                `before` point too: a class initialiser failed).
//
// After a call: `if (ctx->unwinding != None)` -> cold block. Exception: addTraceFrame(ctx, function, flat index), then
// the handler or return. Capture: captureFrame() for each frame of the FrameState chain, innermost first, then return.
// The value returned while unwinding is meaningless.
//
// Functions that may recurse (ir/analysis/call_graph.h) count themselves: on entry `if (ctx->depth >= ctx->depthLimit)
// throw StackOverflowError; ++ctx->depth`, on every exit --ctx->depth (capture too: the driver recounts from the
// frames). They also compare the stack pointer with ctx->pollLimit and call `poll` if it is below: out of native stack
// is answered by capture, never by an error.
#pragma once

#include "runtime/abi/context.h"

namespace jvmc::rt {

using ContinuationFn = void (*)(ThreadContext*, const uint64_t* slots, uint64_t* result);

}  // namespace jvmc::rt
