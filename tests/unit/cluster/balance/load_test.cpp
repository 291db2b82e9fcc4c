// What nodes report of their load, and how often.
#include "cluster/balance/load.h"

#include <gtest/gtest.h>

#include "cluster/balance/report_pace.h"
#include "cluster/objects/remote_use.h"

namespace jvmc::cluster {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

TEST(RemoteUseTest, CountsByThreadAndHomeAndForgetsThreadsThatHaveGone) {
  RemoteUse use;
  use.note(7, NodeId(2), 100, 5000);
  use.note(7, NodeId(1), 10, 1000);
  use.note(7, NodeId(2), 100, 5000);
  use.note(8, NodeId(2), 1, 0);
  const auto uses = use.of(7);
  ASSERT_EQ(uses.size(), 2u);
  EXPECT_EQ(uses[0].home, NodeId(2)) << "the home that is asked most comes first";
  EXPECT_EQ(uses[0].requests, 2u);
  EXPECT_EQ(uses[0].bytes, 200u);
  EXPECT_EQ(uses[0].waitNanos, 10'000u);
  EXPECT_EQ(use.all().size(), 2u);
  use.forget(7);
  EXPECT_TRUE(use.of(7).empty());
  EXPECT_EQ(use.all().size(), 1u);
}

TEST(RemoteUseTest, RatesFollowWhatAThreadDoesAndFadeWhenItStops) {
  RemoteUse use;
  int64_t now = 1'000 * kMillisecond;
  use.sample(now);
  for (int i = 0; i < 40; ++i) {
    for (int k = 0; k < 50; ++k) use.note(7, NodeId(1), 64, 100'000);
    use.sample(now += 50 * kMillisecond);
  }
  EXPECT_NEAR(use.of(7)[0].requestsPerSecond, 1000, 20);
  EXPECT_NEAR(use.of(7)[0].bytesPerSecond, 64'000, 1300);
  EXPECT_NEAR(use.of(7)[0].waitShare, 0.1, 0.003);
  use.sample(now + 3'000 * kMillisecond);
  EXPECT_LT(use.of(7)[0].requestsPerSecond, 1);
  EXPECT_EQ(use.of(7)[0].requests, 2000u) << "totals stay";
}

TEST(RemoteUseTest, AThreadOfWhichNothingIsHeardForLongIsForgotten) {
  RemoteUse use;
  use.note(7, NodeId(1), 64, 0);
  use.sample(1);
  use.sample(500'000 * kMillisecond);
  EXPECT_FALSE(use.of(7).empty());
  use.sample(700'000 * kMillisecond);
  EXPECT_TRUE(use.of(7).empty());
}

/// Times, in milliseconds, at which a node reports while `changed` and `load` are as given, looking each 10 ms.
class Pace {
 public:
  int reportsDuring(int64_t milliseconds, bool changed, double occupied = 0, int64_t spentNanos = 0) {
    int reports = 0;
    for (int64_t end = now_ + milliseconds * kMillisecond; now_ < end; now_ += 10 * kMillisecond) {
      if (!pace_.isDue(now_, changed)) continue;
      NodeLoad load;
      load.workers = 4;
      load.occupied = occupied;
      pace_.reported(now_, load, spentNanos);
      ++reports;
    }
    return reports;
  }

 private:
  ReportPace pace_{{}};
  int64_t now_ = 1'000 * kMillisecond;
};

TEST(ReportPaceTest, ANodeOnWhichNothingHappensReportsEverMoreRarely) {
  Pace pace;
  EXPECT_GE(pace.reportsDuring(1000, false), 4);
  EXPECT_LE(pace.reportsDuring(4000, false), 10);
}

TEST(ReportPaceTest, AChangeIsReportedAtOnceAndThenSeveralTimes) {
  Pace pace;
  pace.reportsDuring(3000, false);
  EXPECT_EQ(pace.reportsDuring(10, true), 1);
  EXPECT_GE(pace.reportsDuring(90, false), 7);
}

TEST(ReportPaceTest, WhereSomethingChangesAllTheTimeReportsComeAtTheNormalRateMostly) {
  Pace pace;
  pace.reportsDuring(2000, true);
  const int reports = pace.reportsDuring(10'000, true);
  EXPECT_GE(reports, 200);
  EXPECT_LE(reports, 300);
}

TEST(ReportPaceTest, AnotherLoadEndsTheQuiet) {
  Pace pace;
  pace.reportsDuring(3000, false, 1);
  EXPECT_GE(pace.reportsDuring(1000, false, 3), 4);
}

TEST(ReportPaceTest, SamplingTakesNoMoreThanAFiftiethOfTheTime) {
  Pace pace;
  pace.reportsDuring(1000, true, 0, 20 * kMillisecond);
  EXPECT_LE(pace.reportsDuring(10'000, true, 0, 20 * kMillisecond), 11);
}

TEST(LoadReportTest, CarriesWorkersQueueAndTraffic) {
  NodeLoad load;
  load.node = NodeId(5);
  load.workers = 2;
  load.queued = 3;
  load.workerCpu = {1.0, 0.25};
  load.remote = {NodeId(), 1234, 567'890, 0.5};
  load.idleThreads = 17;
  ThreadLoad thread;
  thread.thread = {9, 0};
  thread.wanted = 0.75;
  for (uint32_t home = 0; home < 6; ++home) thread.uses.push_back({NodeId(home), 100.0 - home, 1e6, 0.125});
  load.threads.push_back(thread);
  const Result<NodeLoad> back = decodeLoad(encodeLoad(load));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->queued, 3u);
  ASSERT_EQ(back->workerCpu.size(), 2u);
  EXPECT_NEAR(back->workerCpu[1], 0.25, 1e-4);
  EXPECT_EQ(back->remote.requests, 1234);
  EXPECT_EQ(back->remote.bytes, 567'890);
  EXPECT_EQ(back->idleThreads, 17u);
  EXPECT_NEAR(back->threads[0].wanted, 0.75, 1e-4);
  ASSERT_EQ(back->threads[0].uses.size(), ThreadLoad::kUsesMax);
  EXPECT_EQ(back->threads[0].uses[3].home, NodeId(3));
  EXPECT_EQ(back->threads[0].uses[3].requests, 97);
  EXPECT_NEAR(back->threads[0].uses[3].wait, 0.125, 1e-3);
}

}  // namespace
}  // namespace jvmc::cluster
