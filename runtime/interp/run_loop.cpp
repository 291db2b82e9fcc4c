// The interpreter's loop: direct dispatch by computed goto over FunctionCode. One C++ activation runs any number of
// interpreted frames; it ends when the frame it was started with returns or unwinds. The instructions stand by subject
// in ops_*.inc.
//
// Unwinding inside the loop:
//   raise           an exception is pending at `pc`: to the handler, or out of the frame
//   captureAt       this frame is captured at `point`, then every outer frame after its call, then return
#include <vector>

#include "runtime/frames/capture_stats.h"
#include "runtime/helpers/access.h"
#include "runtime/helpers/waiting.h"
#include "runtime/interp/arithmetic.h"
#include "runtime/interp/frame_ops.h"
#include "runtime/interp/interpreter.h"
#include "runtime/interp/tier_up.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

inline bool pollRequested(ThreadContext* ctx) {
  return ctx->pollLimit.load(std::memory_order_relaxed) == kPollRequested;
}

// A computed goto leaves a scope without running destructors, so whatever owns memory stands in functions of its own.

/// The registers that an argument list names (its length first).
std::vector<uint64_t> collectArguments(const uint32_t* arguments, const uint64_t* r) {
  std::vector<uint64_t> slots(*arguments);
  for (uint32_t i = 0; i < *arguments; ++i) slots[i] = r[arguments[1 + i]];
  return slots;
}

[[gnu::noinline]] uint64_t callNative(ThreadContext* ctx, uint32_t native, const uint32_t* arguments,
                                      const uint64_t* r) {
  uint64_t result = 0;
  if (constexpr uint32_t kFew = 8; *arguments <= kFew) {
    uint64_t slots[kFew];
    for (uint32_t i = 0; i < *arguments; ++i) slots[i] = r[arguments[1 + i]];
    jvmc_callNative(ctx, native, slots, &result);
  } else {
    jvmc_callNative(ctx, native, collectArguments(arguments, r).data(), &result);
  }
  return result;
}

[[gnu::noinline]] void startThread(ThreadContext* ctx, uint32_t function, const uint32_t* arguments,
                                   const uint64_t* r) {
  std::vector<uint64_t> slots = collectArguments(arguments, r);
  jvmc_threadStart(ctx, slots[0], function, slots.data() + 1);
}

[[gnu::noinline]] void captureCallee(ThreadContext* ctx, uint32_t function, const uint32_t* arguments,
                                     const uint64_t* r) {
  beginCapture(*ctx, CaptureReason::StackFull);
  captureUnstarted(*ctx, function, collectArguments(arguments, r).data());
}

}  // namespace

// GCSE would merge the dispatch jumps into one, which costs the branch predictor its context.
__attribute__((optimize("no-gcse"))) uint64_t runLoop(ThreadContext& context, InterpFrame* base, const Inst* pc,
                                                      bool raise) {
  static const void* const kLabels[] = {
#define JVMC_IOP(name) &&op_##name,
#include "runtime/interp/interp_ops.def"
  };
  ThreadContext* const ctx = &context;
  const InterpActivation activation(context, base);
  FunctionCodes& codes = ctx->vm->functionCodes();
  const uint64_t tierUpHeat = tierUpThreshold(*ctx->vm);
  InterpFrame* frame = base;
  uint64_t* r = frame->registers();
  uint32_t point = 0;
  // What a call instruction hands to the common call sequence.
  FunctionCell* cell = nullptr;
  const uint32_t* arguments = nullptr;
  BuiltinThrow thrown = BuiltinThrow::Arithmetic;
  int32_t thrownDetail = 0;

#define NEXT(n)                      \
  do {                               \
    pc += (n);                       \
    goto* kLabels[uint32_t(pc->op)]; \
  } while (0)
#define GO() goto* kLabels[uint32_t(pc->op)]
#define THROW(kind, detail)         \
  do {                              \
    thrown = BuiltinThrow::kind;    \
    thrownDetail = int32_t(detail); \
    goto throwBuiltin;              \
  } while (0)
#define CHECK_NULL(ref)               \
  if ((ref) == kNullRef) [[unlikely]] \
  THROW(NullPointer, 0)
#define AFTER_CALL()                                  \
  if (ctx->unwinding != Unwinding::None) [[unlikely]] \
  goto unwindAfter
#define AFTER_INIT()                                  \
  if (ctx->unwinding != Unwinding::None) [[unlikely]] \
  goto unwindBefore

  if (raise) goto raiseException;
  GO();

#include "runtime/interp/ops_arithmetic.inc"
#include "runtime/interp/ops_control.inc"
#include "runtime/interp/ops_memory.inc"
#include "runtime/interp/ops_runtime.inc"

throwBuiltin:
  jvmc_throwBuiltin(ctx, uint32_t(thrown), thrownDetail);
  goto raiseException;

unwindAfter:
  if (ctx->unwinding == Unwinding::Exception) goto raiseException;
  point = ir::pointAfter(frame->code->flatOf(pc));
  goto captureAt;

unwindBefore:
  if (ctx->unwinding == Unwinding::Exception) goto raiseException;
  point = ir::pointBefore(frame->code->flatOf(pc));
  goto captureAt;

raiseException:
  for (;;) {
    const FunctionCode& code = *frame->code;
    uint32_t flat = code.flatOf(pc);
    if (code.body().optimised) [[unlikely]]
      addTraceStates(*ctx, code, flat);
    else
      jvmc_addTraceFrame(ctx, code.function().value, flat);
    if (const Inst* handler = code.handlerOf(flat)) {
      const ObjectRef caught = jvmc_catchException(ctx);
      if (caught == ctx->vm->outOfMemoryError()) [[unlikely]]
        forgetDeadReferences(frame, flat);
      r[code.exceptionRegister()] = caught;
      pc = handler;
      GO();
    }
    InterpFrame* left = frame;
    frame = frame->previous;
    dropFrame(*ctx, left);
    if (left == base) return 0;
    r = frame->registers();
    pc = frame->pc;
  }

captureAt:
  for (;;) {
    if (frame->code->body().optimised)
      captureFrameStates(*ctx, frame, point / 2);
    else
      captureInterpFrame(*ctx, frame, point);
    InterpFrame* left = frame;
    frame = frame->previous;
    dropFrame(*ctx, left);
    if (left == base) return 0;
    point = ir::pointAfter(frame->code->flatOf(frame->pc));
  }
}

}  // namespace jvmc::rt
