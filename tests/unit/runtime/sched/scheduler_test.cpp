// Waits and what ends them, on one node.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/runtime/sched/fake_vm.h"

namespace jvmc::rt {
namespace {

/// A slice that no test sees the end of.
constexpr int64_t kForEver = 3'600'000'000'000;

constexpr int64_t kMilli = 1'000'000, kForever = 3600'000 * kMilli;

TEST(Scheduler, every_thread_runs_to_its_end) {
  FakeVm vm;
  std::atomic<int> ran{0};
  for (int i = 0; i < 1000; ++i) vm.spawn([&](Guest& g) { return ++ran, g.end(); });
  vm.scheduler().waitIdle();
  EXPECT_EQ(ran, 1000);
  EXPECT_EQ(vm.ended, 1000);
  EXPECT_EQ(vm.scheduler().threadCount(), 0u);
}

/// What a collector would hear of.
std::vector<uint64_t> answersAt(FakeVm& vm) {
  std::vector<uint64_t> values;
  vm.scheduler().visitAnswers([&](const Resumption& answer) { values.push_back(answer.value); });
  return values;
}

// No frame tells the type of the answer yet, for the frame that waits is not written.
TEST(Scheduler, an_answer_that_comes_before_its_thread_has_parked_is_a_root) {
  FakeVm vm;
  std::vector<uint64_t> meanwhile;
  uint64_t used = 0;
  vm.spawn([&](Guest& g) {
    if (g.pc == 1) return used = g.in.value, g.end();
    const uint64_t ticket = g.thread.beginWait(WaitKind::Outside, kNullRef, false);
    OutsideResult line;
    line.kind = OutsideResult::Kind::Bytes;
    line.bytes = "a line";
    EXPECT_TRUE(vm.scheduler().completeOutside(g.thread.ref, ticket, std::move(line)));
    meanwhile = answersAt(vm);
    return g.capture(CaptureReason::Park);
  });
  vm.scheduler().waitIdle();
  EXPECT_NE(used, 0u);
  EXPECT_EQ(meanwhile, std::vector{used});
  EXPECT_TRUE(answersAt(vm).empty());
}

TEST(Scheduler, a_sleep_lasts_as_long_as_it_says) {
  FakeVm vm;
  std::atomic<int64_t> slept{0};
  int64_t start = nowNanos();
  vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.sleep(5 * kMilli);
    slept = nowNanos() - start;
    return g.end();
  });
  vm.scheduler().waitIdle();
  EXPECT_GE(slept, 5 * kMilli);
  EXPECT_LT(slept, 500 * kMilli);
}

TEST(Scheduler, an_unpark_before_the_park_is_a_permit_and_only_one) {
  FakeVm vm;
  std::atomic<bool> go{false};
  std::atomic<int> parks{0};
  ThreadRef thread = vm.spawn([&](Guest& g) {
    if (!go) return g.yield();
    if (parks == 2) return g.end();
    ++parks;
    return g.park();
  });
  vm.unpark(thread);
  vm.unpark(thread);
  go = true;
  vm.awaitParked(thread, WaitKind::Park);  // the second park found no permit
  EXPECT_EQ(parks, 2);
  vm.unpark(thread);
  vm.scheduler().waitIdle();
}

TEST(Scheduler, a_timed_park_ends_by_itself) {
  FakeVm vm;
  vm.spawn([&](Guest& g) { return g.pc == 0 ? g.park(2 * kMilli) : g.end(); });
  vm.scheduler().waitIdle();
}

/// Interrupts a thread in each kind of wait, once while it waits and once before it does.
class InterruptTest : public ::testing::TestWithParam<std::tuple<WaitKind, bool>> {};

