// The threads of this node, by id. An entry is found and locked hand over hand (shard, then thread->mutex), so that
// nobody waits for the mutex of a thread that has just been taken out.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/fiber/fiber.h"
#include "runtime/frames/driver.h"
#include "runtime/sched/cpu_meter.h"
#include "runtime/sched/scheduler.h"
#include "runtime/thread.h"
#include "runtime/timers.h"

namespace jvmc::rt {

/// A thread and what the scheduler knows about it. Who may touch it follows from thread->state: Ready: the run queue
/// that holds it, then one worker; Running: that worker (or, suspended, its Suspension); Parked: whoever holds
/// thread->mutex; Shipped, Ended: whoever made it so.
struct ThreadEntry {
  explicit ThreadEntry(std::unique_ptr<GuestThread> t) : thread(std::move(t)) {}

  /// What the next dispatch does.
  enum class Step : uint8_t {
    Run,     ///< guest code
    Flush,   ///< sends its writes home, because it is about to move; its wait, if any, goes on
    Resume,  ///< continues the suspended fiber
  };
  /// How the last dispatch ended.
  enum class End : uint8_t { Captured, Ended, Suspended, NoFiber, Discarded };

  std::unique_ptr<GuestThread> thread;

  // Under thread->mutex.
  Step step = Step::Run;
  /// Tracer::now() / kParkedUnit when it was parked, while somebody wants to know; 0: unknown. Wraps after 73 minutes;
  /// entries of parked threads must be small.
  uint32_t parkedSince = 0;
  static constexpr int64_t kParkedUnit = 1024;
  static uint32_t parkedAt(int64_t nanos) { return uint32_t(nanos / kParkedUnit) | 1; }
  bool moving = false;       ///< it will be shipped to thread->migrateTarget as soon as its writes are home
  uint64_t flushTicket = 0;  ///< of the flush in flight, 0: none
  Timers::Id timer = 0;      ///< of the present wait
  int64_t deadline = 0;      ///< same
  CpuMeter cpu;
  uint32_t parks = 0;
  bool pinOnArrival = false;                    ///< it is to stay where it goes
  ThreadStats stats;                            ///< as of its last dispatch
  Scheduler::Suspension* suspension = nullptr;  ///< while its fiber is suspended

  // The worker's.
  End end = End::Captured;
  uint32_t sliceMicros = 0;  ///< used of its time slice, rounded up; its waker's too
  Fiber* fiber = nullptr;
  Scheduler::Suspension* suspending = nullptr;   ///< on the way from suspend() to the worker
  std::shared_ptr<Scheduler::Suspension> token;  ///< of the suspension; the fiber's stack must not own it

  ThreadEntry* next = nullptr;  ///< the run queue's link
};

class ThreadTable {
 public:
  struct Locked {
    ThreadEntry* entry = nullptr;
    std::unique_lock<std::mutex> lock;  ///< of entry->thread->mutex
    explicit operator bool() const { return entry; }
    ThreadEntry* operator->() const { return entry; }
  };

  /// Null and nothing done if the id is taken.
  ThreadEntry* insert(std::unique_ptr<ThreadEntry> entry);
  Locked find(ThreadId id);
  /// The caller owns the entry by its state and holds no lock.
  std::unique_ptr<ThreadEntry> remove(ThreadId id);
  /// Visits every entry with its mutex held.
  void forEach(const std::function<void(ThreadEntry&)>& visit);
  size_t size() const { return size_.load(); }

 private:
  static constexpr size_t kShards = 64;
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<ThreadId, std::unique_ptr<ThreadEntry>> entries;
  };
  Shard& shardOf(ThreadId id) { return shards_[id % kShards]; }

  std::array<Shard, kShards> shards_;
  std::atomic<size_t> size_{0};
};

}  // namespace jvmc::rt
