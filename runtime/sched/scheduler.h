// Runs guest threads of one node: a TBB task is one dispatch of one thread on a fiber; it runs until the thread parks,
// is preempted or ends, and then returns. Owns every GuestThread of the node. Design: docs/internals/threads.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/object_space.h"
#include "runtime/outside.h"
#include "runtime/timers.h"

namespace jvmc::rt {

class Vm;

struct SchedulerOptions {
  uint32_t workers = 1;
  int64_t timeSliceNanos = 10'000'000;
};

/// What a view of the node shows about a thread.
struct ThreadSnapshot {
  ThreadRef ref;
  std::string name;
  ThreadState state;
  WaitState wait;
  uint32_t incarnation;
  ThreadStats stats;         ///< as of the last time it was captured
  uint64_t cpuNanosRunning;  ///< CPU since then, if it runs
  uint64_t cpuNanosRecent;   ///< CPU in the last 100 ms window, for the balancer
  size_t frameBytes;
  bool pinned;     ///< by the program or by a command
  bool moving;     ///< about to be shipped
  bool suspended;  ///< Running, but its fiber waits for a remote object or for memory
  uint32_t parks;  ///< how often it has parked here: the same twice means that it has been runnable all the time
};

class Scheduler : public ThreadPost {
 public:
  static std::unique_ptr<Scheduler> create(Vm& vm, SchedulerOptions options);
  ~Scheduler() override = default;

  /// Takes a new or arrived thread. New: Ready. Arrived while waiting: re-arms its timer, stays Parked; mail that came
  /// before it is delivered now. False if a thread of this id and incarnation (or a later one) is or was here.
  virtual bool adopt(std::unique_ptr<GuestThread> thread) = 0;

  /// The thread is on this node now: in the table, not ended and not on its way elsewhere.
  virtual bool isHere(ThreadId thread) const = 0;
  /// ThreadPost for threads on this node. Returns false if the thread is not (or no longer) here.
  virtual bool deliver(const ThreadRef& to, const ThreadMail& mail) = 0;
  void send(const ThreadRef& to, const ThreadMail& mail) override { deliver(to, mail); }
  /// Answer of an outside call. If the thread has moved on meanwhile, it follows as mail (an array or exception that it
  /// brings stays here).
  virtual bool completeOutside(const ThreadRef& to, uint64_t ticket, OutsideResult result) = 0;

  /// Called on a fiber inside a marker's slow path: suspends it until `resume` of the given token is called, once, from
  /// any thread, perhaps before suspend() has finished.
  struct Suspension;
  virtual std::shared_ptr<Suspension> prepareSuspend(ThreadContext&) = 0;
  /// Takes the token: nothing on the fiber's stack may own anything meanwhile, since a program that ends discards it.
  virtual void suspend(ThreadContext&, std::shared_ptr<Suspension> token) = 0;
  virtual void resume(Suspension&) = 0;

  /// Starts a wait that ends by timer if nothing else ends it: sleep, timed park (answer value 0).
  virtual void armTimer(GuestThread& thread, int64_t nanos) = 0;

  /// The node's alarm clock. Lives as long as the scheduler.
  virtual Timers& timers() = 0;

  virtual std::vector<ThreadSnapshot> snapshot() const = 0;
  /// Profiler or tracer has just begun to look at waits: those that go on count from now.
  virtual void beginWaits() = 0;
  /// Tells them of waits that go on, up to now; they count anew from here.
  virtual void noteWaits() = 0;
  /// Tells the tracer of threads that run, up to now. Right before it stops.
  virtual void noteRuns() = 0;
  /// Visits each thread here with its mutex held. Frames of those that have a context change meanwhile unless the world
  /// is stopped.
  virtual void visitThreads(
      const std::function<void(const GuestThread&, bool moving, bool suspended)>& visit) const = 0;
  virtual size_t threadCount() const = 0;
  /// Workers that have threads to run at this moment, whether the machine gives them a core or not.
  virtual uint32_t occupiedWorkers() const = 0;
  /// Threads that are ready and wait for a worker.
  virtual uint32_t queuedThreads() const = 0;
  /// CPU time of each worker since the start, spent on threads.
  virtual std::vector<uint64_t> workerCpuNanos() const = 0;
  /// Waits until no thread is left on this node or stopAll was called.
  virtual void waitIdle() = 0;
  /// Every thread unwinds and is discarded; returns when no guest code runs any more and no alarm goes off any more.
  /// Not from a worker or the timer thread.
  virtual void stopAll() = 0;
  /// Visits references in data frames, resumptions and waits of all threads. World stopped.
  virtual void visitRoots(const std::function<void(ObjectRef)>& visit) = 0;
  /// Visits answers that came before their threads had finished parking, or before these threads were here. What frame
  /// they go to nobody knows yet, nor so whether the value is a reference. World stopped.
  virtual void visitAnswers(const std::function<void(const Resumption&)>& visit) = 0;
};

}  // namespace jvmc::rt