TEST_P(InterruptTest, ends_the_wait_and_clears_the_flag_as_java_says) {
  auto [kind, before] = GetParam();
  FakeVm vm;
  ObjectRef object = vm.newObject();
  std::atomic<bool> stop{false}, go{!before}, threw{false}, flagLeft{false};
  ThreadRef other = vm.spawn([&](Guest& g) { return stop ? g.end() : g.park(kMilli); });
  ThreadRef thread = vm.spawn([&, kind = kind](Guest& g) {
    if (!go) return g.pc = -1, g.yield();
    if (g.pc == 0) return kind == WaitKind::MonitorWait ? g.enter(object) : Did::Next;
    if (g.pc == 1) switch (kind) {
        case WaitKind::Sleep:
          return g.sleep(kForever);
        case WaitKind::Park:
          return g.park();
        case WaitKind::Join:
          return g.join(other.object);
        default:
          return g.wait(object);
      }
    if (g.pc == 2) {
      threw = g.interruptedIn();
      flagLeft = g.thread.takeInterrupted();
      return kind == WaitKind::MonitorWait ? g.exit(object) : Did::Next;
    }
    // An interrupted wait owns the monitor again.
    if (kind == WaitKind::MonitorWait) {
      EXPECT_EQ(g.in.kind, Resumption::Kind::Value);
    }
    return g.end();
  });
  if (!before) vm.awaitParked(thread, kind);
  vm.interrupt(thread);
  go = true;
  while (vm.snapshotOf(thread).ref.id != 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  stop = true;
  vm.scheduler().waitIdle();
  EXPECT_EQ(threw, kind != WaitKind::Park);
  EXPECT_EQ(flagLeft, kind == WaitKind::Park);
}

INSTANTIATE_TEST_SUITE_P(EveryWait, InterruptTest,
                         ::testing::Combine(::testing::Values(WaitKind::Sleep, WaitKind::Park, WaitKind::Join,
                                                              WaitKind::MonitorWait),
                                            ::testing::Bool()));

TEST(Scheduler, an_interrupt_does_not_end_a_monitor_enter) {
  FakeVm vm;
  ObjectRef object = vm.newObject();
  std::atomic<bool> letGo{false};
  ThreadRef holder = vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.enter(object);
    if (!letGo) return g.pc = 0, g.park(kMilli);
    if (g.pc <= 1) return g.pc = 1, g.exit(object);
    return g.end();
  });
  vm.awaitParked(holder, WaitKind::Park);
  std::atomic<bool> flag{false};
  ThreadRef thread = vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.enter(object);
    flag = g.thread.takeInterrupted();
    if (g.pc == 1) return g.exit(object);
    return g.end();
  });
  vm.awaitParked(thread, WaitKind::MonitorEnter);
  vm.interrupt(thread);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(vm.snapshotOf(thread).state, ThreadState::Parked);
  letGo = true;
  vm.unpark(holder);
  vm.scheduler().waitIdle();
}

TEST(Scheduler, a_query_tells_the_flag_and_is_answered_for_dead_threads_too) {
  FakeVm vm;
  ThreadRef sleeper = vm.spawn([&](Guest& g) {
    return g.pc == 0 ? g.enter(g.thread.ref.object) : g.pc < 3 ? g.wait(g.thread.ref.object) : g.end();
  });
  vm.awaitParked(sleeper, WaitKind::MonitorWait);
  std::atomic<int> answers[2] = {-1, -1};
  vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.sync(SyncOp::IsInterrupted, sleeper.object);
    if (g.pc == 1) answers[0] = int(g.in.value);
    return g.end();
  });
  while (answers[0] < 0) std::this_thread::yield();
  EXPECT_EQ(answers[0], 0);
  // A thread that ends between the question and its delivery: mail to an id that is not there.
  ThreadRef nobody{1'000'000'007, sleeper.object};
  ThreadRef asker = vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.thread.beginWait(WaitKind::Access, kNullRef, false), g.capture(CaptureReason::Park);
    answers[1] = int(g.in.value);
    return g.end();
  });
  vm.awaitParked(asker, WaitKind::Access);
  vm.scheduler().send(nobody, {ThreadMail::Kind::QueryInterrupted, 1, {}, asker, {}});
  while (answers[1] < 0) std::this_thread::yield();
  EXPECT_EQ(answers[1], 0);
}

TEST(Scheduler, who_interrupts_a_thread_goes_on_when_the_interrupt_has_arrived) {
  struct SlowPost final : ThreadPost {
    Scheduler* scheduler = nullptr;
    std::atomic<bool> holds{false};
    std::pair<ThreadRef, ThreadMail> held;
    void send(const ThreadRef& to, const ThreadMail& mail) override {
      if (mail.kind != ThreadMail::Kind::Interrupt) return scheduler->send(to, mail);
      held = {to, mail};
      holds = true;
    }
  } post;
  FakeVm vm({.post = &post});
  post.scheduler = &vm.scheduler();
  ThreadRef target = vm.spawn([&](Guest& g) { return g.pc == 0 ? g.park() : g.end(); });
  vm.awaitParked(target, WaitKind::Park);
  ThreadRef interrupter =
      vm.spawn([&](Guest& g) { return g.pc == 0 ? g.sync(SyncOp::Interrupt, target.object) : g.end(); });
  while (!post.holds) std::this_thread::yield();
  vm.awaitParked(interrupter, WaitKind::Access);
  vm.scheduler().send(post.held.first, post.held.second);
  vm.scheduler().waitIdle();
  EXPECT_EQ(vm.ended, 2);
}

