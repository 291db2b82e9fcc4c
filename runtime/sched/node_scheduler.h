// The scheduler: which thread runs, what ends its waits, and when it leaves. Threads run on Workers; their entries lie
// in a ThreadTable; alarms come from a TimerQueue. Design: docs/internals/threads.md.
//
// Each thread's state changes under its own mutex; what follows from a change (a wake-up, a shipment, mail to others)
// is collected as Effects and done after the mutex is released.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <optional>

#include "runtime/frames/driver.h"
#include "runtime/sched/scheduler.h"
#include "runtime/sched/thread_history.h"
#include "runtime/sched/thread_table.h"
#include "runtime/sched/timer_queue.h"
#include "runtime/sched/workers.h"

namespace jvmc::rt {

/// What the scheduler does not know itself: how to run a thread, and which references its frames hold.
struct GuestCode {
  std::function<RunOutcome(ThreadContext&)> run;
  std::function<void(const GuestThread&, const std::function<void(ObjectRef)>&)> visitReferences;
};

/// Scheduler::create with other guest code than the interpreter's (tests run C++ functions as guest threads).
std::unique_ptr<Scheduler> createScheduler(Vm& vm, SchedulerOptions options, GuestCode code);

/// Waits while a marker's slow path is under way: whoever comes second, the worker that left the fiber or the one who
/// resumes, queues the thread.
struct Scheduler::Suspension {
  enum State : int { Pending, Suspended, Resumed, Discarded };
  ThreadEntry* entry = nullptr;
  std::atomic<int> state{Pending};
};

class NodeScheduler final : public Scheduler, private Dispatcher, private Timers::Sink {
 public:
  NodeScheduler(Vm& vm, SchedulerOptions options, GuestCode code);
  ~NodeScheduler() override;

  bool adopt(std::unique_ptr<GuestThread> thread) override;
  bool isHere(ThreadId thread) const override;
  bool deliver(const ThreadRef& to, const ThreadMail& mail) override;
  bool completeOutside(const ThreadRef& to, uint64_t ticket, OutsideResult result) override;

  std::shared_ptr<Suspension> prepareSuspend(ThreadContext& ctx) override;
  void suspend(ThreadContext& ctx, std::shared_ptr<Suspension> token) override;
  void resume(Suspension& suspension) override;

  void armTimer(GuestThread& thread, int64_t nanos) override;
  Timers& timers() override { return timers_; }

  std::vector<ThreadSnapshot> snapshot() const override;
  void beginWaits() override;
  void noteWaits() override;
  void noteRuns() override;
  void visitThreads(const std::function<void(const GuestThread&, bool moving, bool suspended)>& visit) const override;
  size_t threadCount() const override { return table_.size(); }
  uint32_t occupiedWorkers() const override { return workers_.occupied(); }
  uint32_t queuedThreads() const override { return workers_.queued(); }
  std::vector<uint64_t> workerCpuNanos() const override { return workers_.cpuNanos(); }
  void waitIdle() override;
  void stopAll() override;
  void visitRoots(const std::function<void(ObjectRef)>& visit) override;
  void visitAnswers(const std::function<void(const Resumption&)>& visit) override;

 private:
  /// What to do once the thread's mutex is free.
  struct Effects {
    ThreadEntry* wake = nullptr;
    bool holds = false;  ///< it has got a monitor, for which others may wait
    ThreadEntry* ship = nullptr;
    ThreadEntry* discard = nullptr;
    Timers::Id cancel = 0;
    std::optional<SyncRequest> post;
    std::optional<std::pair<ThreadRef, ThreadMail>> mail;
  };
  void perform(const Effects& effects);

  // -- dispatch (node_scheduler.cpp)
  void execute(ThreadEntry& entry) override;
  void run(ThreadEntry& entry);
  ThreadEntry* settle(ThreadEntry& entry, uint64_t cpuNanos) override;
  void runOnFiber(ThreadEntry& entry, ThreadEntry::Step step);
  void prepareContext(GuestThread& thread, ThreadContext& ctx);
  void releaseFiber(Fiber* fiber);
  void flushIfMoving(ThreadEntry& entry, ThreadContext& ctx);
  ThreadEntry* settleCaptured(ThreadEntry& entry, uint64_t cpuNanos);
  ThreadEntry* settleSuspended(ThreadEntry& entry, uint64_t cpuNanos);
  void discardSuspended(ThreadEntry& entry);
  void finish(ThreadEntry& entry);
  void ship(ThreadEntry& entry);
  bool mayMove(const GuestThread& thread) const;
  void onTimer(uint64_t thread, uint64_t ticket, uint64_t kind) override;

  // -- waits and mail (mail.cpp); all with the thread's mutex held
  void applyLocked(ThreadEntry& entry, const ThreadMail& mail, Effects& effects);
  void answerLocked(ThreadEntry& entry, const ThreadMail& mail, Effects& effects);
  void interruptLocked(ThreadEntry& entry, Effects& effects);
  void pinLocked(ThreadEntry& entry, NodeId target, Effects& effects);
  void migrateLocked(ThreadEntry& entry, NodeId target, Effects& effects);
  void endWaitLocked(ThreadEntry& entry, const Resumption& answer, Effects& effects);
  /// Parks, unless the wait has ended already; then the thread is Ready and true is given.
  bool parkLocked(ThreadEntry& entry, Effects& effects);
  void detachLocked(ThreadEntry& entry, Effects& effects);
  void noteWaitLocked(ThreadEntry& entry);
  void noteRun(ThreadId thread, int64_t begin);
  bool deliverElsewhere(const ThreadRef& to, const ThreadMail& mail);
  void postLater(ThreadId thread);
  ObjectRef newByteArray(const std::string& bytes);
  ObjectRef newIoException(const std::string& message);

  /// Tickets of flushes are a space of their own beside those of waits.
  static constexpr uint64_t kFlushTickets = uint64_t(1) << 63;

  Vm& vm_;
  GuestCode code_;
  mutable ThreadTable table_;
  ThreadHistory history_;
  TimerQueue timers_;

  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> flushTickets_{0};
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::deque<ThreadEntry*> waitingForFiber_;

  // Last, so that it goes first: it waits for workers that have just finished a thread and are about to say so.
  mutable Workers workers_;
};

}  // namespace jvmc::rt
