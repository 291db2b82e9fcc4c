// Decisions of the balancer on made-up loads.
#include <gtest/gtest.h>

#include "cluster/balance/plan.h"
#include "ir/support/prng.h"
#include "made_up_loads.h"

namespace jvmc::cluster {
namespace {

TEST(ThresholdPolicyTest, ANodeWithTenIdleAndTwoBusyThreadsLosesABusyOne) {
  Rounds rounds({}, Loads().node(1, 2, 10).node(1, 0));
  const auto moves = rounds.run(4);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_LE(moves[0].thread.id, 2u) << "an idle thread was moved";
  EXPECT_EQ(moves[0].to, NodeId(1));
  EXPECT_NEAR(moves[0].gain, 1.5, 0.01);
  EXPECT_FALSE(moves[0].reason.empty());
}

TEST(ThresholdPolicyTest, ABalancedClusterMovesNothingForTenSeconds) {
  for (uint32_t busy : {0u, 1u, 2u, 5u}) {
    Rounds rounds({}, Loads().node(2, busy, 3).node(2, busy, 1).node(2, busy));
    EXPECT_TRUE(rounds.run(200).empty()) << busy;
  }
}

TEST(ThresholdPolicyTest, MeasurementNoiseMovesNothing) {
  Rounds rounds({}, Loads().node(1, 2, 2).node(1, 2));
  Prng random(1);
  for (int i = 0; i < 200; ++i) {
    for (NodeLoad& node : rounds.now().nodes)
      for (ThreadLoad& thread : node.threads)
        if (thread.runnable) thread.cpu = 0.4 + 0.2 * double(random.below(1000)) / 1000;
    EXPECT_TRUE(rounds.run(1).empty());
  }
}

TEST(ThresholdPolicyTest, OtherProcessesOfTheMachineHideNoBusyThread) {
  const double got = 0.4;  // of a core, for each occupied worker
  for (auto [busyHere, busyThere, moves] :
       {std::tuple(2u, 0u, true), {2u, 1u, false}, {1u, 1u, false}, {3u, 1u, true}}) {
    Loads loads = Loads().node(1, busyHere, 10).node(1, busyThere);
    for (NodeLoad& node : loads.snapshot.nodes) {
      node.occupied = std::min(node.workers, node.runnable());
      for (ThreadLoad& thread : node.threads) thread.cpu *= got;
    }
    BalanceOptions options;
    options.confirmations = 1;
    EXPECT_EQ(!decide(options, loads.snapshot, {}).moves.empty(), moves) << busyHere << " and " << busyThere;
  }
}

TEST(ThresholdPolicyTest, OneThreadMoreThanNodesStaysWhereItIs) {
  Rounds rounds({}, Loads().node(1, 2).node(1, 1));
  EXPECT_TRUE(rounds.run(100).empty()) << "moving it would only crowd the other node";
}

TEST(ThresholdPolicyTest, EightThreadsOnOneOfTwoNodesEndFourAndFour) {
  Rounds rounds({}, Loads().node(1, 8).node(1, 0));
  rounds.run(10);
  EXPECT_EQ(rounds.busyOn(0), 4u);
  EXPECT_EQ(rounds.busyOn(1), 4u);
}

TEST(ThresholdPolicyTest, LargerNodesGetMore) {
  Rounds rounds({}, Loads().node(1, 9).node(4, 0).node(4, 0));
  rounds.run(40);
  EXPECT_LE(rounds.busyOn(0), 2u);
  EXPECT_GE(rounds.busyOn(1), 3u);
  EXPECT_GE(rounds.busyOn(2), 3u);
}

TEST(ThresholdPolicyTest, PinnedThreadsStay) {
  Loads loads;
  loads.node(1, 4).node(1, 0);
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) thread.pinned = true;
  EXPECT_TRUE(Rounds({}, loads).run(20).empty());
}

TEST(ThresholdPolicyTest, AThreadThatHasMovedRests) {
  Loads loads;
  loads.node(1, 2).node(1, 0);
  BalanceHistory history;
  history.moved[1] = history.moved[2] = {.nanos = 0, .restNanos = 1000 * kMillisecond};
  history.crowdedRounds[NodeId(0)] = 10;
  loads.snapshot.nowNanos = 900 * kMillisecond;
  EXPECT_TRUE(decide({}, loads.snapshot, history).moves.empty());
  loads.snapshot.nowNanos = 1001 * kMillisecond;
  EXPECT_EQ(decide({}, loads.snapshot, history).moves.size(), 1u);
}

TEST(ThresholdPolicyTest, AThreadThatNeverComesToRestMovesEverMoreRarely) {
  Loads loads;
  loads.node(1, 2).node(1, 0);
  BalanceHistory history;
  std::vector<int64_t> moved;
  // Whoever moves finds its new node just as crowded.
  for (loads.snapshot.nowNanos = 0; loads.snapshot.nowNanos < 300'000 * kMillisecond;
       loads.snapshot.nowNanos += 50 * kMillisecond) {
    BalanceDecision decision = decide({}, loads.snapshot, history);
    if (!decision.moves.empty()) {
      std::swap(loads.snapshot.nodes[0].threads, loads.snapshot.nodes[1].threads);
      if (decision.moves[0].thread.id == 1) moved.push_back(loads.snapshot.nowNanos);
    }
    history = std::move(decision.history);
  }
  ASSERT_GE(moved.size(), 5u);
  EXPECT_LE(moved.size(), 12u);
  for (size_t i = 2; i < moved.size(); ++i)
    EXPECT_GE(moved[i] - moved[i - 1], std::min((moved[i - 1] - moved[i - 2]) * 3 / 2, 60'000 * kMillisecond));
}

TEST(ThresholdPolicyTest, AThreadThatHasStayedForLongMovesAsTheFirstTime) {
  Loads loads;
  loads.node(1, 2).node(1, 0);
  BalanceHistory history;
  history.moved[1] = history.moved[2] = {.nanos = 0, .restNanos = 8000 * kMillisecond};
  history.crowdedRounds[NodeId(0)] = 10;
  loads.snapshot.nowNanos = 30'000 * kMillisecond;
  const BalanceDecision decision = decide({}, loads.snapshot, history);
  ASSERT_EQ(decision.moves.size(), 1u);
  EXPECT_EQ(decision.history.moved.at(decision.moves[0].thread.id).restNanos, 1000 * kMillisecond);
}

TEST(ThresholdPolicyTest, OneCrowdedSampleIsNotEnough) {
  const Loads loads = Loads().node(1, 4).node(1, 0);
  const BalanceDecision first = decide({}, loads.snapshot, {});
  EXPECT_TRUE(first.moves.empty());
  EXPECT_FALSE(decide({}, loads.snapshot, first.history).moves.empty());
}

TEST(ThresholdPolicyTest, OneReportThatIsLookedAtTwiceIsStillOne) {
  Loads loads = Loads().node(1, 4).node(1, 0);
  BalanceDecision decision = decide({}, loads.snapshot, {});
  loads.snapshot.nodes[0].fresh = false;
  decision = decide({}, loads.snapshot, decision.history);
  EXPECT_TRUE(decision.moves.empty());
  loads.snapshot.nodes[0].fresh = true;
  EXPECT_FALSE(decide({}, loads.snapshot, decision.history).moves.empty());
}

TEST(ThresholdPolicyTest, AsLongAsANodeHasIdleWorkersItsThreadsStay) {
  for (auto [workers, busy] : {std::pair(2u, 2u), {4u, 4u}, {8u, 5u}, {16u, 16u}})
    EXPECT_TRUE(Rounds({}, Loads().node(workers, busy, 3).node(workers, 0)).run(100).empty()) << busy;
}

TEST(ThresholdPolicyTest, ManySmallThreadsAreEvenedOutToo) {
  Loads loads = Loads().node(4, 100).node(4, 0);
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) thread.wanted = thread.cpu = 0.1;
  LoadSnapshot now = loads.snapshot;
  BalanceDecision decision = decide({}, now, {});
  now.nowNanos += 50 * kMillisecond;
  decision = decide({}, now, decision.history);
  EXPECT_NEAR(double(decision.moves.size()), 50, 3);
}

TEST(ThresholdPolicyTest, ALittleUnevennessOfManyThreadsStays) {
  EXPECT_TRUE(Rounds({}, Loads().node(16, 101).node(16, 99)).run(100).empty());
  EXPECT_FALSE(Rounds({}, Loads().node(16, 120).node(16, 80)).run(100).empty());
}

TEST(ThresholdPolicyTest, AThreadThatCannotPayForItsMoveStays) {
  Loads loads = Loads().node(1, 2).node(1, 0);
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) thread.frameBytes = uint64_t(2) << 30;
  EXPECT_TRUE(Rounds({}, loads).run(10).empty());
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) thread.frameBytes = 1 << 20;
  EXPECT_EQ(Rounds({}, loads).run(10).size(), 1u);
}

