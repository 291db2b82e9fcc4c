// Decisions of the balancer about blocks, on made-up loads.
#include <gtest/gtest.h>

#include "cluster/balance/policy.h"

namespace jvmc::cluster {
namespace {

constexpr uint64_t kMiB = 1 << 20;

/// Decides again and again, 50 ms apart. Blocks arrive at once, unless `carriesOut` is off.
class MemoryRounds {
 public:
  MemoryRounds(std::vector<uint64_t> liveMiB, uint64_t limitMiB) {
    for (uint64_t live : liveMiB) {
      NodeLoad load;
      load.node = NodeId(uint32_t(now.nodes.size()));
      load.memory.live = load.memory.used = live * kMiB;
      load.memory.limit = limitMiB * kMiB;
      now.nodes.push_back(load);
    }
  }
  std::vector<BlockMove> run(int rounds) {
    std::vector<BlockMove> all;
    for (int i = 0; i < rounds; ++i) {
      now.nowNanos += options.reportNanos;
      BalanceDecision decision = decide(options, now, history_);
      history_ = decision.history;
      for (const BlockMove& move : decision.blockMoves) {
        if (carriesOut) {
          now.nodes[move.from.value].memory.live -= move.bytes;
          now.nodes[move.to.value].memory.live += move.bytes;
        }
        all.push_back(move);
      }
    }
    return all;
  }
  double share(uint32_t node) const { return now.nodes[node].memory.share(); }

  BalanceOptions options;
  LoadSnapshot now;
  bool carriesOut = true;

 private:
  BalanceHistory history_;
};

TEST(MemoryPolicyTest, AFullNodeGivesBlocksToTheEmptiestUntilItIsBelowTheThreshold) {
  MemoryRounds rounds({90, 50, 10}, 100);
  const auto moves = rounds.run(40);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].from, NodeId(0));
  EXPECT_EQ(moves[0].to, NodeId(2));
  EXPECT_NEAR(double(moves[0].bytes) / kMiB, 40, 1);
  EXPECT_NEAR(moves[0].gain, 0.4, 0.01);
  EXPECT_FALSE(moves[0].reason.empty());
}

TEST(MemoryPolicyTest, BelowTheThresholdNothingMovesHoweverUnequalNodesAre) {
  EXPECT_TRUE(MemoryRounds({74, 0}, 100).run(100).empty());
}

TEST(MemoryPolicyTest, AClusterThatIsFullEverywhereMovesNothing) {
  EXPECT_TRUE(MemoryRounds({98, 95, 92}, 100).run(100).empty());
}

TEST(MemoryPolicyTest, OneSnapshotIsNotEnough) {
  EXPECT_TRUE(MemoryRounds({95, 5}, 100).run(1).empty());
}

TEST(MemoryPolicyTest, WhileBlocksLeaveNoMoreAreAskedFor) {
  MemoryRounds rounds({95, 5}, 100);
  rounds.now.nodes[0].memory.moving = true;
  EXPECT_TRUE(rounds.run(100).empty());
}

TEST(MemoryPolicyTest, ANodeThatWasGivenBlocksDoesNotPassThemOnAtOnce) {
  MemoryRounds rounds({90, 70, 70}, 100);
  ASSERT_EQ(rounds.run(5).size(), 1u);
  rounds.now.nodes[0].memory.live = 50 * kMiB;
  rounds.now.nodes[1].memory.live = 90 * kMiB;  // by its own threads
  rounds.now.nodes[2].memory.live = 10 * kMiB;
  EXPECT_TRUE(rounds.run(int(rounds.options.arrivedRestNanos / rounds.options.reportNanos) - 6).empty());
  EXPECT_EQ(rounds.run(20).size(), 1u);
}

TEST(MemoryPolicyTest, BlocksThatDoNotArriveAreAskedForAgainNowAndThenOnly) {
  MemoryRounds rounds({95, 5}, 100);
  rounds.carriesOut = false;
  const int64_t restRounds = rounds.options.memoryRestNanos / rounds.options.reportNanos;
  const auto moves = rounds.run(int(restRounds) * 5);
  EXPECT_GE(moves.size(), 4u);
  EXPECT_LE(moves.size(), 5u);
}

TEST(MemoryPolicyTest, NodesOfDifferentSizeEndEquallyFull) {
  MemoryRounds rounds({900, 0}, 1000);
  rounds.now.nodes[1].memory.limit = 100 * kMiB;
  rounds.run(200);
  EXPECT_NEAR(rounds.share(0), rounds.share(1), 0.02);
}

TEST(MemoryPolicyTest, AMoveIsNeverLargerThanTheRateAllows) {
  MemoryRounds rounds({9000, 0}, 10000);
  rounds.options.bytesPerMove = 100 * kMiB;
  for (const BlockMove& move : rounds.run(100)) EXPECT_LE(move.bytes, 100 * kMiB);
}

TEST(MemoryPolicyTest, AReportCarriesTheMemoryOfANode) {
  NodeLoad load;
  load.node = NodeId(3);
  load.memory = {.live = 1, .used = 2, .limit = uint64_t(1) << 40, .copies = 4, .rss = 5, .moving = true};
  const Result<NodeLoad> back = decodeLoad(encodeLoad(load));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->memory.live, 1u);
  EXPECT_EQ(back->memory.used, 2u);
  EXPECT_EQ(back->memory.limit, uint64_t(1) << 40);
  EXPECT_EQ(back->memory.copies, 4u);
  EXPECT_EQ(back->memory.rss, 5u);
  EXPECT_TRUE(back->memory.moving);
}

}  // namespace
}  // namespace jvmc::cluster
