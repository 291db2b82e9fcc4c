#include "runtime/helpers/waiting.h"

#include "ir/support/fault.h"
#include "runtime/abi/helpers.h"
#include "runtime/vm.h"

namespace jvmc::rt {

void beginCapture(ThreadContext& ctx, CaptureReason reason) {
  ctx.thread->captureReason = reason;
  ctx.unwinding = Unwinding::Capture;
}

uint64_t applyResumption(ThreadContext& ctx, const Resumption& resumption) {
  uint64_t value = resumption.value;
  if (resumption.acquire) ctx.vm->space().acquire(ctx, resumption.remote);
  if (JVMC_FAULT("resumption-swallows-its-exception")) return value;
  if (resumption.kind == Resumption::Kind::Throw)
    jvmc_throwBuiltin(&ctx, uint32_t(resumption.builtin), resumption.detail);
  else if (resumption.kind == Resumption::Kind::ThrowObject)
    jvmc_throwObject(&ctx, resumption.exception);
  return value;
}

uint64_t submitAndWait(ThreadContext& ctx, SyncRequest request, WaitKind kind, bool interruptible) {
  GuestThread& thread = *ctx.thread;
  request.thread = thread.ref;
  request.ticket = thread.beginWait(kind, request.object, interruptible);
  std::optional<Resumption> answer = ctx.vm->space().submit(ctx, request);
  if (!answer) {
    beginCapture(ctx, CaptureReason::Park);
    return 0;
  }
  thread.endWait();
  return applyResumption(ctx, *answer);
}

void flushThen(ThreadContext& ctx, FlushedOp op, int64_t nanos) {
  GuestThread& thread = *ctx.thread;
  uint64_t ticket = thread.beginWait(WaitKind::Access, kNullRef, false);
  if (ctx.vm->space().release(ctx, ticket)) {
    thread.endWait();
    afterFlush(ctx, op, nanos);
    return;
  }
  uint64_t* slots = jvmc_captureFrame(&ctx, kFrameAfterFlush, 0, kAfterFlushSlots);
  slots[0] = uint64_t(op);
  slots[1] = uint64_t(nanos);
  beginCapture(ctx, CaptureReason::Park);
}

void afterFlush(ThreadContext& ctx, FlushedOp op, int64_t nanos) {
  GuestThread& thread = *ctx.thread;
  Vm& vm = *ctx.vm;
  // After a fence (also: yield, spin_hint) a plain read asks the object's home again.
  vm.space().acquire(ctx, op == FlushedOp::Fence && vm.space().checked());
  switch (op) {
    case FlushedOp::Fence:
      return;
    case FlushedOp::Sleep:
      thread.beginWait(WaitKind::Sleep, kNullRef, true);
      vm.scheduler().armTimer(thread, nanos);
      return beginCapture(ctx, CaptureReason::Park);
    case FlushedOp::Park:
      // The wait begins first: an unpark from now on ends it, one from before has left its permit.
      thread.beginWait(WaitKind::Park, kNullRef, true);
      if (thread.takeParkPermit()) {
        vm.space().acquire(ctx, true);  // the permit does not tell where it came from
        return thread.endWait();
      }
      if (nanos > 0) vm.scheduler().armTimer(thread, nanos);
      return beginCapture(ctx, CaptureReason::Park);
    case FlushedOp::kCount:
      break;
  }
  JVMC_UNREACHABLE(uint64_t(op));
}

bool zealIsDue(ThreadContext& ctx) {
  if (ctx.safepointCountdown == ~uint64_t(0) || --ctx.safepointCountdown > 0) return false;
  armZeal(ctx);
  GuestThread& thread = *ctx.thread;
  Vm& vm = *ctx.vm;
  // With both, every move is a capture as well.
  if (vm.options().zeal.migrateEvery != 0 && vm.shipper() != nullptr && !thread.pinned && !thread.ending) {
    thread.migrateTarget = vm.shipper()->nextNode();
    thread.captureReason = CaptureReason::Migrate;
    return true;
  }
  thread.captureReason = CaptureReason::Zeal;
  return vm.options().zeal.captureEvery != 0;
}

void armZeal(ThreadContext& ctx) {
  const Zeal& zeal = ctx.vm->options().zeal;
  uint64_t every = zeal.migrateEvery != 0 ? zeal.migrateEvery : zeal.captureEvery;
  if (every == 0) return;
  ctx.safepointCountdown = every;
  ctx.pollLimit.store(kPollRequested, std::memory_order_relaxed);
}

uint64_t safepointAfter(ThreadContext& ctx, uint64_t value) {
  if (ctx.safepointCountdown == ~uint64_t(0) || ctx.unwinding != Unwinding::None) [[likely]]
    return value;
  uint64_t every = ctx.vm->options().zeal.captureEvery;
  if (every == 0 || --ctx.safepointCountdown > 0) return value;
  ctx.safepointCountdown = every;
  ctx.thread->resumption = {};
  ctx.thread->resumption.value = value;
  beginCapture(ctx, CaptureReason::Zeal);
  return value;
}

}  // namespace jvmc::rt
