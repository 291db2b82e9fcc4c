#include "runtime/sched/timer_queue.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <chrono>

#include "runtime/sched/short_turns.h"

namespace jvmc::rt {
namespace {

using SteadyClock = std::chrono::steady_clock;

}  // namespace

TimerQueue::TimerQueue() : thread_([this] { run(); }) {}

void TimerQueue::stop() {
  {
    std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wakeUp_.notify_one();
  if (thread_.joinable()) thread_.join();
}

int64_t TimerQueue::now() const {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(SteadyClock::now().time_since_epoch()).count();
}

Timers::Id TimerQueue::arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) {
  int64_t deadline;
  if (__builtin_add_overflow(now(), nanos, &deadline)) deadline = INT64_MAX;
  Id id;
  bool earliest;
  {
    std::scoped_lock lock(mutex_);
    uint32_t index = freeSlot_;
    if (index == kNoSlot) {
      index = uint32_t(slots_.size());
      slots_.emplace_back();
    } else {
      freeSlot_ = slots_[index].place;
    }
    Slot& slot = slots_[index];
    slot.sink = &sink;
    slot.a = a;
    slot.b = b;
    slot.c = c;
    id = uint64_t(slot.generation) << 32 | (index + 1);
    heap_.emplace_back();
    siftUp(uint32_t(heap_.size() - 1), Item{deadline, index});
    earliest = heap_[0].slot == index;
  }
  if (earliest) wakeUp_.notify_one();
  return id;
}

void TimerQueue::cancel(Id id) {
  if (id == 0) return;
  uint32_t index = uint32_t(id) - 1;
  std::scoped_lock lock(mutex_);
  if (slots_[index].generation == uint32_t(id >> 32)) takeLocked(slots_[index].place);
}

void TimerQueue::forget(Sink& sink) {
  std::unique_lock lock(mutex_);
  for (uint32_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].sink == &sink) takeLocked(slots_[slot].place);
  quiet_.wait(lock, [&] { return goingOff_ != &sink; });
}

size_t TimerQueue::size() const {
  std::scoped_lock lock(mutex_);
  return heap_.size();
}

void TimerQueue::run() {
  pthread_setname_np(pthread_self(), "jvmc-timers");
  takeShortTurns();
  prctl(PR_SET_TIMERSLACK, 1);  // the default of 50 µs would be the precision of every sleep
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (heap_.empty()) {
      wakeUp_.wait(lock);
      continue;
    }
    int64_t deadline = heap_[0].deadline;
    if (deadline > now()) {
      wakeUp_.wait_until(lock, SteadyClock::time_point(std::chrono::nanoseconds(deadline)));
      continue;
    }
    Slot due = takeLocked(0);
    goingOff_ = due.sink;
    lock.unlock();
    due.sink->onTimer(due.a, due.b, due.c);
    lock.lock();
    goingOff_ = nullptr;
    quiet_.notify_all();
  }
}

// ---------------------------------------------------------------- the heap

void TimerQueue::place(uint32_t index, Item item) {
  heap_[index] = item;
  slots_[item.slot].place = index;
}

void TimerQueue::siftUp(uint32_t index, Item item) {
  while (index > 0) {
    uint32_t parent = (index - 1) / 2;
    if (heap_[parent].deadline <= item.deadline) break;
    place(index, heap_[parent]);
    index = parent;
  }
  place(index, item);
}

void TimerQueue::siftDown(uint32_t index, Item item) {
  while (true) {
    uint32_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].deadline < heap_[child].deadline) ++child;
    if (item.deadline <= heap_[child].deadline) break;
    place(index, heap_[child]);
    index = child;
  }
  place(index, item);
}

/// Takes the item at `index` out of the heap, frees its slot and gives what was in it.
TimerQueue::Slot TimerQueue::takeLocked(uint32_t index) {
  uint32_t slotIndex = heap_[index].slot;
  Item last = heap_.back();
  heap_.pop_back();
  if (index < heap_.size()) {
    if (index > 0 && last.deadline < heap_[(index - 1) / 2].deadline)
      siftUp(index, last);
    else
      siftDown(index, last);
  }
  Slot& slot = slots_[slotIndex];
  Slot taken = slot;
  slot.sink = nullptr;
  ++slot.generation;
  slot.place = freeSlot_;
  freeSlot_ = slotIndex;
  return taken;
}

}  // namespace jvmc::rt