TEST(ThresholdPolicyTest, OfEqualThreadsTheOneWithTheSmallestFramesMoves) {
  Loads loads = Loads().node(1, 3).node(1, 1);
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) thread.frameBytes = thread.thread.id == 2 ? 100 : 50'000;
  const auto moves = Rounds({}, loads).run(4);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].thread.id, 2u);
}

TEST(ThresholdPolicyTest, AThreadKnownToWantACoreCountsWhateverCpuItGot) {
  Loads loads = Loads().node(1, 8).node(1, 0);
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) {
    thread.cpu = 0.01;  // it has only just begun
    thread.wanted = 1;
  }
  BalanceDecision decision = decide({}, loads.snapshot, {});
  decision = decide({}, loads.snapshot, decision.history);
  EXPECT_EQ(decision.moves.size(), 4u);
}

TEST(GreedyPolicyTest, MovesAtOnceAndWithoutLimit) {
  const BalanceDecision decision = decide(greedy(), Loads().node(1, 400).node(1, 0).snapshot, {});
  EXPECT_EQ(decision.moves.size(), 200u);
}

TEST(GreedyPolicyTest, ABalancedClusterMovesNothing) {
  for (uint32_t busy : {0u, 1u, 2u, 5u})
    EXPECT_TRUE(Rounds(greedy(), Loads().node(2, busy, 3).node(2, busy, 1).node(2, busy)).run(100).empty()) << busy;
}

