// A frame of the interpreter: a header, then the registers (function_code.h). Frames lie one after another on the
// fiber's interpreter stack and are linked from ThreadContext::interpFrame; a frame larger than a quarter of that stack
// has memory of its own.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/abi/context.h"
#include "runtime/interp/function_code.h"

namespace jvmc::rt {

struct InterpFrame {
  const FunctionCode* code;
  InterpFrame* previous;  ///< the next outer interpreter frame of this fiber (perhaps with compiled frames between)
  const Inst* pc;         ///< while it calls another interpreter frame: the call
  uint64_t* memory;       ///< what to free when the frame goes, null if it lies on the interpreter stack

  uint64_t* registers() { return reinterpret_cast<uint64_t*>(this + 1); }
};
inline constexpr uint32_t kInterpFrameWords = sizeof(InterpFrame) / 8;
static_assert(sizeof(InterpFrame) == 32);

/// An activation of the interpreter's loop, on the native stack in the frame of the loop: tells who walks that stack
/// which interpreted frames belong there (runtime/prof/stack_walk.h).
struct InterpActivation {
  ThreadContext& ctx;
  void* outer;
  const InterpFrame* end;  ///< the first frame that belongs to an outer activation

  InterpActivation(ThreadContext& context, const InterpFrame* base)
      : ctx(context), outer(context.interpActivation), end(base->previous) {
    // A signal handler may look at any moment.
    std::atomic_signal_fence(std::memory_order_release);
    ctx.interpActivation = this;
  }
  ~InterpActivation() { ctx.interpActivation = outer; }
  InterpActivation(const InterpActivation&) = delete;
};

/// Visits every non-null reference in the interpreter frames of a context. World stopped.
void visitInterpreterReferences(ThreadContext& ctx, const std::function<void(ObjectRef)>& visit);

}  // namespace jvmc::rt