TEST(Scheduler, an_answer_to_an_earlier_wait_is_dropped) {
  FakeVm vm;
  ThreadRef thread = vm.spawn([&](Guest& g) { return g.pc < 2 ? g.park() : g.end(); });
  vm.awaitParked(thread, WaitKind::Park);
  vm.unpark(thread);
  while (vm.snapshotOf(thread).wait.ticket != 2) std::this_thread::yield();
  vm.scheduler().send(thread, {ThreadMail::Kind::Answer, 1, {}, {}, {}});
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(vm.snapshotOf(thread).state, ThreadState::Parked);
  vm.scheduler().send(thread, {ThreadMail::Kind::Answer, 2, {}, {}, {}});
  vm.scheduler().waitIdle();
}

TEST(Scheduler, a_monitor_keeps_threads_out_of_each_others_way) {
  FakeVm vm;
  ObjectRef object = vm.newObject();
  constexpr int kThreads = 8, kRounds = 3000;
  int64_t counter = 0;
  std::vector<int> rounds(kThreads);
  for (int i = 0; i < kThreads; ++i)
    vm.spawn([&, i](Guest& g) {
      switch (g.pc % 3) {
        case 0:
          return rounds[size_t(i)]++ == kRounds ? g.end() : g.enter(object);
        case 1:
          ++counter;
          return Did::Next;
        default:
          return g.exit(object);
      }
    });
  vm.scheduler().waitIdle();
  EXPECT_EQ(counter, kThreads * kRounds);
  EXPECT_EQ(header(object)->lockWord.load(), 0u);
}

TEST(Scheduler, wait_and_notify_hand_a_token_to_and_fro) {
  FakeVm vm;
  ObjectRef object = vm.newObject();
  int turn = 0;  // under the monitor
  constexpr int kTurns = 4000;
  for (int self = 0; self < 2; ++self)
    vm.spawn([&, self](Guest& g) {
      switch (g.pc) {
        case 0:
          return g.enter(object);
        case 1:
          if (turn >= kTurns) return g.pc = 9, g.sync(SyncOp::MonitorNotifyAll, object);
          if (turn % 2 != self) return g.pc = 0, g.wait(object);
          ++turn;
          return g.sync(SyncOp::MonitorNotifyAll, object);
        case 2:
          return g.pc = -1, g.exit(object);
        case 10:
          return g.exit(object);
        default:
          return g.end();
      }
    });
  vm.scheduler().waitIdle();
  EXPECT_EQ(turn, kTurns);
}

/// Counts turns, not progress: how far a thread gets in its slice is up to the machine.
TEST(Scheduler, endless_loops_share_the_workers_fairly) {
  FakeVm vm({.workers = 2, .timeSliceNanos = 1 * kMilli});
  constexpr int kThreads = 6, kTurns = 10;
  std::atomic<int> turns[kThreads] = {};
  std::atomic<bool> stop{false};
  for (auto& count : turns)
    vm.spawn([&](Guest& g) {
      ++count;
      while (!stop)
        if (g.poll()) return Did::Captured;
      return g.end();
    });
  auto least = [&] { return std::min_element(std::begin(turns), std::end(turns))->load(); };
  while (least() < kTurns) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  int most = *std::max_element(std::begin(turns), std::end(turns));
  // A thread that comes later gets its turn although nobody gives up a worker.
  std::atomic<bool> lateRan{false};
  vm.spawn([&](Guest& g) { return lateRan = true, g.end(); });
  while (!lateRan) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_LE(most, 2 * kTurns) << "one thread got far more turns than another";
  stop = true;
  vm.scheduler().waitIdle();
}

TEST(Scheduler, two_threads_that_wake_each_other_do_not_starve_a_third) {
  FakeVm vm({.workers = 1, .timeSliceNanos = 1 * kMilli});
  std::atomic<bool> stop{false};
  ThreadRef partners[2];
  std::atomic<bool> known{false};  // a partner may run before spawn has given its name
  for (int self = 0; self < 2; ++self)
    partners[self] = vm.spawn([&, self](Guest& g) {
      if (stop) return g.vm.unpark(partners[1 - self]), g.end();
      if (!known) return g.yield();
      g.vm.unpark(partners[1 - self]);
      return g.park();
    });
  known = true;
  int turns = 0;
  vm.spawn([&](Guest& g) { return ++turns == 50 ? (stop = true, g.end()) : g.yield(); });
  vm.scheduler().waitIdle();
  EXPECT_EQ(turns, 50);
}

