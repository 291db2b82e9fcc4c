#include "runtime/sync/local_object_space.h"

#include "ir/support/fault.h"
#include "runtime/abi/guest_memory.h"

namespace jvmc::rt {
namespace {

uint32_t threadFieldOffset(const ModuleLayout& layout, uint32_t field) {
  return layout[ir::builtin::kThread].fields[field].offset;
}

constexpr int32_t kThreadAlive = 1;

}  // namespace

LocalObjectSpace::LocalObjectSpace(const ModuleLayout& layout, ThreadPost& post, Timers& timers,
                                   std::atomic<uint64_t>& clock)
    : post_(post),
      clock_(clock),
      threadIdOffset_(threadFieldOffset(layout, ir::builtin::kThreadId)),
      threadStateOffset_(threadFieldOffset(layout, ir::builtin::kThreadState)),
      home_({post, timers, clock, threadStateOffset_, {}}) {}

std::optional<Resumption> LocalObjectSpace::submit(ThreadContext&, const SyncRequest& request) {
  switch (request.op) {
    case SyncOp::Unpark:
    case SyncOp::Interrupt:
    case SyncOp::IsInterrupted:
      return submitToThread(request);
    default:
      return home_.handle(request);
  }
}

std::optional<Resumption> LocalObjectSpace::submitToThread(const SyncRequest& request) {
  // A thread that does not live hears nothing and is not interrupted.
  if (loadGuest<int32_t>(request.object + threadStateOffset_, std::memory_order_acquire) != kThreadAlive)
    return Resumption{};
  ThreadRef target{ThreadId(loadGuest<int64_t>(request.object + threadIdOffset_)), request.object};
  ThreadMail mail{};
  mail.ticket = request.ticket;
  mail.asker = request.thread;
  mail.answer.acquire = true;
  switch (request.op) {
    case SyncOp::Unpark:
      mail.kind = ThreadMail::Kind::Unpark;
      break;
    case SyncOp::Interrupt:
      mail.kind = ThreadMail::Kind::Interrupt;
      break;
    default:
      mail.kind = ThreadMail::Kind::QueryInterrupted;
      break;
  }
  post_.send(target, mail);
  if (mail.isQuestion() && !JVMC_FAULT("interrupt-does-not-wait-for-arrival")) return std::nullopt;
  return Resumption{};
}

void LocalObjectSpace::acquire(ThreadContext& ctx, bool remote) {
  if (remote) clock_.fetch_add(kEpochStep);
  ctx.epoch = clock_.load(std::memory_order_acquire);
}

std::optional<uint32_t> LocalRegionSource::lease() {
  uint32_t region = next_.load();
  while (region < count_)
    if (next_.compare_exchange_weak(region, region + 1)) return region;
  return std::nullopt;
}

}  // namespace jvmc::rt
