// The node's alarm clock: one thread and a binary heap, for a hundred thousand sleepers as for one.
//
// A timer is a slot (who is called, with what) and an item of the heap (when, which slot); the slot knows its item's
// place, so that cancel is O(log n) too. 56 bytes a timer.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/timers.h"

namespace jvmc::rt {

class TimerQueue final : public Timers {
 public:
  TimerQueue();
  ~TimerQueue() override { stop(); }

  /// Waits for an alarm that is going off; later ones never do.
  void stop();

  int64_t now() const override;
  Id arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) override;
  void cancel(Id id) override;
  void forget(Sink& sink) override;

  size_t size() const;

 private:
  struct Slot {
    Sink* sink = nullptr;
    uint64_t a = 0, b = 0, c = 0;
    uint32_t place = 0;       // in the heap; in a free slot: the next free one
    uint32_t generation = 0;  // counts the slot's uses, so that an old id is recognised
  };
  struct Item {
    int64_t deadline;
    uint32_t slot;
  };

  void run();
  void place(uint32_t index, Item item);
  void siftUp(uint32_t index, Item item);
  void siftDown(uint32_t index, Item item);
  Slot takeLocked(uint32_t index);

  mutable std::mutex mutex_;
  std::condition_variable wakeUp_;  // an earlier deadline, or the end
  std::condition_variable quiet_;   // no alarm is going off
  std::vector<Item> heap_;
  std::vector<Slot> slots_;
  uint32_t freeSlot_ = kNoSlot;
  Sink* goingOff_ = nullptr;
  bool stop_ = false;
  std::thread thread_;

  static constexpr uint32_t kNoSlot = ~0u;
};

}  // namespace jvmc::rt
