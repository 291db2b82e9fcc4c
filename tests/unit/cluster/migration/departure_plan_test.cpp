// Which threads leave a node that gets empty, and when.
#include "cluster/migration/departure_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace jvmc::cluster {
namespace {

constexpr uint64_t kA = 1 << 16, kB = 2 << 16, kC = 3 << 16;

std::vector<Departing> threads(const std::vector<std::vector<uint64_t>>& blocks) {
  std::vector<Departing> all;
  for (const auto& each : blocks) all.push_back({{rt::ThreadId(all.size()), rt::kNullRef}, false, each});
  return all;
}

std::vector<uint64_t> ids(const std::vector<Departing>& threads) {
  std::vector<uint64_t> ids;
  for (const Departing& each : threads) ids.push_back(each.thread.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

using Ids = std::vector<uint64_t>;

TEST(DeparturePlanTest, AThreadLeavesOnceWithItsBlock) {
  DeparturePlan plan;
  EXPECT_EQ(ids(plan.make(threads({{kA}, {}, {kB}}))), Ids{1}) << "who refers to nothing here leaves at once";
  EXPECT_EQ(ids(plan.takeWith(kC)), Ids{});
  EXPECT_EQ(ids(plan.takeWith(kA)), Ids{0});
  EXPECT_EQ(ids(plan.takeWith(kA)), Ids{});
  EXPECT_EQ(ids(plan.takeWith(kB)), Ids{2});
}

TEST(DeparturePlanTest, AThreadLeavesWithTheBlockThatItSharesWithTheFewest) {
  DeparturePlan plan;
  EXPECT_EQ(ids(plan.make(threads({{kA, kB, kA, kA}, {kA}, {kA, kC}}))), Ids{});
  EXPECT_EQ(ids(plan.takeWith(kA)), Ids{1});
  EXPECT_EQ(ids(plan.takeWith(kB)), Ids{0}) << "however often it refers to another";
  EXPECT_EQ(ids(plan.takeWith(kC)), Ids{2});
}

TEST(DeparturePlanTest, AThreadThatSharesAllWithManyLeavesAtOnce) {
  DeparturePlan plan;
  EXPECT_EQ(plan.make(threads(std::vector<std::vector<uint64_t>>(20, {kA}))).size(), 20U);
  EXPECT_EQ(ids(plan.takeWith(kA)), Ids{});
}

TEST(DeparturePlanTest, ANewPlanReplacesTheOldOne) {
  DeparturePlan plan;
  (void)plan.make(threads({{kA}}));
  (void)plan.make(threads({{kB}}));
  EXPECT_EQ(ids(plan.takeWith(kA)), Ids{});
  EXPECT_EQ(ids(plan.takeWith(kB)), Ids{0});
}

TEST(DeparturePlanTest, ThreadsWaitOnlyWhileBlocksLeave) {
  DeparturePlan plan;
  EXPECT_TRUE(plan.mayWait(100));
  plan.blocksHaveLeft(10);
  EXPECT_TRUE(plan.mayWait(90));
  plan.blocksHaveLeft(0);
  EXPECT_FALSE(plan.mayWait(90)) << "what is left does not leave";
  plan.blocksHaveLeft(10);
  EXPECT_TRUE(plan.mayWait(80));
}

TEST(DeparturePlanTest, ThreadsThatMakeNewBlocksAllTheTimeDoNotStayForever) {
  DeparturePlan plan;
  EXPECT_TRUE(plan.mayWait(100));
  plan.blocksHaveLeft(199);
  EXPECT_TRUE(plan.mayWait(100));
  plan.blocksHaveLeft(1);
  EXPECT_FALSE(plan.mayWait(100));
}

TEST(DeparturePlanTest, ANodeThatStaysBeginsAnew) {
  DeparturePlan plan;
  EXPECT_TRUE(plan.mayWait(100));
  plan.blocksHaveLeft(200);
  (void)plan.make(threads({{kA}}));
  plan.forget();
  EXPECT_EQ(ids(plan.takeWith(kA)), Ids{});
  EXPECT_TRUE(plan.mayWait(100));
}

}  // namespace
}  // namespace jvmc::cluster
