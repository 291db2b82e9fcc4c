// Threads that leave a node: parked, running and about to park; writes that take time to get home; mail that comes too
// early, too late or to the wrong node. Several nodes in one process, between them a network thread that delays
// everything by random times, so that mail overtakes threads.
#include <gtest/gtest.h>

#include <condition_variable>
#include <queue>

#include "ir/support/prng.h"
#include "tests/unit/runtime/sched/fake_vm.h"

namespace jvmc::rt {
namespace {

constexpr int64_t kMilli = 1'000'000;

/// Carries threads and mail. Knows where each thread was sent last, as a directory would.
class FakeNetwork final : public ThreadShipper, public ThreadPost {
 public:
  explicit FakeNetwork(uint64_t maxDelayMicros) : maxDelayMicros_(maxDelayMicros), thread_([this] { run(); }) {}
  ~FakeNetwork() override { stop(); }
  void stop() {
    {
      std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  void connect(FakeVm& vm) { vms_.push_back(&vm); }

  void ship(std::unique_ptr<GuestThread> thread, NodeId target) override {
    ++shipped;
    thread->earlyAnswer.reset();  // does not travel: what counts has become the resumption
    auto moved = std::make_shared<std::unique_ptr<GuestThread>>(std::move(thread));
    {
      std::scoped_lock lock(mutex_);
      location_[(*moved)->ref.id] = target.value;
    }
    later([this, moved, target] { EXPECT_TRUE(vms_[target.value]->scheduler().adopt(std::move(*moved))); });
  }
  NodeId placeNewThread(std::span<const ObjectRef>) override { return {}; }
  NodeId nextNode() override { return NodeId(1); }

  void send(const ThreadRef& to, const ThreadMail& mail) override {
    later([this, to, mail] {
      uint32_t node;
      {
        std::scoped_lock lock(mutex_);
        node = location_[to.id];
      }
      if (!vms_[node]->scheduler().deliver(to, mail)) send(to, mail);
    });
  }

  void later(std::function<void()> what) {
    {
      std::scoped_lock lock(mutex_);
      int64_t delay = maxDelayMicros_ ? int64_t(random_.below(maxDelayMicros_)) * 1000 : 0;
      due_.emplace(nowNanos() + delay, std::move(what));
    }
    changed_.notify_one();
  }

  std::atomic<int> shipped{0};

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      if (due_.empty()) {
        changed_.wait(lock);
        continue;
      }
      int64_t wait = due_.begin()->first - nowNanos();
      if (wait > 0) {
        changed_.wait_for(lock, std::chrono::nanoseconds(wait));
        continue;
      }
      auto what = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      lock.unlock();
      what();
      lock.lock();
    }
  }

  uint64_t maxDelayMicros_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<int64_t, std::function<void()>> due_;
  std::map<ThreadId, uint32_t> location_;
  Prng random_{42};
  bool stop_ = false;
  std::vector<FakeVm*> vms_;
  std::thread thread_;
};

/// Every object's home is node 0; each second flush takes a while.
class SlowFlushSpace final : public ObjectSpace {
 public:
  SlowFlushSpace(FakeVm& home, FakeNetwork& network) : home_(home.localSpace()), network_(network) {}
  void checkRead(ThreadContext&, ObjectRef) override {}
  void checkWrite(ThreadContext&, ObjectRef) override {}
  void checkElementsRead(ThreadContext&, ObjectRef, uint32_t, uint32_t) override {}
  void checkElementsWrite(ThreadContext&, ObjectRef, uint32_t, uint32_t) override {}
  void publish(ThreadContext&) override {}
  bool owesWrites() const override { return false; }
  std::optional<Resumption> submit(ThreadContext& ctx, const SyncRequest& r) override { return home_.submit(ctx, r); }
  void post(const SyncRequest& request) override { home_.post(request); }
  void acquire(ThreadContext& ctx, bool remote) override { home_.acquire(ctx, remote); }
  bool release(ThreadContext& ctx, uint64_t ticket) override {
    if (++releases_ % 2) return true;
    network_.send(ctx.thread->ref, {ThreadMail::Kind::Answer, ticket, {}, {}, {}});
    return false;
  }
  void standsInPoll(ThreadContext&) override {}
  bool isHome(ObjectRef) const override { return true; }
  void exportReference(ObjectRef) override {}
  void visitRoots(const std::function<void(ObjectRef)>&) override {}
  bool checked() const override { return true; }

