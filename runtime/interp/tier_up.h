// When the interpreter hands over to compiled code (mode auto).
#pragma once

#include "runtime/abi/code_provider.h"
#include "runtime/abi/context.h"
#include "runtime/interp/function_code.h"

namespace jvmc::rt {

/// Heat (calls plus back-edges of a function) at which the slow paths below are asked. ~0 in mode interp.
uint64_t tierUpThreshold(Vm& vm);

/// The FunctionCode of a function that has none yet; null with a pending exception if its stored body is corrupt.
const FunctionCode* findCode(ThreadContext& ctx, uint32_t function);

/// A call has become hot: asks for compiled code. True if it can be entered now.
bool requestCompiled(ThreadContext& ctx, FunctionCell* cell);

/// A loop has become hot: asks for the function and for a continuation at `resumePoint`, the start of a loop header.
/// Null if it is not there yet; then the question comes again after some more rounds.
ContinuationFn requestLoop(ThreadContext& ctx, FunctionCell* cell, uint32_t resumePoint);

}  // namespace jvmc::rt
