#include "runtime/sched/workers.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "ir/support/check.h"
#include "ir/support/fault.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace jvmc::rt {
namespace {

constexpr int kMaxChain = 16;
/// A filled slot is handed to an idle worker after this long: longer than any hand-over takes, short for a person.
constexpr int64_t kSlotPatienceNanos = 400'000;
/// Other users of TBB in this process (compilation, collection) and the main thread.
constexpr size_t kOtherTbbThreads = 8;

// ThreadSanitizer does not see that TBB, which is not instrumented, runs a task after it was enqueued.
#if defined(__SANITIZE_THREAD__)
void noteHandOver(void* address) {
  __tsan_release(address);
}
void noteTakeOver(void* address) {
  __tsan_acquire(address);
}
#else
void noteHandOver(void*) {}
void noteTakeOver(void*) {}
#endif

uint64_t readClock(clockid_t clock) {
  timespec t{};
  if (clock_gettime(clock, &t) != 0) return 0;
  return uint64_t(t.tv_sec) * 1'000'000'000 + uint64_t(t.tv_nsec);
}

}  // namespace

struct alignas(64) Workers::Worker {
  Workers* owner = nullptr;
  std::atomic<ThreadEntry*> slot{nullptr};
  std::atomic<int64_t> slotSince{0};

  // What runs now: for preemption and snapshots, under the mutex.
  std::mutex mutex;
  GuestThread* current = nullptr;
  bool hurried = false;   ///< it has just waited: not interrupted for another that has
  bool cutShort = false;  ///< it has been asked to stop for one in a hurry
  int64_t dispatchStart = 0;
  int64_t sliceStart = 0;
  uint64_t cpuStart = 0;
  uint64_t cpuTotal = 0;  ///< of dispatches that are over
  clockid_t cpuClock = 0;
};

struct Workers::Arena {
  explicit Arena(uint32_t workers)
      : parallelism(tbb::global_control::max_allowed_parallelism,
                    std::max<size_t>(std::thread::hardware_concurrency(), workers + kOtherTbbThreads)),
        // No slot is reserved for a thread of ours: work comes by enqueue only.
        arena(int(workers), 0) {}

  struct Turn {
    Workers* workers;
    void operator()() const { workers->takeTurn(); }
  };
  void enqueue(Workers& workers) {
    noteHandOver(&workers);
    arena.enqueue(Turn{&workers});
  }

  // Without it an arena larger than the machine runs one task at a time.
  tbb::global_control parallelism;
  tbb::task_arena arena;
};

namespace {

// Reached only through noinline functions: a fiber continues on another worker, and compilers keep the address of a
// thread_local across a switch.
thread_local void* currentWorkerOfThisThread = nullptr;
[[gnu::noinline]] void* currentWorker() {
  return currentWorkerOfThisThread;
}
[[gnu::noinline]] void setCurrentWorker(void* worker) {
  currentWorkerOfThisThread = worker;
}

/// TBB makes a thread when there is work for it, and then it has the name of whoever brought the work.
void nameThisThread() {
  thread_local const int named = pthread_setname_np(pthread_self(), "jvmc-worker");
  static_cast<void>(named);
}

}  // namespace

Workers::Workers(uint32_t count, int64_t timeSliceNanos, Timers& timers, Dispatcher& dispatcher)
    : timeSliceNanos_(timeSliceNanos),
      timers_(timers),
      dispatcher_(dispatcher),
      arena_(std::make_unique<Arena>(count)) {
  for (uint32_t i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->owner = this;
    free_.push_back(workers_.back().get());
  }
}

Workers::~Workers() {
  timers_.forget(*this);
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return turns_ == 0; });
  JVMC_CHECK(queued_ == 0);
}

// ---------------------------------------------------------------- queueing

void Workers::pushUrgent(ThreadEntry& entry) {
  entry.next = nullptr;
  (urgent_.last ? urgent_.last->next : urgent_.first) = &entry;
  urgent_.last = &entry;
}