TEST(GreedyPolicyTest, AnOddThreadDoesNotGoToAndFro) {
  Rounds rounds(greedy(), Loads().node(1, 9).node(1, 0));
  EXPECT_EQ(rounds.run(200).size(), 4u);
}

TEST(GreedyPolicyTest, TakesWhatThresholdLeaves) {
  const Loads loads = Loads().node(16, 101).node(16, 97);
  EXPECT_TRUE(Rounds({}, loads).run(20).empty());
  EXPECT_EQ(Rounds(greedy(), loads).run(20).size(), 2u);
}

TEST(GreedyPolicyTest, PinnedThreadsStayAndAMoveMustPay) {
  Loads loads = Loads().node(1, 4).node(1, 0);
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) thread.pinned = true;
  EXPECT_TRUE(Rounds(greedy(), loads).run(20).empty());
  for (ThreadLoad& thread : loads.snapshot.nodes[0].threads) {
    thread.pinned = false;
    thread.frameBytes = uint64_t(2) << 30;
  }
  EXPECT_TRUE(Rounds(greedy(), loads).run(20).empty());
}

TEST(ThresholdPolicyTest, ARoundMovesAtMostItsLimit) {
  BalanceOptions options;
  options.movesPerRound = 3;
  options.confirmations = 1;
  EXPECT_EQ(decide(options, Loads().node(1, 40).node(1, 0).snapshot, {}).moves.size(), 3u);
}

TEST(RotatePolicyTest, EveryThreadMovesToTheNextNodeEachRound) {
  BalanceOptions options;
  options.policy = BalancePolicy::Rotate;
  Loads loads;
  loads.node(1, 2).node(1, 1, 1).node(1, 0, 1);
  loads.snapshot.nowNanos = options.rotateNanos;
  const BalanceDecision decision = decide(options, loads.snapshot, {});
  ASSERT_EQ(decision.moves.size(), 5u);
  for (const Move& move : decision.moves) EXPECT_EQ(move.to.value, (move.from.value + 1) % 3);
  loads.snapshot.nowNanos += options.rotateNanos / 2;
  EXPECT_TRUE(decide(options, loads.snapshot, decision.history).moves.empty()) << "the round is not over";
}

TEST(RotatePolicyTest, WhoIsStillOnTheWayIsNotAskedAgain) {
  BalanceOptions options;
  options.policy = BalancePolicy::Rotate;
  Loads loads;
  loads.node(1, 2).node(1, 0);
  loads.snapshot.nowNanos = options.rotateNanos;
  loads.snapshot.nodes[0].threads[0].travels = true;
  const BalanceDecision decision = decide(options, loads.snapshot, {});
  ASSERT_EQ(decision.moves.size(), 1u);
  EXPECT_EQ(decision.moves[0].thread, loads.snapshot.nodes[0].threads[1].thread);
}

TEST(PolicyTest, OffAndASingleNodeMoveNothing) {
  BalanceOptions options;
  options.confirmations = 1;
  EXPECT_TRUE(decide(options, Loads().node(1, 5).snapshot, {}).moves.empty());
  options.policy = BalancePolicy::Off;
  EXPECT_TRUE(decide(options, Loads().node(1, 5).node(1, 0).snapshot, {}).moves.empty());
}

TEST(PolicyTest, NamesAreReadAsTheyAreWritten) {
  for (BalancePolicy policy : {BalancePolicy::Off, BalancePolicy::Threshold, BalancePolicy::Greedy,
                               BalancePolicy::Affinity, BalancePolicy::Rotate})
    EXPECT_EQ(*parsePolicy(nameOf(policy)), policy);
  EXPECT_FALSE(parsePolicy("most").ok());
}

TEST(LoadReportTest, TravelsUnchangedAndRefusesGarbage) {
  NodeLoad load = Loads().node(3, 2, 1).snapshot.nodes[0];
  load.occupied = 1.25;
  std::vector<uint8_t> bytes = encodeLoad(load);
  const Result<NodeLoad> read = decodeLoad(bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->workers, 3u);
  EXPECT_NEAR(read->occupied, 1.25, 1e-3);
  ASSERT_EQ(read->threads.size(), 3u);
  EXPECT_EQ(read->threads[1].thread.id, 2u);
  EXPECT_TRUE(read->threads[1].runnable);
  EXPECT_NEAR(read->threads[1].cpu, 1.0, 1e-4);
  EXPECT_FALSE(read->threads[2].runnable);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decodeLoad(std::span(bytes).first(cut)).ok()) << cut;
}

}  // namespace
}  // namespace jvmc::cluster
