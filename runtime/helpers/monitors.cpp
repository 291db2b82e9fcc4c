// Monitors. The thin lock's fast path is here, for objects at home; everything else happens at the home (runtime/sync).
#include "runtime/helpers/access.h"
#include "runtime/helpers/waiting.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

bool throwIfNull(ThreadContext* ctx, ObjectRef object) {
  if (object != kNullRef) [[likely]]
    return false;
  jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::NullPointer), 0);
  return true;
}

/// Free -> mine, or mine -> mine once more.
bool tryThinEnter(ThreadContext* ctx, ObjectRef object) {
  if (ctx->lockOwner == 0 || !isHome(object)) return false;
  std::atomic<uint32_t>& word = header(object)->lockWord;
  uint32_t mine = uint32_t(ctx->lockOwner), seen = word.load(std::memory_order_relaxed);
  if (seen == 0) return word.compare_exchange_strong(seen, mine, std::memory_order_acquire);
  bool isMine = (seen & ~kLockCountMask) == mine;
  if (!isMine || (seen & kLockCountMask) == kLockCountMask) return false;
  return word.compare_exchange_strong(seen, seen + 1, std::memory_order_acquire);
}

/// An exit releases: the shortcut is only for threads without writes to flush.
bool tryThinExit(ThreadContext* ctx, ObjectRef object) {
  if (ctx->lockOwner == 0 || ctx->writerSlot != 0 || !isHome(object)) return false;
  std::atomic<uint32_t>& word = header(object)->lockWord;
  uint32_t mine = uint32_t(ctx->lockOwner), seen = word.load(std::memory_order_relaxed);
  if ((seen & ~kLockCountMask) != mine) return false;
  uint32_t left = (seen & kLockCountMask) == 0 ? 0 : seen - 1;
  return word.compare_exchange_strong(seen, left, std::memory_order_release);
}

/// It is the thread's own and nobody waits for it: whoever waits has inflated the word.
bool isThinlyMine(ThreadContext* ctx, ObjectRef object) {
  if (ctx->lockOwner == 0 || !isHome(object)) return false;
  const uint32_t word = header(object)->lockWord.load(std::memory_order_relaxed);
  return (word & ~kLockCountMask) == uint32_t(ctx->lockOwner);
}

SyncRequest requestFor(SyncOp op, ObjectRef object, int64_t nanos = 0) {
  SyncRequest request{.op = op, .thread = {}};
  request.object = object;
  request.nanos = nanos;
  return request;
}

}  // namespace
}  // namespace jvmc::rt

using namespace jvmc::rt;

extern "C" void jvmc_monitorEnter(JvmcContext* ctx, ObjectRef object) {
  if (throwIfNull(ctx, object)) return;
  if (tryThinEnter(ctx, object)) {
    if (ctx->vm->space().checked()) ctx->vm->space().acquire(*ctx, false);
  } else {
    submitAndWait(*ctx, requestFor(SyncOp::MonitorEnter, object), WaitKind::MonitorEnter, false);
  }
  safepointAfter(*ctx, 0);
}

extern "C" void jvmc_monitorExit(JvmcContext* ctx, ObjectRef object) {
  if (throwIfNull(ctx, object)) return;
  if (!tryThinExit(ctx, object)) submitAndWait(*ctx, requestFor(SyncOp::MonitorExit, object), WaitKind::Access, false);
  safepointAfter(*ctx, 0);
}

extern "C" void jvmc_monitorWait(JvmcContext* ctx, ObjectRef object, int64_t nanos) {
  if (throwIfNull(ctx, object)) return;
  if (nanos < 0) return jvmc_throwBuiltin(ctx, uint32_t(BuiltinThrow::IllegalArgument), 0);
  submitAndWait(*ctx, requestFor(SyncOp::MonitorWait, object, nanos), WaitKind::MonitorWait, true);
}

extern "C" void jvmc_monitorNotify(JvmcContext* ctx, ObjectRef object, int32_t all) {
  if (throwIfNull(ctx, object)) return;
  if (isThinlyMine(ctx, object)) return void(safepointAfter(*ctx, 0));
  SyncOp op = all != 0 ? SyncOp::MonitorNotifyAll : SyncOp::MonitorNotify;
  submitAndWait(*ctx, requestFor(op, object), WaitKind::Access, false);
}