void Workers::pushFront(ThreadEntry& entry) {
  entry.next = queue_.first;
  queue_.first = &entry;
  if (!queue_.last) queue_.last = &entry;
}

void Workers::pushBack(ThreadEntry& entry) {
  entry.sliceMicros = 0;
  entry.next = nullptr;
  (queue_.last ? queue_.last->next : queue_.first) = &entry;
  queue_.last = &entry;
}

/// `where`: one of the three above.
void Workers::enqueue(ThreadEntry& entry, void (Workers::*where)(ThreadEntry&)) {
  bool startTurn = false;
  {
    std::scoped_lock lock(mutex_);
    (this->*where)(entry);
    ++queued_;
    if (turns_ < workers_.size()) {
      busy_ = ++turns_;
      startTurn = true;
    }
  }
  if (startTurn) return arena_->enqueue(*this);
  if (where == &Workers::pushUrgent) interruptOne();
  startTick();
}

void Workers::add(ThreadEntry& entry) {
  enqueue(entry, &Workers::pushBack);
}

void Workers::hurry(ThreadEntry& entry) {
  enqueue(entry, hasSlice(entry) ? &Workers::pushUrgent : &Workers::pushBack);
}

void Workers::wake(ThreadEntry& entry, bool holds) {
  auto* worker = static_cast<Worker*>(currentWorker());
  if (!worker || worker->owner != this) return hurry(entry);
  worker->slotSince.store(timers_.now(), std::memory_order_relaxed);
  if (ThreadEntry* displaced = worker->slot.exchange(&entry)) hurry(*displaced);
  if (holds && busy_ == workers_.size()) {
    std::scoped_lock lock(worker->mutex);
    cutShort(*worker);
  }
  startTick();
}

void Workers::putBack(ThreadEntry& entry) {
  auto* worker = static_cast<Worker*>(currentWorker());
  bool next = false;
  if (worker) {
    std::scoped_lock lock(worker->mutex);
    next = worker->cutShort && hasSlice(entry);
  }
  enqueue(entry, next ? &Workers::pushFront : &Workers::pushBack);
}

/// All workers are busy and somebody is in a hurry.
void Workers::interruptOne() {
  for (auto& worker : workers_) {
    std::scoped_lock lock(worker->mutex);
    if (!worker->current || worker->hurried || worker->cutShort) continue;
    return cutShort(*worker);
  }
}

/// Under the worker's mutex.
void Workers::cutShort(Worker& worker) {
  if (!worker.current || std::exchange(worker.cutShort, true)) return;
  std::scoped_lock lock(worker.current->mutex);
  worker.current->request(kRequestPreempt);
}

ThreadEntry* Workers::popLocked(bool& urgent) {
  urgent = urgent_.first != nullptr;
  Queue& queue = urgent ? urgent_ : queue_;
  ThreadEntry* entry = queue.first;
  if (!entry) return nullptr;
  queue.first = entry->next;
  if (!queue.first) queue.last = nullptr;
  --queued_;
  return entry;
}

// ---------------------------------------------------------------- a turn

void Workers::takeTurn() {
  noteTakeOver(this);
  nameThisThread();
  // Not by TBB's slot index: an arena of one has two slots.
  Worker* free;
  {
    std::scoped_lock lock(mutex_);
    free = free_.back();
    free_.pop_back();
  }
  Worker& worker = *free;
  {
    std::scoped_lock lock(worker.mutex);
    pthread_getcpuclockid(pthread_self(), &worker.cpuClock);
    worker.cpuStart = readClock(CLOCK_THREAD_CPUTIME_ID);
  }
  setCurrentWorker(&worker);
  int chained = kMaxChain;
  while (ThreadEntry* entry = next(worker, chained))
    while (entry) entry = dispatch(worker, *entry);
}