TEST(Scheduler, a_woken_thread_does_not_wait_for_a_waker_that_computes_on) {
  FakeVm vm({.workers = 2, .timeSliceNanos = 10'000 * kMilli});
  std::atomic<bool> woken{false};
  ThreadRef sleeper = vm.spawn([&](Guest& g) { return g.pc == 0 ? g.park() : (woken = true, g.end()); });
  vm.awaitParked(sleeper, WaitKind::Park);
  vm.spawn([&](Guest& g) {
    g.vm.unpark(sleeper);
    int64_t start = nowNanos();
    while (!woken && nowNanos() - start < 5000 * kMilli) std::this_thread::yield();
    return g.end();
  });
  vm.scheduler().waitIdle();
  EXPECT_TRUE(woken);
}

/// Two compute on the only worker, and no slice is ever over; one waits now and then.
TEST(Scheduler, a_thread_whose_wait_is_over_interrupts_one_that_computes) {
  FakeVm vm({.workers = 1, .timeSliceNanos = kForEver});
  std::atomic<bool> stop{false};
  std::atomic<int> computing{0};
  const auto compute = [&](Guest& g) {
    ++computing;
    while (!stop)
      if (g.poll()) return Did::Captured;
    return g.end();
  };
  std::atomic<int> rounds{0};
  const ThreadRef waiter = vm.spawn([&](Guest& g) { return ++rounds == 20 ? (stop = true, g.end()) : g.park(); });
  vm.awaitParked(waiter, WaitKind::Park);
  vm.spawn(compute);
  vm.spawn(compute);
  while (computing == 0) std::this_thread::yield();
  while (!stop) {
    vm.unpark(waiter);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  vm.scheduler().waitIdle();
  EXPECT_EQ(rounds, 20);
}

TEST(Scheduler, who_is_interrupted_for_another_goes_on_before_those_that_queue) {
  FakeVm vm({.workers = 1, .timeSliceNanos = kForEver});
  std::atomic<bool> stop{false}, ran{false};
  std::atomic<int> turns[2] = {};
  const ThreadRef waiter = vm.spawn([&](Guest& g) { return g.pc == 0 ? g.park() : (ran = true, g.end()); });
  vm.awaitParked(waiter, WaitKind::Park);
  for (std::atomic<int>& turn : turns)
    vm.spawn([&](Guest& g) {
      ++turn;
      while (!stop)
        if (g.poll()) return Did::Captured;
      return g.end();
    });
  while (turns[0] == 0) std::this_thread::yield();
  vm.unpark(waiter);
  while (turns[0] < 2) std::this_thread::yield();
  EXPECT_TRUE(ran);
  EXPECT_EQ(turns[1], 0);
  stop = true;
  vm.scheduler().waitIdle();
}

TEST(Scheduler, a_thread_that_waits_again_and_again_does_not_keep_others_from_their_turns) {
  FakeVm vm({.workers = 1, .timeSliceNanos = 1 * kMilli});
  std::atomic<bool> stop{false};
  int turns = 0;
  const ThreadRef eager = vm.spawn([&](Guest& g) {
    if (stop) return g.end();
    const int64_t start = nowNanos();
    while (nowNanos() - start < kMilli / 2) {
    }
    return g.park();
  });
  std::thread waker([&] {
    while (!stop) vm.unpark(eager);
    vm.unpark(eager);
  });
  vm.spawn([&](Guest& g) { return ++turns == 20 ? (stop = true, g.end()) : g.yield(); });
  waker.join();
  vm.scheduler().waitIdle();
  EXPECT_EQ(turns, 20);
}

TEST(Scheduler, who_hands_a_monitor_over_and_computes_on_makes_room) {
  FakeVm vm({.workers = 1, .timeSliceNanos = kForEver});
  const ObjectRef object = vm.newObject();
  std::atomic<bool> entered{false}, contended{false}, ran{false};
  vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.enter(object);
    entered = true;
    if (!contended) return --g.pc, g.yield();
    if (g.pc == 1) return g.exit(object);
    while (!ran)
      if (g.poll()) return --g.pc, Did::Captured;
    return g.end();
  });
  while (!entered) std::this_thread::yield();
  const ThreadRef other = vm.spawn([&](Guest& g) {
    if (g.pc == 0) return g.enter(object);
    if (g.pc == 1) return ran = true, g.exit(object);
    return g.end();
  });
  vm.awaitParked(other, WaitKind::MonitorEnter);
  contended = true;
  vm.scheduler().waitIdle();
  EXPECT_TRUE(ran);
}

TEST(Scheduler, cpu_time_is_seen_while_a_thread_runs_and_after) {
  FakeVm vm;
  std::atomic<bool> stop{false};
  ThreadRef busy = vm.spawn([&](Guest& g) { return stop ? g.end() : Did::Next; });
  ThreadRef idle = vm.spawn([&](Guest& g) { return stop ? g.end() : g.park(kMilli * 50); });
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  EXPECT_GT(vm.snapshotOf(busy).cpuNanosRecent, 10'000'000u);  // other processes want the machine too
  EXPECT_LT(vm.snapshotOf(idle).cpuNanosRecent, 10'000'000u);
  EXPECT_GT(vm.snapshotOf(busy).cpuNanosRunning, 10'000'000u);  // it has never left its worker
  EXPECT_EQ(vm.snapshotOf(idle).cpuNanosRunning, 0u);
  stop = true;
  vm.scheduler().waitIdle();
}

// Whoever traces sees threads that waited or ran all the time, too, and nothing from before.
TEST(Scheduler, what_goes_on_when_a_trace_begins_or_ends_is_part_of_it) {
  FakeVm vm;
  std::atomic<bool> runs{false}, over{false};
  const ThreadRef waiter = vm.spawn([&](Guest& g) { return g.pc == 0 ? g.park() : g.end(); });
  const ThreadRef runner = vm.spawn([&](Guest& g) {
    for (runs = true; !over;) std::this_thread::yield();
    return g.end();
  });
  vm.awaitParked(waiter, WaitKind::Park);
  while (!runs) std::this_thread::yield();
  vm.tracer().start(1024);
  vm.scheduler().beginWaits();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  vm.scheduler().noteRuns();
  vm.scheduler().noteWaits();
  std::map<ThreadId, TraceEvent> seen;
  for (const TraceEvent& event : vm.tracer().take().events) {
    EXPECT_TRUE(seen.emplace(event.thread, event).second) << event.thread;
    EXPECT_GE(event.begin + 2 * ThreadEntry::kParkedUnit, vm.tracer().since());
    EXPECT_GE(event.end - event.begin, kMilli);
  }
  ASSERT_TRUE(seen.contains(waiter.id) && seen.contains(runner.id));
  EXPECT_EQ(seen[waiter.id].kind, TraceKind::Wait);
  EXPECT_EQ(seen[waiter.id].a, uint32_t(WaitKind::Park));
  EXPECT_EQ(seen[runner.id].kind, TraceKind::Run);
  // What ends later counts from here, or from the start of the trace.
  over = true;
  vm.unpark(waiter);
  vm.scheduler().waitIdle();
  for (const TraceEvent& event : vm.tracer().take().events) EXPECT_GE(event.begin, vm.tracer().since());
}

TEST(Scheduler, stop_ends_threads_in_every_state) {
  FakeVm vm({.workers = 2, .maxFibers = 8});
  for (int i = 0; i < 3; ++i)
    vm.spawn([&](Guest& g) {
      while (!g.poll()) {
      }
      return Did::Captured;
    });
  for (int i = 0; i < 100; ++i) vm.spawn([&](Guest& g) { return g.sleep(kForever); });
  std::vector<std::shared_ptr<Scheduler::Suspension>> suspensions;
  std::mutex mutex;
  for (int i = 0; i < 4; ++i)
    vm.spawn([&](Guest& g) {
      auto suspension = g.vm.scheduler().prepareSuspend(g.ctx);
      {
        std::scoped_lock lock(mutex);
        suspensions.push_back(suspension);
      }
      g.vm.scheduler().suspend(g.ctx, std::move(suspension));
      return g.end();
    });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  vm.scheduler().stopAll();
  EXPECT_EQ(vm.scheduler().threadCount(), 0u);
  for (auto& suspension : suspensions) vm.scheduler().resume(*suspension);  // too late, and harmless
  EXPECT_FALSE(vm.scheduler().deliver({1, kNullRef}, {ThreadMail::Kind::Unpark, 0, {}, {}, {}}));
}

}  // namespace
}  // namespace jvmc::rt
