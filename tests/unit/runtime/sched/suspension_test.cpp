// Fibers that wait inside a marker's slow path: resumed early, late and at the same moment, and more of them than
// fibers.
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>

#include "tests/unit/runtime/sched/fake_vm.h"

namespace jvmc::rt {
namespace {

/// Resumes what it is given, on a thread of its own, as the reply to a fetch would.
class Resumer {
 public:
  explicit Resumer(Scheduler& scheduler) : thread_([this, &scheduler] { run(scheduler); }) {}
  ~Resumer() {
    put(nullptr);
    thread_.join();
  }
  void put(std::shared_ptr<Scheduler::Suspension> suspension) {
    {
      std::scoped_lock lock(mutex_);
      pending_.push_back(std::move(suspension));
    }
    filled_.notify_one();
  }

 private:
  void run(Scheduler& scheduler) {
    while (true) {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [&] { return !pending_.empty(); });
      auto next = std::move(pending_.front());
      pending_.pop_front();
      lock.unlock();
      if (!next) return;
      scheduler.resume(*next);
    }
  }
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::shared_ptr<Scheduler::Suspension>> pending_;
  std::thread thread_;
};

void suspendMany(uint32_t workers, size_t maxFibers, int threads, int rounds) {
  FakeVm vm({.workers = workers, .maxFibers = maxFibers});
  Resumer resumer(vm.scheduler());
  std::atomic<int> resumed{0};
  std::vector<int> done(size_t(threads), 0);
  for (int i = 0; i < threads; ++i)
    vm.spawn([&, i](Guest& g) {
      if (done[size_t(i)]++ == rounds) return g.end();
      uint64_t marker = uint64_t(i) * 1000003;
      volatile uint64_t onStack = marker;  // the fiber's stack survives
      auto suspension = g.vm.scheduler().prepareSuspend(g.ctx);
      resumer.put(suspension);
      g.vm.scheduler().suspend(g.ctx, std::move(suspension));
      EXPECT_EQ(onStack, marker);
      EXPECT_EQ(g.thread.context.load(), &g.ctx);
      ++resumed;
      return Did::Next;
    });
  vm.scheduler().waitIdle();
  EXPECT_EQ(resumed, threads * rounds);
}

TEST(Suspension, resuming_races_with_suspending) {
  suspendMany(2, 64, 4, 5000);
}

TEST(Suspension, threads_wait_for_fibers_when_all_are_suspended) {
  suspendMany(2, 3, 20, 100);
}

TEST(Suspension, a_collection_sees_a_suspended_stack_and_waits_for_no_one) {
  FakeVm vm;
  std::shared_ptr<Scheduler::Suspension> suspension;
  std::atomic<bool> ready{false};
  vm.spawn([&](Guest& g) {
    suspension = g.vm.scheduler().prepareSuspend(g.ctx);
    ready = true;
    g.vm.scheduler().suspend(g.ctx, suspension);
    return g.end();
  });
  while (!ready) std::this_thread::yield();
  int contexts = 0;
  vm.world().stop(nullptr, [&] { vm.world().forEachContext([&](ThreadContext&) { ++contexts; }); });
  EXPECT_EQ(contexts, 1);
  vm.scheduler().resume(*suspension);
  vm.scheduler().waitIdle();
}

}  // namespace
}  // namespace jvmc::rt