/// The slot's thread while the chain is short or nobody else waits, else the queue's first. Null ends the turn.
ThreadEntry* Workers::next(Worker& worker, int& chained) {
  ThreadEntry* entry = worker.slot.exchange(nullptr);
  if (entry && (chained < kMaxChain || queued_ == 0)) {
    ++chained;
    std::scoped_lock lock(worker.mutex);
    worker.hurried = true;
    return entry;
  }
  if (entry) add(*entry);
  chained = 0;
  bool urgent;
  std::unique_lock lock(mutex_);
  if (ThreadEntry* first = popLocked(urgent)) {
    lock.unlock();
    std::scoped_lock workerLock(worker.mutex);
    worker.sliceStart = timers_.now() - first->sliceMicros * int64_t(1000);
    worker.hurried = urgent;
    return first;
  }
  setCurrentWorker(nullptr);
  free_.push_back(&worker);
  busy_ = --turns_;
  if (turns_ == 0) idle_.notify_all();
  return nullptr;
}

ThreadEntry* Workers::dispatch(Worker& worker, ThreadEntry& entry) {
  {
    std::scoped_lock lock(worker.mutex);
    worker.current = entry.thread.get();
    worker.cutShort = false;
    worker.dispatchStart = timers_.now();
  }
  dispatcher_.execute(entry);
  // One look at the clock a dispatch (it is a system call): the time between two dispatches counts for the later one.
  uint64_t now = readClock(CLOCK_THREAD_CPUTIME_ID), used;
  {
    std::scoped_lock lock(worker.mutex);
    worker.current = nullptr;
    const int64_t micros = (timers_.now() - worker.dispatchStart) / 1000 + 1;
    entry.sliceMicros = uint32_t(std::min<int64_t>(entry.sliceMicros + micros, UINT32_MAX));
    used = now - std::exchange(worker.cpuStart, now);
    worker.cpuTotal += used;
  }
  return dispatcher_.settle(entry, used);
}

std::vector<Workers::Running> Workers::running() {
  std::vector<Running> all;
  for (auto& worker : workers_) {
    std::scoped_lock lock(worker->mutex);
    if (!worker->current) continue;
    uint64_t now = readClock(worker->cpuClock);
    all.push_back(
        {worker->current->ref.id, now > worker->cpuStart ? now - worker->cpuStart : 0, worker->dispatchStart});
  }
  return all;
}

std::vector<uint64_t> Workers::cpuNanos() {
  std::vector<uint64_t> all;
  for (auto& worker : workers_) {
    std::scoped_lock lock(worker->mutex);
    const uint64_t now = worker->current ? readClock(worker->cpuClock) : 0;
    all.push_back(worker->cpuTotal + (now > worker->cpuStart ? now - worker->cpuStart : 0));
  }
  return all;
}

// ---------------------------------------------------------------- the tick, only while somebody waits

void Workers::startTick() {
  if (ticking_.exchange(true)) return;
  bool someIdle = busy_ < workers_.size();
  timers_.arm(someIdle ? kSlotPatienceNanos : timeSliceNanos_ / 2, *this, 0, 0, 0);
}

void Workers::onTimer(uint64_t, uint64_t, uint64_t) {
  ticking_ = false;
  int64_t now = timers_.now();
  bool waiting = queued_ > 0;
  for (auto& worker : workers_) {
    if (!worker->slot.load()) continue;
    waiting = true;
    if (busy_ == workers_.size() || now - worker->slotSince.load(std::memory_order_relaxed) < kSlotPatienceNanos)
      continue;
    if (ThreadEntry* entry = worker->slot.exchange(nullptr)) add(*entry);
  }
  if (!waiting) return;
  for (auto& worker : workers_) {
    std::scoped_lock lock(worker->mutex);
    if (!worker->current || now - worker->sliceStart < timeSliceNanos_) continue;
    std::scoped_lock threadLock(worker->current->mutex);
    if (!JVMC_FAULT("slices-never-end")) worker->current->request(kRequestPreempt);
  }
  startTick();
}

}  // namespace jvmc::rt
