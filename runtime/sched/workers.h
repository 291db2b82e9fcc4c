// Worker threads (TBB's) and the order in which they run threads.
//
//     urgent queue      <- woken from outside, slice left    -> any worker, first; one that runs another is interrupted
//     queue             <- new, or its slice is used up      -> any worker
//     slot of a worker  <- woken by the thread that runs there -> that worker, next
//
// A thread that waits keeps what is left of its time slice, and with it the right to run at once when its wait is over:
// others may wait for it (it has got a monitor, or answers a request). When the slice is used up it queues like all.
//
// The slot makes a wake-up on the same core cheap (a partner that is woken right before its waker parks finds a warm
// cache and no sleeping core). It stays fair: after kMaxChain slot runs in a row the queue comes first, the chain
// shares one time slice, and the tick hands a slot to an idle worker that its own worker leaves lying for long.
//
// A TBB task is one worker's turn: it dispatches threads until none is left, then returns to TBB, which spins for a
// while and sleeps. There are never more turns than workers, so a wake-up while all are busy costs no call into TBB.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/sched/thread_table.h"
#include "runtime/timers.h"

namespace jvmc::rt {

/// What a worker does with a thread.
class Dispatcher {
 public:
  /// Runs it until it stops running.
  virtual void execute(ThreadEntry& entry) = 0;
  /// Decides what becomes of it; it used `cpuNanos` in execute(). The entry to run next at once, or null.
  virtual ThreadEntry* settle(ThreadEntry& entry, uint64_t cpuNanos) = 0;

 protected:
  ~Dispatcher() = default;
};

class Workers final : private Timers::Sink {
 public:
  Workers(uint32_t count, int64_t timeSliceNanos, Timers& timers, Dispatcher& dispatcher);
  /// Returns when every worker is idle; nothing may be queued any more.
  ~Workers();

  /// To the back of the queue, with a new slice.
  void add(ThreadEntry& entry);
  /// Its wait is over. On one of the workers (on a fiber too): into the slot; `holds`: others wait for what it has got,
  /// so the thread that runs there makes room, unless another worker is idle. Else it comes before all that have not
  /// just waited, on an idle worker or on one that is asked to stop what it does; or as add() if its slice is used up.
  void wake(ThreadEntry& entry, bool holds);
  /// It was running here and has been asked to stop: for one in a hurry, then it comes next in the queue and keeps its
  /// slice; else as add().
  void putBack(ThreadEntry& entry);

  struct Running {
    ThreadId thread;
    uint64_t cpuNanos;  ///< in this dispatch so far
    int64_t since;      ///< Timers::now() when it began
  };
  std::vector<Running> running();
  /// Workers that have something to do now, on a core or waiting for one.
  uint32_t occupied() const { return busy_; }
  /// Threads in the queue; those in slots are about to run.
  uint32_t queued() const { return queued_; }
  /// CPU time that each worker has spent on threads.
  std::vector<uint64_t> cpuNanos();

 private:
  struct Worker;
  struct Arena;  // TBB

  void takeTurn();
  ThreadEntry* next(Worker& worker, int& chained);
  ThreadEntry* dispatch(Worker& worker, ThreadEntry& entry);
  ThreadEntry* popLocked(bool& urgent);
  void hurry(ThreadEntry& entry);
  bool hasSlice(const ThreadEntry& entry) const { return entry.sliceMicros * int64_t(1000) < timeSliceNanos_; }
  static void cutShort(Worker& worker);
  void enqueue(ThreadEntry& entry, void (Workers::*where)(ThreadEntry&));
  void pushUrgent(ThreadEntry& entry);
  void pushFront(ThreadEntry& entry);
  void pushBack(ThreadEntry& entry);
  void interruptOne();
  void startTick();
  void onTimer(uint64_t, uint64_t, uint64_t) override;

  const int64_t timeSliceNanos_;
  Timers& timers_;
  Dispatcher& dispatcher_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Arena> arena_;

  std::mutex mutex_;
  std::condition_variable idle_;
  struct Queue {
    ThreadEntry* first = nullptr;
    ThreadEntry* last = nullptr;
  };
  Queue urgent_, queue_;
  std::vector<Worker*> free_;  // workers without a turn
  uint32_t turns_ = 0;         // workers that are taking or about to take a turn
  std::atomic<uint32_t> queued_{0};
  std::atomic<uint32_t> busy_{0};  // turns_, to look at without the mutex
  std::atomic<bool> ticking_{false};
};

}  // namespace jvmc::rt
