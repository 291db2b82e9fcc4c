#include "runtime/sched/node_scheduler.h"

#include <algorithm>

#include "ir/support/check.h"
#include "ir/support/fault.h"
#include "runtime/prof/cpu_sampler.h"
#include "runtime/vm.h"

namespace jvmc::rt {

std::unique_ptr<Scheduler> createScheduler(Vm& vm, SchedulerOptions options, GuestCode code) {
  return std::make_unique<NodeScheduler>(vm, options, std::move(code));
}

NodeScheduler::NodeScheduler(Vm& vm, SchedulerOptions options, GuestCode code)
    : vm_(vm), code_(std::move(code)), workers_(options.workers, options.timeSliceNanos, timers_, *this) {}

NodeScheduler::~NodeScheduler() {
  stopAll();
  timers_.forget(*this);
}

// ---------------------------------------------------------------- coming and going

bool NodeScheduler::adopt(std::unique_ptr<GuestThread> thread) {
  ThreadId id = thread->ref.id;
  if (history_.wasHere(id, thread->incarnation) && !JVMC_FAULT("run-thread-twice")) return false;
  if (vm_.tracer().isOn()) {
    const int64_t now = Tracer::now();
    vm_.tracer().add({TraceKind::Arrive, 0, id, now, now, thread->incarnation});
  }
  auto owned = std::make_unique<ThreadEntry>(std::move(thread));
  GuestThread& guest = *owned->thread;
  bool waits = guest.wait.kind != WaitKind::None;
  // Running until its place is decided below: mail that comes meanwhile is kept as for a thread that is about to park.
  guest.state = ThreadState::Running;
  guest.requests.store(stopping_ ? uint32_t(kRequestStop) : 0);
  ThreadEntry* entry = table_.insert(std::move(owned));
  if (!entry) return false;

  if (waits && guest.wait.remainingNanos > 0) armTimer(guest, guest.wait.remainingNanos);
  Effects effects;
  {
    std::scoped_lock lock(guest.mutex);
    if (!waits || parkLocked(*entry, effects)) {
      guest.state = ThreadState::Ready;
      effects.wake = nullptr;
      waits = false;
    } else if (stopping_) {
      guest.state = ThreadState::Ended;
      effects.discard = entry;
    }
  }
  perform(effects);
  if (!waits) workers_.add(*entry);
  for (auto& [to, mail] : history_.takeMail(id)) deliver(to, mail);
  return true;
}

/// The thread is over: its entry goes.
void NodeScheduler::finish(ThreadEntry& entry) {
  std::unique_ptr<ThreadEntry> removed = table_.remove(entry.thread->ref.id);
  timers_.cancel(removed->timer);
  if (vm_.shipper()) history_.note(removed->thread->ref.id, removed->thread->incarnation, ThreadHistory::Fate::Ended);
  std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

/// The thread is Shipped: it goes to its target.
void NodeScheduler::ship(ThreadEntry& entry) {
  World::GuestAccess access(vm_.world());  // until the shipper has it, nobody tells the collector about its frames
  std::unique_ptr<ThreadEntry> removed = table_.remove(entry.thread->ref.id);
  std::unique_ptr<GuestThread> thread = std::move(removed->thread);
  history_.note(thread->ref.id, thread->incarnation, ThreadHistory::Fate::Left);
  ++thread->incarnation;
  ++thread->stats.moves;
  thread->requests.store(0);
  thread->captureReason = CaptureReason::None;
  thread->pinned = removed->pinOnArrival;
  NodeId target = thread->migrateTarget;
  const bool isTraced = vm_.tracer().isOn();
  TraceEvent leave{TraceKind::Leave,   target.value, thread->ref.id, isTraced ? Tracer::now() : 0, 0,
                   thread->incarnation};
  vm_.shipper()->ship(std::move(thread), target);
  if (isTraced) {
    leave.end = Tracer::now();
    vm_.tracer().add(leave);
  }
  std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

void NodeScheduler::perform(const Effects& effects) {
  timers_.cancel(effects.cancel);
  if (effects.post) vm_.space().post(*effects.post);
  if (effects.mail) vm_.post().send(effects.mail->first, effects.mail->second);
  if (effects.wake) workers_.wake(*effects.wake, effects.holds);
  if (effects.ship) ship(*effects.ship);
  if (effects.discard) finish(*effects.discard);
}

bool NodeScheduler::mayMove(const GuestThread& thread) const {
  return vm_.shipper() && !thread.pinned && !thread.ending && thread.migrateTarget.valid() &&
         thread.migrateTarget != vm_.options().node && !stopping_;
}

// ---------------------------------------------------------------- one dispatch

void NodeScheduler::execute(ThreadEntry& entry) {
  // The thread may be over afterwards, but its entry is not gone before it is settled.
  const ThreadId thread = entry.thread->ref.id;
  const int64_t begin = vm_.tracer().isOn() ? Tracer::now() : 0;
  run(entry);
  if (vm_.tracer().isOn()) noteRun(thread, begin);
}

/// Up to now. It may have begun before anybody traced.
void NodeScheduler::noteRun(ThreadId thread, int64_t begin) {
  vm_.tracer().add({TraceKind::Run, 0, thread, std::max(begin, vm_.tracer().since()), Tracer::now(), 0});
}

void NodeScheduler::noteRuns() {
  for (const Workers::Running& running : workers_.running()) noteRun(running.thread, running.since);
}

void NodeScheduler::run(ThreadEntry& entry) {
  GuestThread& thread = *entry.thread;
  ThreadEntry::Step step;
  {
    std::scoped_lock lock(thread.mutex);
    thread.state = ThreadState::Running;
    thread.requests.fetch_and(~uint32_t(kRequestPreempt));
    step = std::exchange(entry.step, ThreadEntry::Step::Run);
    entry.suspension = nullptr;
    bool asked = thread.requests.load() & kRequestMigrate;
    if (step == ThreadEntry::Step::Run && asked && mayMove(thread)) step = ThreadEntry::Step::Flush;
  }
  if (stopping_ && step != ThreadEntry::Step::Resume) {
    entry.end = ThreadEntry::End::Discarded;
    return;
  }
  bool returned;
  if (step == ThreadEntry::Step::Resume) {
    CpuSampler::setRunning(&entry.fiber->context());
    returned = entry.fiber->resume();
  } else {
    entry.fiber = vm_.fibers().acquire();
    if (!entry.fiber) {
      entry.end = ThreadEntry::End::NoFiber;
      std::scoped_lock lock(thread.mutex);
      entry.step = step;
      return;
    }
    returned = entry.fiber->start([this, &entry, step] { runOnFiber(entry, step); });
  }
  CpuSampler::setRunning(nullptr);
  if (returned)
    releaseFiber(std::exchange(entry.fiber, nullptr));
  else
    entry.end = ThreadEntry::End::Suspended;
}

void NodeScheduler::prepareContext(GuestThread& thread, ThreadContext& ctx) {
  ctx.thread = &thread;
  ctx.vm = &vm_;
  ctx.classes = vm_.classes().infos();
  ctx.cells = vm_.classes().cells();
  ctx.clock = &vm_.clock();
  ctx.chunkStates = vm_.space().chunkStates();
  ctx.epoch = thread.epoch;
  ctx.writerSlot = thread.writerSlot;
  ctx.depthLimit = vm_.options().guestDepthLimit;
  ctx.lockOwner = thread.ref.id <= kLockMaxThinThread ? thread.ref.id << kLockOwnerShift : 0;
  ctx.threadObject = thread.ref.object;
  const Zeal& zeal = vm_.options().zeal;
  for (uint64_t every : {zeal.captureEvery, zeal.migrateEvery})
    if (every) ctx.safepointCountdown = std::min(ctx.safepointCountdown, every);
  thread.context.store(&ctx);
  // A request that came before the context was known waits for the first poll.
  if (thread.requests.load()) ctx.pollLimit.store(kPollRequested);
}

/// On the fiber: one stretch of guest code, and what must be done with its context still at hand.
void NodeScheduler::runOnFiber(ThreadEntry& entry, ThreadEntry::Step step) {
  GuestThread& thread = *entry.thread;
  ThreadContext& ctx = entry.fiber->context();
  prepareContext(thread, ctx);
  CpuSampler::setRunning(&ctx);
  vm_.world().enter(ctx);
  bool ended = false;
  if (step == ThreadEntry::Step::Flush)
    thread.captureReason = CaptureReason::Migrate;
  else
    ended = code_.run(ctx) == RunOutcome::Ended;
  // Set only now: the fiber may have been suspended and resumed meanwhile.
  entry.end = ended ? ThreadEntry::End::Ended : ThreadEntry::End::Captured;
  if (ended)
    vm_.onThreadEnd(thread, !thread.report.empty());
  else
    flushIfMoving(entry, ctx);
  vm_.heap().retire(ctx);
  thread.epoch = ctx.epoch;
  thread.writerSlot = ctx.writerSlot;
  {
    // Requests are made under this mutex: none reaches a context that has got another thread.
    std::scoped_lock lock(thread.mutex);
    thread.context.store(nullptr);
  }
  vm_.world().leave(ctx);
  vm_.world().remove(ctx);
}

/// A thread that leaves sends its writes home first. If that takes time, the answer is mail with a ticket of its own:
/// the thread's wait, if it has one, keeps its ticket.
void NodeScheduler::flushIfMoving(ThreadEntry& entry, ThreadContext& ctx) {
  GuestThread& thread = *entry.thread;
  uint64_t ticket;
  {
    std::scoped_lock lock(thread.mutex);
    bool asked = thread.captureReason == CaptureReason::Migrate || thread.requests.load() & kRequestMigrate;
    if (!asked || !mayMove(thread)) return;
    entry.moving = true;
    ticket = entry.flushTicket = kFlushTickets | ++flushTickets_;
  }
  if (!vm_.space().release(ctx, ticket) && !JVMC_FAULT("thread-leaves-while-its-writes-go-home")) return;
  std::scoped_lock lock(thread.mutex);
  entry.flushTicket = 0;
}

void NodeScheduler::releaseFiber(Fiber* fiber) {
  vm_.fibers().release(fiber);
  ThreadEntry* next = nullptr;
  {
    std::scoped_lock lock(mutex_);
    if (waitingForFiber_.empty()) return;
    next = waitingForFiber_.front();
    waitingForFiber_.pop_front();
  }
  workers_.add(*next);
}

ThreadEntry* NodeScheduler::settle(ThreadEntry& entry, uint64_t cpuNanos) {
  switch (entry.end) {
    case ThreadEntry::End::Captured:
      return settleCaptured(entry, cpuNanos);
    case ThreadEntry::End::Suspended:
      return settleSuspended(entry, cpuNanos);
    case ThreadEntry::End::NoFiber: {
      // Every fiber is suspended or running; the next one that is given back is ours.
      std::scoped_lock lock(mutex_);
      waitingForFiber_.push_back(&entry);
      return nullptr;
    }
    case ThreadEntry::End::Ended:
    case ThreadEntry::End::Discarded:
      finish(entry);
      return nullptr;
  }
  JVMC_UNREACHABLE(int(entry.end));
}

ThreadEntry* NodeScheduler::settleCaptured(ThreadEntry& entry, uint64_t cpuNanos) {
  GuestThread& thread = *entry.thread;
  Effects effects;
  bool goesOn = false;
  bool sliceOver;
  {
    std::scoped_lock lock(thread.mutex);
    entry.cpu.add(timers_.now(), cpuNanos);
    entry.stats = thread.stats;
    CaptureReason reason = std::exchange(thread.captureReason, CaptureReason::None);
    JVMC_CHECK(reason != CaptureReason::None, thread.ref.id);
    sliceOver = reason == CaptureReason::Preempt || thread.requests.load() & kRequestPreempt;
    if (stopping_ || reason == CaptureReason::Stop) {
      thread.state = ThreadState::Ended;
      effects.discard = &entry;
    } else if (entry.moving) {
      thread.state = ThreadState::Parked;
      if (entry.flushTicket == 0) detachLocked(entry, effects);
    } else if (thread.wait.kind != WaitKind::None) {
      goesOn = parkLocked(entry, effects);
      effects.wake = nullptr;
    } else {
      thread.state = ThreadState::Ready;
      goesOn = true;
    }
  }
  perform(effects);
  if (!goesOn) return nullptr;
  if (!sliceOver) return &entry;
  workers_.putBack(entry);
  return nullptr;
}

// ---------------------------------------------------------------- suspended fibers

std::shared_ptr<Scheduler::Suspension> NodeScheduler::prepareSuspend(ThreadContext& ctx) {
  auto suspension = std::make_shared<Suspension>();
  ThreadTable::Locked locked = table_.find(ctx.thread->ref.id);
  JVMC_CHECK(locked);
  suspension->entry = locked.entry;
  return suspension;
}

void NodeScheduler::suspend(ThreadContext& ctx, std::shared_ptr<Suspension> token) {
  ThreadEntry& entry = *token->entry;
  entry.suspending = token.get();
  entry.token = std::move(token);
  vm_.world().leave(ctx);
  entry.fiber->suspend();
  vm_.world().enter(ctx);
  entry.token = nullptr;
}

ThreadEntry* NodeScheduler::settleSuspended(ThreadEntry& entry, uint64_t cpuNanos) {
  Suspension& suspension = *entry.suspending;
  {
    std::scoped_lock lock(entry.thread->mutex);
    entry.cpu.add(timers_.now(), cpuNanos);
    entry.step = ThreadEntry::Step::Resume;
    entry.suspension = &suspension;
  }
  // From the exchange on the thread belongs to whoever resumes it, unless that has happened already.
  bool resumed = suspension.state.exchange(Suspension::Suspended) == Suspension::Resumed;
  if (resumed && !JVMC_FAULT("early-resume-is-lost")) return &entry;
  int suspended = Suspension::Suspended;
  if (stopping_ && suspension.state.compare_exchange_strong(suspended, Suspension::Discarded)) discardSuspended(entry);
  return nullptr;
}

/// The program ends: what the fiber waits for does not matter any more.
void NodeScheduler::discardSuspended(ThreadEntry& entry) {
  ThreadContext& ctx = entry.fiber->context();
  {
    World::GuestAccess access(vm_.world());
    vm_.heap().retire(ctx);  // others may still run: what this thread has stored must not be lost to the collector
  }
  vm_.world().remove(ctx);
  releaseFiber(std::exchange(entry.fiber, nullptr));
  finish(entry);
}

void NodeScheduler::resume(Suspension& suspension) {
  ThreadEntry* entry = suspension.entry;
  if (suspension.state.exchange(Suspension::Resumed) == Suspension::Suspended) workers_.wake(*entry, false);
}

// ---------------------------------------------------------------- time

void NodeScheduler::armTimer(GuestThread& thread, int64_t nanos) {
  ThreadTable::Locked locked = table_.find(thread.ref.id);
  JVMC_CHECK(locked, thread.ref.id);
  locked->deadline = timers_.now() + nanos;
  locked->timer = timers_.arm(nanos, *this, thread.ref.id, thread.wait.ticket, 0);
}

// ---------------------------------------------------------------- views and the end

std::vector<ThreadSnapshot> NodeScheduler::snapshot() const {
  std::unordered_map<ThreadId, uint64_t> inProgress;
  for (const Workers::Running& running : workers_.running()) inProgress[running.thread] = running.cpuNanos;
  std::vector<ThreadSnapshot> all;
  int64_t now = timers_.now();
  table_.forEach([&](ThreadEntry& entry) {
    const GuestThread& thread = *entry.thread;
    CpuMeter cpu = entry.cpu;
    auto found = inProgress.find(thread.ref.id);
    uint64_t running = found != inProgress.end() ? found->second : 0;
    cpu.add(now, running);
    WaitState wait = thread.state == ThreadState::Parked ? thread.wait : WaitState{};
    // Frames of a running thread change under our eyes.
    size_t frameBytes = thread.state == ThreadState::Running ? 0 : thread.frames.bytes();
    all.push_back({thread.ref, thread.name, thread.state, wait, thread.incarnation, entry.stats, running,
                   cpu.recent(now), frameBytes, thread.pinned, entry.moving, entry.suspension != nullptr, entry.parks});
  });
  return all;
}

void NodeScheduler::visitThreads(
    const std::function<void(const GuestThread&, bool moving, bool suspended)>& visit) const {
  table_.forEach([&](ThreadEntry& entry) {
    const bool suspended = entry.thread->state == ThreadState::Running && entry.suspension != nullptr;
    visit(*entry.thread, entry.moving, suspended);
  });
}

void NodeScheduler::visitRoots(const std::function<void(ObjectRef)>& visit) {
  table_.forEach([&](ThreadEntry& entry) {
    code_.visitReferences(*entry.thread, visit);
    if (ThreadContext* ctx = entry.thread->context.load(); ctx && ctx->exception != kNullRef) visit(ctx->exception);
  });
}

void NodeScheduler::visitAnswers(const std::function<void(const Resumption&)>& visit) {
  table_.forEach([&](ThreadEntry& entry) {
    if (entry.thread->earlyAnswer && !JVMC_FAULT("early-answer-is-no-root")) visit(*entry.thread->earlyAnswer);
  });
  history_.forEachKept([&](const ThreadMail& mail) { visit(mail.answer); });
}

void NodeScheduler::waitIdle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || table_.size() == 0; });
}

void NodeScheduler::stopAll() {
  stopping_ = true;
  std::vector<ThreadEntry*> parked, suspended;
  table_.forEach([&](ThreadEntry& entry) {
    GuestThread& thread = *entry.thread;
    thread.request(kRequestStop);
    int waiting = Suspension::Suspended;
    if (entry.suspension && entry.suspension->state.compare_exchange_strong(waiting, Suspension::Discarded))
      suspended.push_back(&entry);
    if (thread.state != ThreadState::Parked) return;
    thread.state = ThreadState::Ended;
    parked.push_back(&entry);
  });
  for (ThreadEntry* entry : parked) finish(*entry);
  for (ThreadEntry* entry : suspended) discardSuspended(*entry);
  std::unique_lock lock(mutex_);
  changed_.notify_all();
  changed_.wait(lock, [&] { return table_.size() == 0; });
  lock.unlock();
  timers_.stop();
}

}  // namespace jvmc::rt
