#include "runtime/sync/sync_home.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/support/check.h"
#include "ir/support/fault.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/sync/atomic_access.h"
#include "runtime/sync/session.h"

namespace jvmc::rt {

std::optional<Resumption> SyncHome::handle(const SyncRequest& request, NodeId from) {
  const bool remote = from.valid();
  // Whoever acquires after this release, here or elsewhere, must read a later clock than any copy fetched before it.
  if (remote && request.isRelease() && !JVMC_FAULT("remote-release-does-not-tick")) ports_.clock.fetch_add(kEpochStep);
  Answer answer;
  auto& threadState = *reinterpret_cast<std::atomic<int32_t>*>(request.object + ports_.threadStateOffset);
  switch (request.op) {
    case SyncOp::Atomic:
      if (remote && request.atomicOp == AtomicOp::Load && request.b == kLoadUnlike && !request.isReference) {
        answer = Session(*this, request.object).awaitChange(request);
        break;
      }
      answer = accessField(request);
      if (request.atomicOp != AtomicOp::Load && spinners_ > 0)
        Session(*this, request.object).lookForChange(request.object, false);
      break;
    case SyncOp::ThreadStart: {
      int32_t unstarted = 0;
      answer =
          threadState.compare_exchange_strong(unstarted, 1) ? valueAnswer(0) : throwAnswer(BuiltinThrow::IllegalThread);
      break;
    }
    case SyncOp::ThreadIsAlive:
      answer = valueAnswer(threadState.load() == 1, true);
      break;
    case SyncOp::ThreadEnd:
      answer = Session(*this, request.object).threadEnd(request, threadState);
      break;
    case SyncOp::ThreadJoin:
      answer = Session(*this, request.object).threadJoin(request, threadState);
      break;
    case SyncOp::ClassInitBegin:
      answer = Session(*this, request.object).classInitBegin(request);
      break;
    case SyncOp::ClassInitEnd:
      answer = Session(*this, request.object).classInitEnd(request);
      break;
    case SyncOp::Unpark:
    case SyncOp::Interrupt:
    case SyncOp::IsInterrupted:
      JVMC_UNREACHABLE("mail to a thread, not an operation on an object", int(request.op));
    default:
      answer = Session(*this, request.object).monitor(request, from);
  }
  if (answer) answer->remote = remote;
  return answer;
}

Resumption SyncHome::accessField(const SyncRequest& request) {
  bool stores = request.atomicOp != AtomicOp::Load;
  if (stores && request.isReference && ports_.storeBarrier)
    ports_.storeBarrier(request.object, request.offset, request.atomicOp == AtomicOp::Cas ? request.b : request.a);
  uint64_t value =
      accessAtomically(request.atomicOp, request.object + request.offset, request.sizeLog2, request.a, request.b);
  return valueAnswer(value, request.isAcquire());
}

void SyncHome::onTimer(uint64_t object, uint64_t thread, uint64_t ticket) {
  if (thread == 0 && ticket == kLooksForChange) return Session(*this, object).lookForChange(object, true);
  if (thread == 0) return Session(*this, object).endLinger(object);
  Session(*this, object).timeout(thread, ticket);
}

SyncState SyncHome::take(ObjectRef object) {
  return Session(*this, object).take(object);
}

void SyncHome::put(ObjectRef object, const SyncState& state) {
  Session(*this, object).put(object, state);
}

void SyncHome::visitRoots(const std::function<void(ObjectRef)>& visit) const {
  for (const Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    for (const auto& [object, monitor] : shard.monitors) {
      visit(object);
      for (const auto& [request, from] : monitor.awaiting)
        if (request.thread.object != kNullRef) visit(request.thread.object);
    }
    for (const auto& [object, spinning] : shard.spinning) {
      visit(object);
      for (const Spinner& each : spinning.threads)
        if (each.thread.object != kNullRef) visit(each.thread.object);
    }
    shard.waiters.forEach([&](const Waiter& waiter) {
      visit(waiter.object);
      if (waiter.thread.object != kNullRef) visit(waiter.thread.object);
    });
  }
}

std::vector<std::pair<ObjectRef, SyncState>> SyncHome::states() const {
  std::unordered_map<ObjectRef, SyncState> all;
  const auto list = [](const WaiterQueue& queue) {
    std::vector<SyncState::Waiting> waiting;
    for (const Waiter* each = queue.first(); each; each = each->next)
      waiting.push_back({each->thread, each->ticket, each->node, each->count, each->interrupted, 0});
    return waiting;
  };
  for (const Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    for (const auto& [object, monitor] : shard.monitors) {
      if (monitor.place == Place::Lent) continue;  // whoever has it knows
      SyncState& state = all[object];
      state.inflated = true;
      state.owner = monitor.owner;
      state.count = monitor.count;
      state.entering = list(monitor.entering);
      state.waiting = list(monitor.waiting);
    }
    for (const auto& [object, queue] : shard.joins) all[object].joining = list(queue);
    for (const auto& [object, init] : shard.classInits) {
      SyncState& state = all[object];
      state.classInit = init.state;
      state.initRunner = init.runner;
      state.initWaiting = list(init.waiting);
    }
  }
  return {all.begin(), all.end()};
}

std::string SyncHome::describe() const {
  size_t monitors = 0, waiters = 0;
  for (const Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    monitors += shard.monitors.size();
    waiters += shard.waiters.size();
  }
  return fmt::format("{} inflated monitors, {} waiting threads", monitors, waiters);
}

// ---------------------------------------------------------------- session

SyncHome::Session::~Session() {
  lock_.unlock();
  for (const auto& [to, mail] : mail_) ports_.post.send(to, mail);
  for (const auto& what : told_) what(*home_.lender_);
}

Waiter& SyncHome::Session::enqueue(WaiterQueue& queue, const SyncRequest& request, NodeId from) {
  JVMC_CHECK(!shard_.waiters.find(request.thread.id, request.ticket), request.thread.id, request.ticket);
  Waiter& waiter = shard_.waiters.add(request.thread, request.ticket, request.object);
  waiter.node = from.valid() ? from : ports_.self;
  queue.pushBack(waiter);
  return waiter;
}

void SyncHome::Session::startTimer(Waiter& waiter, int64_t nanos) {
  if (nanos <= 0) return;
  waiter.deadline = ports_.timers.now() + nanos;
  waiter.timer =
      ports_.timers.arm(nanos, static_cast<Timers::Sink&>(home_), waiter.object, waiter.thread.id, waiter.ticket);
}

void SyncHome::Session::stopTimer(Waiter& waiter) {
  ports_.timers.cancel(std::exchange(waiter.timer, 0));
}

void SyncHome::Session::answer(Waiter& waiter, Resumption resumption) {
  stopTimer(waiter);
  if (waiter.queue) waiter.queue->remove(waiter);
  ThreadMail mail{ThreadMail::Kind::Answer, waiter.ticket, resumption, {}, {}};
  mail_.emplace_back(waiter.thread, mail);
  shard_.waiters.erase(waiter);
}

// ---------------------------------------------------------------- moving homes

std::vector<SyncState::Waiting> SyncHome::Session::takeQueue(WaiterQueue& queue) {
  std::vector<SyncState::Waiting> taken;
  while (Waiter* waiter = queue.first()) {
    int64_t remaining = 0;
    if (waiter->timer) remaining = std::max<int64_t>(1, waiter->deadline - ports_.timers.now());
    taken.push_back({waiter->thread, waiter->ticket, waiter->node, waiter->count, waiter->interrupted, remaining});
    stopTimer(*waiter);
    queue.remove(*waiter);
    shard_.waiters.erase(*waiter);
  }
  return taken;
}

void SyncHome::Session::putQueue(WaiterQueue& queue, ObjectRef object, const std::vector<SyncState::Waiting>& waiting) {
  for (const SyncState::Waiting& each : waiting) {
    Waiter& waiter = shard_.waiters.add(each.thread, each.ticket, object);
    waiter.node = each.node;
    waiter.count = each.count;
    waiter.interrupted = each.interrupted;
    queue.pushBack(waiter);
    startTimer(waiter, each.remainingNanos);
  }
}

SyncState SyncHome::Session::take(ObjectRef object) {
  if (home_.spinners_ > 0) lookForChange(object, false, /*isLeaving=*/true);
  SyncState state;
  bool inflated = header(object)->lockWord.load(std::memory_order_acquire) & kLockInflated;
  if (auto monitor = shard_.monitors.find(object); inflated && monitor != shard_.monitors.end()) {
    state.inflated = true;
    state.owner = monitor->second.owner;
    state.count = monitor->second.count;
    state.entering = takeQueue(monitor->second.entering);
    state.waiting = takeQueue(monitor->second.waiting);
    shard_.monitors.erase(monitor);
  }
  if (auto join = shard_.joins.find(object); join != shard_.joins.end()) {
    state.joining = takeQueue(join->second);
    shard_.joins.erase(join);
  }
  if (auto init = shard_.classInits.find(object); init != shard_.classInits.end()) {
    state.classInit = init->second.state;
    state.initRunner = init->second.runner;
    state.initWaiting = takeQueue(init->second.waiting);
    shard_.classInits.erase(init);
  }
  return state;
}

void SyncHome::Session::put(ObjectRef object, const SyncState& state) {
  if (state.inflated) {
    shard_.monitors.erase(object);
    Monitor& monitor = shard_.monitors[object];
    monitor.owner = state.owner;
    monitor.count = state.count;
    putQueue(monitor.entering, object, state.entering);
    putQueue(monitor.waiting, object, state.waiting);
    if (monitor.owner == 0) passOn(object, monitor, true);
  }
  if (!state.joining.empty()) putQueue(shard_.joins[object], object, state.joining);
  if (state.classInit != ClassInitState::None) {
    ClassInit& init = shard_.classInits[object];
    init.state = state.classInit;
    init.runner = state.initRunner;
    putQueue(init.waiting, object, state.initWaiting);
  }
}

}  // namespace jvmc::rt
