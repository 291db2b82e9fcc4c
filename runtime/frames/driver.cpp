#include "runtime/frames/driver.h"

#include <algorithm>
#include <utility>

#include "ir/support/check.h"
#include "ir/support/fault.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/frames/class_init.h"
#include "runtime/frames/function_info.h"
#include "runtime/helpers/throwing.h"
#include "runtime/helpers/waiting.h"
#include "runtime/interp/interpreter.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

/// Threads of a cluster park at most remote accesses, so that few stretches on a fiber have K safepoints. Under zeal
/// migrate:K each stretch therefore begins with a countdown of its own, K on average: moves stay as frequent as they
/// are meant to be.
void startZeal(ThreadContext& ctx) {
  armZeal(ctx);
  const uint64_t every = ctx.vm->options().zeal.migrateEvery;
  if (every < 2 || ctx.vm->shipper() == nullptr) return;
  const GuestThread& thread = *ctx.thread;
  const uint64_t mixed = (thread.ref.id + 31 * thread.stats.captures + thread.wait.ticket) * 0x9E37'79B9'7F4A'7C15;
  ctx.safepointCountdown = 1 + (mixed >> 33) % (2 * every - 1);
}

void setUp(ThreadContext& ctx) {
  Fiber& fiber = *static_cast<Fiber*>(ctx.fiber);
  ctx.interpTop = fiber.interpreterStack();
  ctx.interpLimit = ctx.interpTop + fiber.interpreterWords();
  ctx.interpFrame = nullptr;
  ctx.unwinding = Unwinding::None;
  ctx.tierSince = cycles();
  ctx.inCompiled = false;
  startZeal(ctx);
}

/// Live frames of functions that may recurse: every frame counts itself off when it leaves, however it leaves.
uint32_t guestDepth(Vm& vm, const FrameStack& frames) {
  uint32_t depth = 0;
  for (size_t i = 0; i < frames.depth(); ++i) {
    uint32_t function = frames.header(i).function;
    depth += !isRuntimeFrame(function) && vm.functionInfos().mayRecurse(ir::FunctionId(function));
  }
  return depth;
}

uint64_t takeResumption(ThreadContext& ctx) {
  Resumption resumption = std::exchange(ctx.thread->resumption, {});
  return applyResumption(ctx, resumption);
}

/// While it lives guest code runs: the data frames below stand, and a profile may read them at any moment.
class GuestStretch {
 public:
  explicit GuestStretch(ThreadContext& ctx) : ctx_(ctx) { set(true); }
  ~GuestStretch() { set(false); }
  GuestStretch(const GuestStretch&) = delete;

 private:
  void set(bool stand) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ctx_.framesStand = stand;
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  ThreadContext& ctx_;
};

/// A copy of the top frame, which is taken off the stack; with room for the value that is supplied to it.
struct TakenFrame {
  FrameHeader header;
  std::vector<uint64_t> slots;

  explicit TakenFrame(FrameStack& frames) : header(frames.top()) {
    const uint64_t* from = frames.slots(frames.depth() - 1);
    slots.reserve(header.slotCount + 1);
    slots.assign(from, from + header.slotCount);
    frames.pop();
  }
};

/// An exception passes a frame that has no handler for it.
bool passThrough(ThreadContext& ctx, const FunctionInfo& info, const FrameHeader& frame) {
  if (info.body()[info.blockOf(frame.resumePoint / 2)].handler) return false;
  jvmc_addTraceFrame(&ctx, frame.function, frame.resumePoint / 2);
  ctx.depth -= ctx.vm->functionInfos().mayRecurse(info.function());
  return true;
}

/// The continuation to resume the frame with, or null for the interpreter. In mode auto only loop headers of functions
/// that are compiled already are worth one: anything else reaches its next loop header soon.
ContinuationFn continuationFor(Vm& vm, const FunctionInfo& info, const FrameHeader& frame) {
  ir::FunctionId function(frame.function);
  if (vm.options().mode == RunMode::Jit) {
    ContinuationFn continuation = vm.code()->requestContinuation(function, frame.resumePoint);
    JVMC_CHECK(continuation != nullptr, "no continuation in mode jit", vm.module()[function].name, frame.resumePoint);
    return continuation;
  }
  if (vm.code() == nullptr || frame.resumePoint % 2 != 0) return nullptr;
  uint32_t flat = frame.resumePoint / 2;
  ir::BlockId block = info.blockOf(flat);
  bool isLoopStart = info.cfg().isLoopHeader(block) && info.cfg().firstInstr(block) == flat;
  if (!isLoopStart || vm.classes().cells()[frame.function].enter.load(std::memory_order_acquire) == nullptr)
    return nullptr;
  return vm.code()->requestContinuation(function, frame.resumePoint);
}

