// What a node reports of its threads, from what its scheduler shows.
#include "cluster/balance/load_meter.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace jvmc::cluster {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

/// Shows what a test sets; nothing of it runs.
class ShownScheduler final : public rt::Scheduler {
 public:
  std::vector<rt::ThreadSnapshot> threads;
  std::vector<uint64_t> workerNanos{0};

  std::vector<rt::ThreadSnapshot> snapshot() const override { return threads; }
  size_t threadCount() const override { return threads.size(); }
  uint32_t occupiedWorkers() const override { return uint32_t(workerNanos.size()); }
  uint32_t queuedThreads() const override { return 0; }
  std::vector<uint64_t> workerCpuNanos() const override { return workerNanos; }

  void beginWaits() override { unexpected<int>(); }
  void noteWaits() override { unexpected<int>(); }
  void noteRuns() override { unexpected<int>(); }
  bool adopt(std::unique_ptr<rt::GuestThread>) override { return unexpected<bool>(); }
  bool isHere(rt::ThreadId) const override { return unexpected<bool>(); }
  bool deliver(const rt::ThreadRef&, const rt::ThreadMail&) override { return unexpected<bool>(); }
  bool completeOutside(const rt::ThreadRef&, uint64_t, rt::OutsideResult) override { return unexpected<bool>(); }
  std::shared_ptr<Suspension> prepareSuspend(rt::ThreadContext&) override { return unexpected<std::nullptr_t>(); }
  void suspend(rt::ThreadContext&, std::shared_ptr<Suspension>) override { unexpected<int>(); }
  void resume(Suspension&) override { unexpected<int>(); }
  void armTimer(rt::GuestThread&, int64_t) override { unexpected<int>(); }
  rt::Timers& timers() override { throw std::logic_error("not shown"); }
  void visitThreads(const std::function<void(const rt::GuestThread&, bool, bool)>&) const override {
    unexpected<int>();
  }
  void waitIdle() override { unexpected<int>(); }
  void stopAll() override { unexpected<int>(); }
  void visitRoots(const std::function<void(rt::ObjectRef)>&) override { unexpected<int>(); }
  void visitAnswers(const std::function<void(const rt::Resumption&)>&) override { unexpected<int>(); }

 private:
  template <class T>
  static T unexpected() {
    throw std::logic_error("a meter does not ask for this");
  }
};

/// A node of one worker whose threads become ready at the same time and are looked at each 10 ms.
class LoadMeterTest : public testing::Test {
 protected:
  void addReady(rt::ThreadId id) {
    rt::ThreadSnapshot thread{};
    thread.ref.id = id;
    thread.state = rt::ThreadState::Ready;
    scheduler_.threads.push_back(thread);
  }
  /// 10 ms pass, of which the worker gets `cpuNanos`.
  NodeLoad after10ms(uint64_t cpuNanos) {
    scheduler_.workerNanos[0] += cpuNanos;
    return meter_.sample(now_ += 10 * kMillisecond);
  }

  ShownScheduler scheduler_;
  RemoteUse remoteUse_;
  BlockUsers blockUsers_;
  LoadMeter meter_{{NodeId(0)}, scheduler_, remoteUse_, blockUsers_, [] { return MemoryLoad{}; }};
  int64_t now_ = 0;
};

TEST_F(LoadMeterTest, AThreadThatWaitsForItsTurnWhileTheWorkerRunsWantsACore) {
  addReady(1);
  after10ms(0);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(after10ms(10 * kMillisecond).threads.at(0).wanted, 0) << "it may be a turn";
  EXPECT_EQ(after10ms(10 * kMillisecond).threads.at(0).wanted, 1);
}

TEST_F(LoadMeterTest, WhereOthersTakeTheMachineReadyThreadsWantNothingForThatReason) {
  addReady(1);
  after10ms(0);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(after10ms(kMillisecond).threads.at(0).wanted, 0);
  for (int i = 0; i < 4; ++i) after10ms(kMillisecond);
  EXPECT_EQ(after10ms(kMillisecond).threads.at(0).wanted, 1) << "but for longer than others' turns can last";
}

TEST_F(LoadMeterTest, AThreadThatWaitsLongForAnAnswerWantsNothingUntilItHasRunAgain) {
  addReady(1);
  rt::ThreadSnapshot& thread = scheduler_.threads[0];
  thread.state = rt::ThreadState::Running;
  thread.suspended = true;
  thread.cpuNanosRecent = 10 * kMillisecond;  // it is listed
  for (int i = 0; i < 10; ++i) EXPECT_EQ(after10ms(10 * kMillisecond).threads.at(0).wanted, 0) << "others ran";
  thread.suspended = false;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(after10ms(10 * kMillisecond).threads.at(0).wanted, 0);
  EXPECT_EQ(after10ms(10 * kMillisecond).threads.at(0).wanted, 1);
}

TEST_F(LoadMeterTest, AThreadThatRunsBetweenShortWaitsForAnswersWantsACore) {
  addReady(1);
  rt::ThreadSnapshot& thread = scheduler_.threads[0];
  thread.state = rt::ThreadState::Running;
  thread.cpuNanosRecent = 10 * kMillisecond;
  double wanted = 0;
  for (int i = 0; i < 5; ++i) {
    thread.suspended = i % 2 == 0;  // as the sample finds it
    thread.cpuNanosRunning += kMillisecond;
    wanted = after10ms(10 * kMillisecond).threads.at(0).wanted;
  }
  EXPECT_EQ(wanted, 1);
}

TEST_F(LoadMeterTest, AThreadThatHasParkedMeanwhileBeginsAnew) {
  addReady(1);
  for (int i = 0; i < 10; ++i) {
    scheduler_.threads[0].parks++;
    EXPECT_EQ(after10ms(10 * kMillisecond).threads.at(0).wanted, 0);
  }
}

}  // namespace
}  // namespace jvmc::cluster
