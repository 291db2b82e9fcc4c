// The slow path of every poll. The order of its first two steps is what keeps a request from being lost: the limit is
// restored *before* the request bits are read, and requesters set the bit before they touch the limit.
#include "runtime/frames/capture_stats.h"
#include "runtime/helpers/waiting.h"
#include "runtime/vm.h"

using namespace jvmc::rt;

extern "C" void jvmc_poll(JvmcContext* ctx) {
  // Sequentially consistent: the read of the bits must not move above it.
  ctx->pollLimit.store(ctx->stackLimit, std::memory_order_seq_cst);
  ctx->quiescent = true;
  ctx->vm->space().standsInPoll(*ctx);
  ctx->vm->world().safepoint(*ctx);
  ctx->quiescent = false;
  // What a thread sees without synchronising is never older than the node's last tick before a poll.
  if (ctx->epoch != ctx->vm->clock().load(std::memory_order_relaxed)) ctx->vm->space().acquire(*ctx, false);
  GuestThread& thread = *ctx->thread;
  const Zeal& zeal = ctx->vm->options().zeal;
  if (zeal.captureEvery != 0 || zeal.migrateEvery != 0) ctx->pollLimit.store(kPollRequested, std::memory_order_relaxed);

  uint32_t requests = thread.requests.load(std::memory_order_seq_cst);
  if (requests & kRequestStop) return beginCapture(*ctx, CaptureReason::Stop);
  if ((requests & kRequestMigrate) && !thread.pinned) {
    // The reason says it; the scheduler flushes the thread's writes and ships it, or lets it go on if it may not leave.
    thread.requests.fetch_and(~uint32_t(kRequestMigrate), std::memory_order_relaxed);
    return beginCapture(*ctx, CaptureReason::Migrate);
  }
  if (requests & (kRequestCapture | kRequestDump)) {
    thread.requests.fetch_and(~uint32_t(kRequestCapture | kRequestDump), std::memory_order_relaxed);
    return beginCapture(*ctx, CaptureReason::Request);
  }
  if (requests & kRequestPreempt) {
    thread.requests.fetch_and(~uint32_t(kRequestPreempt), std::memory_order_relaxed);
    return beginCapture(*ctx, CaptureReason::Preempt);
  }
  if (uint64_t(__builtin_frame_address(0)) < ctx->stackLimit) return beginCapture(*ctx, CaptureReason::StackFull);
  if (zealIsDue(*ctx)) ctx->unwinding = Unwinding::Capture;
}

extern "C" uint64_t* jvmc_captureFrame(JvmcContext* ctx, uint32_t function, uint32_t resumePoint, uint32_t slotCount) {
  if (!isRuntimeFrame(function)) countCapturedFrame(*ctx, function, resumePoint);
  return ctx->thread->captured.push(function, resumePoint, slotCount);
}