 private:
  LocalObjectSpace& home_;
  FakeNetwork& network_;
  std::atomic<int> releases_{0};
};

struct Nodes {
  explicit Nodes(uint32_t count, uint64_t maxDelayMicros = 0) : network(maxDelayMicros) {
    for (uint32_t i = 0; i < count; ++i) {
      FakeVmOptions options;
      options.workers = 1;
      options.node = i;
      options.shipper = &network;
      options.post = &network;
      options.scripts = &scripts;
      vms.push_back(std::make_unique<FakeVm>(options));
      network.connect(*vms.back());
    }
    for (auto& vm : vms) {
      spaces.push_back(std::make_unique<SlowFlushSpace>(*vms[0], network));
      vm->setSpace(*spaces.back());
    }
  }
  ~Nodes() { network.stop(); }
  int ended() const {
    int sum = 0;
    for (auto& vm : vms) sum += vm->ended;
    return sum;
  }
  void awaitEnded(int count) {
    int64_t limit = nowNanos() + 60'000 * kMilli;
    while (ended() < count && nowNanos() < limit) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(ended(), count) << "threads were lost";
  }
  Scripts scripts;
  FakeNetwork network;
  std::vector<std::unique_ptr<FakeVm>> vms;
  std::vector<std::unique_ptr<SlowFlushSpace>> spaces;
};

TEST(Moving, a_sleeping_thread_sleeps_on_at_its_target) {
  Nodes nodes(2);
  int64_t start = nowNanos(), woke = 0;
  uint32_t where = 99;
  ThreadRef thread = nodes.vms[0]->spawn([&](Guest& g) {
    if (g.pc == 0) return g.sleep(100 * kMilli);
    woke = nowNanos();
    where = g.vm.options().node.value;
    return g.end();
  });
  nodes.vms[0]->awaitParked(thread, WaitKind::Sleep);
  nodes.vms[0]->migrate(thread, 1);
  nodes.awaitEnded(1);
  EXPECT_EQ(where, 1u);
  EXPECT_GE(woke - start, 100 * kMilli);
  EXPECT_LT(woke - start, 2000 * kMilli);
}

TEST(Moving, a_running_thread_leaves_at_its_next_poll) {
  Nodes nodes(2);
  ThreadRef thread = nodes.vms[0]->spawn([&](Guest& g) {
    while (g.vm.options().node.value == 0)
      if (g.poll()) return Did::Captured;
    return g.end();
  });
  nodes.vms[0]->migrate(thread, 1);
  nodes.awaitEnded(1);
  EXPECT_EQ(nodes.vms[1]->ended, 1);
}

TEST(Moving, a_pinned_thread_stays) {
  Nodes nodes(2);
  ThreadRef thread = nodes.vms[0]->spawn([&](Guest& g) { return g.pc == 0 ? g.park() : g.end(); });
  nodes.vms[0]->awaitParked(thread, WaitKind::Park);
  nodes.vms[0]->scheduler().deliver(thread, {ThreadMail::Kind::Pin, 0, {}, {}, {}});
  nodes.vms[0]->migrate(thread, 1);
  nodes.vms[0]->unpark(thread);
  nodes.awaitEnded(1);
  EXPECT_EQ(nodes.vms[0]->ended, 1);
}

TEST(Moving, a_second_copy_of_a_transfer_is_refused) {
  Nodes nodes(2);
  auto transfer = [](ThreadRef ref, uint32_t incarnation) {
    auto copy = std::make_unique<GuestThread>();
    copy->ref = ref;
    copy->incarnation = incarnation;
    return copy;
  };
  std::atomic<bool> stop{false};
  ThreadRef thread = nodes.vms[0]->spawn([&](Guest& g) { return stop ? g.end() : g.park(kMilli); });
  EXPECT_FALSE(nodes.vms[0]->scheduler().adopt(transfer(thread, 0))) << "it is here";
  nodes.vms[0]->awaitParked(thread, WaitKind::Park);
  nodes.vms[0]->migrate(thread, 1);
  while (nodes.vms[1]->scheduler().threadCount() == 0) std::this_thread::yield();
  EXPECT_FALSE(nodes.vms[0]->scheduler().adopt(transfer(thread, 0))) << "it was here";
  EXPECT_FALSE(nodes.vms[1]->scheduler().adopt(transfer(thread, 1))) << "it is here";
  stop = true;
  nodes.awaitEnded(1);
  EXPECT_FALSE(nodes.vms[1]->scheduler().adopt(transfer(thread, 1))) << "it ended here";
}

TEST(Moving, mail_that_overtakes_its_thread_is_kept_for_it) {
  Nodes nodes(2);
  auto thread = std::make_unique<GuestThread>();
  ThreadRef ref{1'000'000, nodes.vms[0]->newObject()};
  thread->ref = ref;
  thread->incarnation = 1;
  thread->wait.kind = WaitKind::Access;
  thread->wait.ticket = 5;
  uint64_t got = 0;
  nodes.scripts.add(ref.id, [&](Guest& g) { return got = g.in.value, g.end(); });
  Resumption answer;
  answer.value = 17;
  EXPECT_TRUE(nodes.vms[1]->scheduler().deliver(ref, {ThreadMail::Kind::Answer, 5, answer, {}, {}}));
  std::vector<uint64_t> roots;
  nodes.vms[1]->scheduler().visitAnswers([&](const Resumption& kept) { roots.push_back(kept.value); });
  EXPECT_EQ(roots, std::vector<uint64_t>{17}) << "it may be a reference";
  EXPECT_TRUE(nodes.vms[1]->scheduler().adopt(std::move(thread)));
  nodes.awaitEnded(1);
  EXPECT_EQ(got, 17u);
}

/// Flushes that end when the test says so.
class HeldFlushSpace final : public ObjectSpace {
 public:
  explicit HeldFlushSpace(LocalObjectSpace& home) : home_(home) {}
  void checkRead(ThreadContext&, ObjectRef) override {}
  void checkWrite(ThreadContext&, ObjectRef) override {}
  void checkElementsRead(ThreadContext&, ObjectRef, uint32_t, uint32_t) override {}
  void checkElementsWrite(ThreadContext&, ObjectRef, uint32_t, uint32_t) override {}
  void publish(ThreadContext&) override {}
  bool owesWrites() const override { return false; }
  std::optional<Resumption> submit(ThreadContext& ctx, const SyncRequest& r) override { return home_.submit(ctx, r); }
  void post(const SyncRequest& request) override { home_.post(request); }
  void acquire(ThreadContext& ctx, bool remote) override { home_.acquire(ctx, remote); }
  bool release(ThreadContext&, uint64_t t) override {
    ticket = t;
    return false;
  }
  void standsInPoll(ThreadContext&) override {}
  bool isHome(ObjectRef) const override { return true; }
  void exportReference(ObjectRef) override {}
  void visitRoots(const std::function<void(ObjectRef)>&) override {}
  bool checked() const override { return true; }
  std::atomic<uint64_t> ticket{0};