uint64_t resumeGuestFrame(ThreadContext& ctx, uint64_t supplied) {
  Vm& vm = *ctx.vm;
  TakenFrame frame(ctx.thread->frames);
  const FunctionInfo& info = vm.functionInfos()[ir::FunctionId(frame.header.function)];
  if (ctx.unwinding == Unwinding::Exception && passThrough(ctx, info, frame.header)) return 0;
  const GuestStretch stretch(ctx);
  if (ContinuationFn continuation = continuationFor(vm, info, frame.header)) {
    vm.captureStats().resumesCompiled.fetch_add(1, std::memory_order_relaxed);
    frame.slots.push_back(supplied);
    uint64_t result = 0;
    enterTier(ctx, true);
    continuation(&ctx, frame.slots.data(), &result);
    enterTier(ctx, false);
    return result;
  }
  vm.captureStats().resumesInterpreted.fetch_add(1, std::memory_order_relaxed);
  return interpretResume(ctx, frame.header.function, frame.header.resumePoint, frame.slots.data(), supplied);
}

/// Frames of the runtime supply nothing to the frame below them: that one stands at a `before` point, or after an
/// instruction without a result.
void resumeRuntimeFrame(ThreadContext& ctx, uint64_t supplied) {
  FrameStack& frames = ctx.thread->frames;
  const uint64_t* slots = frames.slots(frames.depth() - 1);
  bool threw = ctx.unwinding == Unwinding::Exception;
  switch (frames.top().function) {
    case kFrameClassInit: {
      const GuestStretch stretch(ctx);
      resumeClassInit(ctx, ir::ClassId(uint32_t(slots[0])), ClassInitPhase(slots[1]), slots[2], supplied);
      break;
    }
    case kFrameThreadStart:
      if (!threw)
        resumeThreadStart(ctx, slots[0], slots[1], uint32_t(slots[2]), ThreadStartPhase(slots[3]),
                          slots + kThreadStartFixedSlots, supplied);
      break;
    case kFrameAfterFlush:
      if (!threw) afterFlush(ctx, FlushedOp(slots[0]), int64_t(slots[1]));
      break;
    case kFrameThreadEnd:
      break;
    default:
      JVMC_UNREACHABLE(frames.top().function);
  }
  frames.pop();  // only now: while it is there the collector sees its slots
}

/// The outermost frame is gone: keeps what the end of the thread tells others, then ends it at its object's home.
/// False if that must be waited for: then a kFrameThreadEnd stands for the rest.
bool endThread(ThreadContext& ctx, uint64_t result) {
  GuestThread& thread = *ctx.thread;
  Vm& vm = *ctx.vm;
  if (ctx.unwinding == Unwinding::Exception) {
    thread.report = describeUncaught(ctx, ctx.exception);
    thread.exitCode = 1;
    thread.trace.clear();
    ctx.unwinding = Unwinding::None;
    ctx.exception = kNullRef;
  } else if (thread.ref.id == kMainThreadId && vm.module()[vm.module().entry].result != ir::kVoid) {
    thread.exitCode = int32_t(result);
  }
  thread.ending = true;
  SyncRequest request{.op = SyncOp::ThreadEnd, .thread = {}};
  request.object = thread.ref.object;
  submitAndWait(ctx, request, WaitKind::Access, false);
  if (ctx.unwinding != Unwinding::Capture) {
    ctx.unwinding = Unwinding::None;
    return true;
  }
  thread.frames.push(kFrameThreadEnd, 0, 0);
  ctx.unwinding = Unwinding::None;
  return false;
}

bool goesOnInPlace(CaptureReason reason) {
  return reason == CaptureReason::Zeal || reason == CaptureReason::StackFull;
}

RunOutcome drive(ThreadContext& ctx) {
  GuestThread& thread = *ctx.thread;
  bool ending = thread.frames.depth() == 1 && thread.frames.top().function == kFrameThreadEnd;
  ctx.depth = guestDepth(*ctx.vm, thread.frames);
  uint64_t supplied = takeResumption(ctx);
  while (!thread.frames.empty()) {
    if (isRuntimeFrame(thread.frames.top().function))
      resumeRuntimeFrame(ctx, std::exchange(supplied, 0));
    else
      supplied = resumeGuestFrame(ctx, supplied);
    if (ctx.unwinding != Unwinding::Capture) continue;
    commitCapture(ctx);
    if (!goesOnInPlace(thread.captureReason)) return RunOutcome::Captured;
    ctx.depth = guestDepth(*ctx.vm, thread.frames);
    supplied = takeResumption(ctx);
  }
  if (ending || endThread(ctx, supplied)) return RunOutcome::Ended;
  return RunOutcome::Captured;
}

}  // namespace

RunOutcome runThread(ThreadContext& ctx) {
  setUp(ctx);
  RunOutcome outcome = drive(ctx);
  settleTiers(ctx);
  return outcome;
}

uint64_t callGuest(ThreadContext& ctx, uint32_t function, const uint64_t* args) {
  return callFunction(ctx, function, args);
}

void commitCapture(ThreadContext& ctx) {
  GuestThread& thread = *ctx.thread;
  countCapture(ctx);
  for (size_t i = thread.captured.depth() - JVMC_FAULT("outermost-frame-is-lost"); i-- > 0;) {
    const FrameHeader& from = thread.captured.header(i);
    uint64_t* to = thread.frames.push(from.function, from.resumePoint, from.slotCount);
    std::copy(thread.captured.slots(i), thread.captured.slots(i) + from.slotCount, to);
  }
  thread.captured.clear();
  ctx.unwinding = Unwinding::None;
}

}  // namespace jvmc::rt
