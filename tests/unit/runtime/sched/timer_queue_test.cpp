#include "runtime/sched/timer_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "ir/support/prng.h"

namespace jvmc::rt {
namespace {

struct Recorder final : Timers::Sink {
  void onTimer(uint64_t a, uint64_t, uint64_t) override {
    std::scoped_lock lock(mutex);
    order.push_back(a);
    ++count;
  }
  std::mutex mutex;
  std::vector<uint64_t> order;
  std::atomic<size_t> count{0};
};

void awaitCount(const Recorder& recorder, size_t count) {
  for (int i = 0; recorder.count < count && i < 20'000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(recorder.count, count);
}

TEST(TimerQueue, goes_off_in_order_of_time_not_before_and_once) {
  Recorder recorder;
  TimerQueue timers;
  int64_t start = timers.now();
  for (uint64_t ms : {30, 10, 20}) timers.arm(int64_t(ms) * 1'000'000, recorder, ms, 0, 0);
  awaitCount(recorder, 3);
  EXPECT_GE(timers.now() - start, 30'000'000);
  EXPECT_EQ(recorder.order, (std::vector<uint64_t>{10, 20, 30}));
  EXPECT_EQ(timers.size(), 0u);
}

TEST(TimerQueue, random_arming_and_cancelling_keeps_order_and_loses_none) {
  Recorder recorder;
  TimerQueue timers;
  Prng random(3);
  std::vector<Timers::Id> ids;
  constexpr size_t kTimers = 20'000;
  // All lie far enough in the future that every one is armed and cancelled before the first goes off.
  constexpr int64_t kFar = 400'000'000;
  int64_t base = timers.now();
  std::vector<uint64_t> deadlines;
  for (size_t i = 0; i < kTimers; ++i) {
    int64_t at = base + kFar + int64_t(random.below(20'000'000));
    deadlines.push_back(uint64_t(at));
    ids.push_back(timers.arm(at - timers.now(), recorder, uint64_t(at), 0, 0));
  }
  size_t kept = kTimers;
  for (size_t i = 0; i < kTimers; ++i)
    if (random.below(2)) {
      timers.cancel(ids[i]);
      --kept;
    }
  for (size_t i = 0; i < kTimers; i += 2) timers.cancel(0);  // no timer
  ASSERT_EQ(timers.size(), kept);
  awaitCount(recorder, kept);
  // The deadline recorded is the one asked for; the one armed differs by the time between two looks at the clock.
  for (size_t i = 1; i < recorder.order.size(); ++i) ASSERT_GE(recorder.order[i] + 1'000'000, recorder.order[i - 1]);
}

TEST(TimerQueue, an_old_id_does_not_cancel_the_slots_next_timer) {
  Recorder recorder;
  TimerQueue timers;
  Timers::Id old = timers.arm(1, recorder, 1, 0, 0);
  awaitCount(recorder, 1);
  timers.arm(20'000'000, recorder, 2, 0, 0);  // takes the same slot
  timers.cancel(old);
  awaitCount(recorder, 2);
}

TEST(TimerQueue, forget_waits_for_an_alarm_that_is_going_off) {
  struct Slow final : Timers::Sink {
    void onTimer(uint64_t, uint64_t, uint64_t) override {
      started = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      finished = true;
    }
    std::atomic<bool> started{false}, finished{false};
  } slow;
  TimerQueue timers;
  timers.arm(1, slow, 0, 0, 0);
  timers.arm(3600'000'000'000, slow, 0, 0, 0);
  while (!slow.started) std::this_thread::yield();
  timers.forget(slow);
  EXPECT_TRUE(slow.finished);
  EXPECT_EQ(timers.size(), 0u);
}

TEST(TimerQueue, deadlines_beyond_the_clock_are_never) {
  Recorder recorder;
  TimerQueue timers;
  Timers::Id id = timers.arm(INT64_MAX, recorder, 1, 0, 0);
  timers.arm(1'000'000, recorder, 2, 0, 0);
  awaitCount(recorder, 1);
  EXPECT_EQ(recorder.order[0], 2u);
  timers.cancel(id);
}

}  // namespace
}  // namespace jvmc::rt
