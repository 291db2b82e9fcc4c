// Monitors: from the thin lock word to the inflated monitor and back; see sync_home.h.
#include <thread>
#include <utility>

#include "ir/support/check.h"
#include "ir/support/fault.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/sync/session.h"

namespace jvmc::rt {
namespace {

constexpr uint32_t kMaxThinCount = kLockCountMask;

bool isInflated(uint32_t word) {
  return word & kLockInflated;
}
ThreadId thinOwner(uint32_t word) {
  return word >> kLockOwnerShift;
}
uint32_t thinCount(uint32_t word) {
  return word & kLockCountMask;
}

/// The thin word of a first entry, or 0 if the thread's id does not fit.
uint32_t thinWord(ThreadId thread) {
  return thread <= kLockMaxThinThread ? uint32_t(thread) << kLockOwnerShift : 0;
}

bool replace(std::atomic<uint32_t>& lockWord, uint32_t expected, uint32_t desired) {
  return lockWord.compare_exchange_strong(expected, desired, std::memory_order_acq_rel);
}

}  // namespace

SyncHome::Monitor& SyncHome::Session::inflated(ObjectRef object) {
  auto found = shard_.monitors.find(object);
  JVMC_CHECK(found != shard_.monitors.end(), object);
  return found->second;
}

/// Turns a free or thin word into an inflated monitor with the same owner. Null: the word changed meanwhile.
SyncHome::Monitor* SyncHome::Session::tryInflate(ObjectRef object, uint32_t word) {
  // An object that died while inflated may have left an entry behind; the word of its successor says it is void.
  shard_.monitors.erase(object);
  Monitor& monitor = shard_.monitors[object];
  monitor.owner = thinOwner(word);
  monitor.count = thinCount(word);
  if (JVMC_FAULT("inflate-without-cas")) {
    std::this_thread::yield();  // the window, opened wide: machines differ
    header(object)->lockWord = kLockInflated;
    return &monitor;
  }
  if (replace(header(object)->lockWord, word, kLockInflated)) return &monitor;
  shard_.monitors.erase(object);
  return nullptr;
}

/// As the header at home says; a borrowed monitor is inflated.
uint32_t SyncHome::Session::lockWord(ObjectRef object) const {
  return findAt(object, Place::Borrowed) ? kLockInflated : header(object)->lockWord.load(std::memory_order_acquire);
}

SyncHome::Answer SyncHome::Session::monitor(const SyncRequest& request, NodeId from) {
  if (Monitor* lent = findAt(request.object, Place::Lent)) {
    const bool isUrgent = request.op != SyncOp::MonitorEnter;
    lent->awaiting.push_back({request, from});
    if (!std::exchange(lent->recalled, true) || isUrgent)
      tell([object = request.object, to = lent->lentTo, isUrgent](Lender& lender) {
        lender.recall(object, to, isUrgent);
      });
    return std::nullopt;
  }
  switch (request.op) {
    case SyncOp::MonitorEnter:
      return monitorEnter(request, from);
    case SyncOp::MonitorExit:
      return monitorExit(request, from);
    case SyncOp::MonitorWait:
      return monitorWait(request, from);
    case SyncOp::MonitorNotify:
      return monitorNotify(request, false);
    case SyncOp::MonitorNotifyAll:
      return monitorNotify(request, true);
    case SyncOp::CancelWait:
      return cancelWait(request);
    default:
      JVMC_UNREACHABLE("no operation on a monitor", int(request.op));
  }
}

SyncHome::Answer SyncHome::Session::monitorEnter(const SyncRequest& request, NodeId from) {
  const NodeId node = from.valid() ? from : ports_.self;
  noteInterest(request.object, from);
  auto& lockWord = header(request.object)->lockWord;
  Monitor* monitor = nullptr;
  while (!monitor) {
    uint32_t word = this->lockWord(request.object);
    if (isInflated(word)) {
      monitor = &inflated(request.object);
      break;
    }
    uint32_t mine = thinWord(request.thread.id);
    if (word == 0 && mine) {
      if (replace(lockWord, 0, mine)) return valueAnswer(0, true);
    } else if (word != 0 && thinOwner(word) == request.thread.id && thinCount(word) < kMaxThinCount) {
      if (replace(lockWord, word, word + 1)) return valueAnswer(0, true);
    } else {
      monitor = tryInflate(request.object, word);
    }
  }
  if (node == ports_.self) noteEntry(*monitor);
  if (monitor->owner == request.thread.id) {
    ++monitor->count;
    return valueAnswer(0, true);
  }
  // While it lingers others wait, and threads here may overtake them.
  if (monitor->owner == 0 && (monitor->entering.empty() || node == ports_.self)) {
    own(*monitor, request.thread.id, node);
    return valueAnswer(0, true);
  }
  enqueue(monitor->entering, request, from);
  return std::nullopt;
}

SyncHome::Answer SyncHome::Session::monitorExit(const SyncRequest& request, NodeId from) {
  while (true) {
    uint32_t word = lockWord(request.object);
    if (isInflated(word)) break;
    if (word == 0 || thinOwner(word) != request.thread.id) return throwAnswer(BuiltinThrow::IllegalMonitor);
    if (replace(header(request.object)->lockWord, word, thinCount(word) ? word - 1 : 0)) return valueAnswer(0);
  }
  Monitor& monitor = inflated(request.object);
  if (monitor.owner != request.thread.id) return throwAnswer(BuiltinThrow::IllegalMonitor);
  if (monitor.count > 0)
    --monitor.count;
  else
    release(request.object, monitor, from);
  return valueAnswer(0);
}

/// The inflated monitor of an object that `thread` owns; inflates a thin one. Null: it is not the owner.
SyncHome::Monitor* SyncHome::Session::ownedMonitor(ObjectRef object, ThreadId thread) {
  while (true) {
    uint32_t word = lockWord(object);
    if (isInflated(word)) {
      Monitor& monitor = inflated(object);
      return monitor.owner == thread ? &monitor : nullptr;
    }
    if (word == 0 || thinOwner(word) != thread) return nullptr;
    if (Monitor* monitor = tryInflate(object, word)) return monitor;
  }
}

SyncHome::Answer SyncHome::Session::monitorWait(const SyncRequest& request, NodeId from) {
  Monitor* monitor = ownedMonitor(request.object, request.thread.id);
  if (!monitor) return throwAnswer(BuiltinThrow::IllegalMonitor);
  Waiter& waiter = enqueue(monitor->waiting, request, from);
  waiter.count = monitor->count;
  startTimer(waiter, request.nanos);
  release(request.object, *monitor, from);
  return std::nullopt;
}

SyncHome::Answer SyncHome::Session::monitorNotify(const SyncRequest& request, bool all) {
  uint32_t word = lockWord(request.object);
  // A thin lock has no wait set.
  if (!isInflated(word)) {
    if (word != 0 && thinOwner(word) == request.thread.id) return valueAnswer(0);
    return throwAnswer(BuiltinThrow::IllegalMonitor);
  }
  Monitor& monitor = inflated(request.object);
  if (monitor.owner != request.thread.id) return throwAnswer(BuiltinThrow::IllegalMonitor);
  while (Waiter* waiter = monitor.waiting.first()) {
    stopWaiting(monitor, *waiter);
    if (!all) break;
  }
  return valueAnswer(0);
}

SyncHome::Answer SyncHome::Session::cancelWait(const SyncRequest& request) {
  Waiter* waiter = shard_.waiters.find(request.thread.id, request.a);
  if (!waiter) return valueAnswer(0);
  auto monitor = shard_.monitors.find(waiter->object);
  if (monitor != shard_.monitors.end() && waiter->queue == &monitor->second.waiting) {
    waiter->interrupted = true;
    stopWaiting(monitor->second, *waiter);
    return valueAnswer(0);
  }
  if (JVMC_FAULT("interrupt-eats-notification")) waiter->interrupted = true;
  // A join was ended where the thread is; only its place in the queue is left. Who is entering a monitor stays: it was
  // notified before it was interrupted.
  auto join = shard_.joins.find(waiter->object);
  if (join == shard_.joins.end() || waiter->queue != &join->second) return valueAnswer(0);
  stopTimer(*waiter);
  join->second.remove(*waiter);
  if (join->second.empty()) shard_.joins.erase(join);
  shard_.waiters.erase(*waiter);
  return valueAnswer(0);
}

void SyncHome::Session::timeout(ThreadId thread, uint64_t ticket) {
  Waiter* waiter = shard_.waiters.find(thread, ticket);
  if (!waiter) return;
  ObjectRef object = waiter->object;
  auto monitor = shard_.monitors.find(object);
  if (monitor != shard_.monitors.end() && waiter->queue == &monitor->second.waiting)
    return stopWaiting(monitor->second, *waiter);
  auto join = shard_.joins.find(object);
  if (join == shard_.joins.end() || waiter->queue != &join->second) return;
  answer(*waiter, valueAnswer(0));
  if (join->second.empty()) shard_.joins.erase(join);
}

/// From the wait set to the entry queue, or straight to ownership.
void SyncHome::Session::stopWaiting(Monitor& monitor, Waiter& waiter) {
  stopTimer(waiter);
  monitor.waiting.remove(waiter);
  monitor.entering.pushBack(waiter);
  if (monitor.owner == 0 && !monitor.lingers) passOn(waiter.object, monitor, true);
}

void SyncHome::Session::grant(ObjectRef object, Monitor& monitor, Waiter& waiter) {
  const NodeId node = waiter.node;
  own(monitor, waiter.thread.id, node);
  if (node != ports_.self && home_.lender_ && mayLend(shard_.interests[object]))
    tell([object, node](Lender& lender) { lender.shouldLend(object, node); });
  monitor.count = JVMC_FAULT("wait-forgets-recursion") ? 0 : waiter.count;
  Resumption end = waiter.interrupted ? throwAnswer(BuiltinThrow::Interrupted) : valueAnswer(0);
  end.acquire = true;
  end.remote = waiter.interrupted;  // wherever the interrupter is
  answer(waiter, end);
}

void SyncHome::Session::release(ObjectRef object, Monitor& monitor, NodeId from) {
  own(monitor, 0, from.valid() ? from : ports_.self);  // nobody, but the turn is that node's
  monitor.count = 0;
  if (!JVMC_FAULT("exit-wakes-nobody") || monitor.entering.empty()) passOn(object, monitor, false);
}

}  // namespace jvmc::rt