 private:
  LocalObjectSpace& home_;
};

TEST(Moving, an_answer_that_comes_while_the_writes_go_home_leaves_with_the_thread) {
  Nodes nodes(2);
  HeldFlushSpace space(nodes.vms[0]->localSpace());
  nodes.vms[0]->setSpace(space);
  uint64_t got = 0;
  uint32_t where = 99;
  ThreadRef thread = nodes.vms[0]->spawn([&](Guest& g) {
    if (g.pc == 0) {
      g.thread.writeSet = &space;  // something to flush
      g.thread.beginWait(WaitKind::Access, kNullRef, false);
      return g.capture(CaptureReason::Park);
    }
    got = g.in.value;
    where = g.vm.options().node.value;
    return g.end();
  });
  nodes.vms[0]->awaitParked(thread, WaitKind::Access);
  Scheduler& scheduler = nodes.vms[0]->scheduler();
  scheduler.deliver(thread, {ThreadMail::Kind::Migrate, 0, {}, {}, NodeId(1)});
  while (space.ticket == 0) std::this_thread::yield();
  Resumption answer;
  answer.value = 23;
  scheduler.deliver(thread, {ThreadMail::Kind::Answer, 1, answer, {}, {}});
  EXPECT_EQ(nodes.network.shipped, 0);
  scheduler.deliver(thread, {ThreadMail::Kind::Answer, space.ticket, {}, {}, {}});
  nodes.awaitEnded(1);
  EXPECT_EQ(got, 23u);
  EXPECT_EQ(where, 1u);
}

TEST(Moving, a_thread_stays_until_its_writes_are_home) {
  Nodes nodes(2);
  HeldFlushSpace space(nodes.vms[0]->localSpace());
  nodes.vms[0]->setSpace(space);
  ThreadRef thread = nodes.vms[0]->spawn([&](Guest& g) {
    if (g.pc != 0) return g.end();
    g.thread.writeSet = &space;  // something to flush
    g.thread.beginWait(WaitKind::Access, kNullRef, false);
    return g.capture(CaptureReason::Park);
  });
  nodes.vms[0]->awaitParked(thread, WaitKind::Access);
  Scheduler& scheduler = nodes.vms[0]->scheduler();
  scheduler.deliver(thread, {ThreadMail::Kind::Migrate, 0, {}, {}, NodeId(1)});
  while (space.ticket == 0) std::this_thread::yield();
  // The only worker takes another thread once it is through with this one.
  nodes.vms[0]->spawn([](Guest& g) { return g.end(); });
  nodes.awaitEnded(1);
  EXPECT_EQ(nodes.network.shipped, 0);
  scheduler.deliver(thread, {ThreadMail::Kind::Answer, space.ticket, {}, {}, {}});
  nodes.network.send(thread, {ThreadMail::Kind::Answer, 1, {}, {}, {}});
  nodes.awaitEnded(2);
  EXPECT_EQ(nodes.network.shipped, 1);
}

/// Threads lock, park, sleep and wake each other while they are moved about. Nothing may be lost: the counter is exact
/// and all end.
TEST(Moving, nothing_is_lost_while_threads_move_at_random) {
  constexpr int kThreads = 24, kRounds = 120;
  Nodes nodes(3, 200);
  ObjectRef monitor = nodes.vms[0]->newObject();
  int64_t counter = 0;  // under the monitor
  std::vector<ThreadRef> threads(kThreads);
  std::vector<int> rounds(kThreads);
  std::atomic<bool> go{false};
  for (int i = 0; i < kThreads; ++i)
    threads[size_t(i)] = nodes.vms[0]->spawn([&, i](Guest& g) {
      if (!go) return g.pc = -1, g.sleep(kMilli);
      if (g.poll()) return g.pc--, Did::Captured;
      switch (g.pc) {
        case 0:
          return g.enter(monitor);
        case 1:
          ++counter;
          return g.exit(monitor);
        case 2: {
          const ThreadRef& partner = threads[size_t(i ^ 1)];
          nodes.network.send(partner, {ThreadMail::Kind::Unpark, 0, {}, {}, {}});
          return Did::Next;
        }
        case 3:
          return g.park(20 * kMilli);  // the partner may be through already
        case 4:
          return g.enter(monitor);
        case 5:
          return i % 4 == 0 ? g.wait(monitor, kMilli) : g.sync(SyncOp::MonitorNotify, monitor);
        case 6:
          return g.exit(monitor);
        default:
          return ++rounds[size_t(i)] == kRounds ? g.end() : (g.pc = -1, g.sleep(100'000));
      }
    });
  go = true;
  Prng random(7);
  while (nodes.ended() < kThreads && !HasFatalFailure()) {
    const ThreadRef& any = threads[random.below(kThreads)];
    nodes.network.send(any, {ThreadMail::Kind::Migrate, 0, {}, {}, NodeId(uint32_t(random.below(3)))});
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    static int64_t limit = nowNanos() + 100'000 * kMilli;
    if (nowNanos() > limit) break;
  }
  nodes.awaitEnded(kThreads);
  EXPECT_EQ(counter, int64_t(kThreads) * kRounds);
  EXPECT_GT(nodes.network.shipped, 300);
  EXPECT_EQ(header(monitor)->lockWord.load(), 0u);
}

}  // namespace
}  // namespace jvmc::rt
