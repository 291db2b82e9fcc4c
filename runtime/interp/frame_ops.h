// Making and dropping interpreter frames: shared by the loop and the entry points.
#pragma once

#include <cstring>

#include "runtime/interp/interp_frame.h"

namespace jvmc::rt {

/// The frame `code` would get, or null if the interpreter stack is full (capture then; never an error). Not linked yet.
inline InterpFrame* reserveFrame(ThreadContext& ctx, const FunctionCode& code) {
  uint64_t* at = ctx.interpTop;
  if (code.frameWords() > uint64_t(ctx.interpLimit - at)) [[unlikely]]
    return nullptr;
  InterpFrame* frame = reinterpret_cast<InterpFrame*>(at);
  frame->memory = nullptr;
  return frame;
}

/// A frame with memory of its own, for functions whose frame is larger than a quarter of the interpreter stack.
InterpFrame* reserveLargeFrame(ThreadContext& ctx, const FunctionCode& code);

/// Zeroes references, copies constants, links the frame. Parameters are the caller's to fill before or after.
inline void linkFrame(ThreadContext& ctx, InterpFrame* frame, const FunctionCode& code) {
  uint64_t* registers = frame->registers();
  for (uint32_t i = code.referenceBegin(); i < code.referenceEnd(); ++i) registers[i] = 0;
  const uint64_t* from = code.constants().data();
  uint64_t* to = registers + code.constantBegin();
  for (size_t i = 0, n = code.constants().size(); i < n; ++i) to[i] = from[i];
  frame->code = &code;
  frame->previous = static_cast<InterpFrame*>(ctx.interpFrame);
  std::atomic_signal_fence(std::memory_order_release);  // a profile's signal finds a whole frame
  ctx.interpFrame = frame;
  if (!frame->memory) ctx.interpTop = reinterpret_cast<uint64_t*>(frame) + code.frameWords();
  ctx.depth += code.countsDepth();
}

/// Unlinks the innermost frame.
inline void dropFrame(ThreadContext& ctx, InterpFrame* frame) {
  ctx.interpFrame = frame->previous;
  std::atomic_signal_fence(std::memory_order_release);
  ctx.depth -= frame->code->countsDepth();
  if (!frame->memory) [[likely]]
    ctx.interpTop = reinterpret_cast<uint64_t*>(frame);
  else
    delete[] frame->memory;
}

/// Clears references that nothing reads any more once an exception at `flat` has gone to its handler. Else the frame
/// would keep what had filled the heap.
void forgetDeadReferences(InterpFrame* frame, uint32_t flat);

/// Stores a frame of baseline code at `resumePoint` into the capture buffer.
void captureInterpFrame(ThreadContext& ctx, InterpFrame* frame, uint32_t resumePoint);

/// The same for the instruction at a flat index of an optimised body: it stands for a chain of baseline frames.
void captureFrameStates(ThreadContext& ctx, InterpFrame* frame, uint32_t flatIndex);

/// An exception passes the instruction at a flat index of an optimised body: adds the places it stands for to the
/// trace.
void addTraceStates(ThreadContext& ctx, const FunctionCode& code, uint32_t flatIndex);

/// Runs the innermost frame from `pc` until it returns (its result) or unwinds. `raise`: an exception is pending at
/// `pc`.
uint64_t runLoop(ThreadContext& ctx, InterpFrame* base, const Inst* pc, bool raise);

}  // namespace jvmc::rt
