// What is kept of decisions, and how moves under way are counted.
#include "cluster/balance/decision_log.h"

#include <gtest/gtest.h>

#include "cluster/balance/pending_moves.h"
#include "cluster/balance/plan.h"
#include "made_up_loads.h"

namespace jvmc::cluster {
namespace {

using Outcome = DecisionRecord::Outcome;

Move moveOf(const LoadSnapshot& snapshot, size_t thread, uint32_t to) {
  return {snapshot.nodes[0].threads[thread].thread, NodeId(0), NodeId(to), 1.5, "because", 1};
}

/// The snapshot with one thread moved, `nanos` later.
LoadSnapshot later(LoadSnapshot snapshot, int64_t nanos, std::optional<size_t> moved) {
  snapshot.nowNanos += nanos;
  if (!moved) return snapshot;
  auto& from = snapshot.nodes[0].threads;
  snapshot.nodes[1].threads.push_back(from[*moved]);
  from.erase(from.begin() + ptrdiff_t(*moved));
  for (NodeLoad& node : snapshot.nodes)
    for (ThreadLoad& thread : node.threads) thread.cpu = std::min(1.0, double(node.workers) / node.runnable());
  return snapshot;
}

TEST(DecisionLogTest, WhatAMoveHasBroughtIsMeasuredASecondLater) {
  DecisionLog log(BalancePolicy::Threshold);
  const LoadSnapshot snapshot = Loads().node(1, 2).node(1, 0).snapshot;
  log.add(snapshot, {moveOf(snapshot, 0, 1)}, {}, false);
  log.judge(later(snapshot, 500'000'000, 0));
  ASSERT_EQ(log.list().size(), 1u);
  EXPECT_EQ(log.list()[0].outcome, Outcome::Pending);
  log.judge(later(snapshot, 1'000'000'000, 0));
  const DecisionRecord record = log.list()[0];
  EXPECT_EQ(record.outcome, Outcome::Moved);
  EXPECT_NEAR(record.measured.value(), 1.5, 0.01) << "as predicted: one more core at work, nobody crowded";
}

TEST(DecisionLogTest, AThreadThatDidNotGoIsSaidToHaveStayed) {
  DecisionLog log(BalancePolicy::Threshold);
  const LoadSnapshot snapshot = Loads().node(1, 2).node(1, 0).snapshot;
  log.add(snapshot, {moveOf(snapshot, 0, 1)}, {}, false);
  log.judge(later(snapshot, 1'000'000'000, std::nullopt));
  EXPECT_EQ(log.list()[0].outcome, Outcome::Stayed);
  EXPECT_NEAR(log.list()[0].measured.value(), 0, 1e-9);
}

TEST(DecisionLogTest, AThreadThatHasEndedIsUnseen) {
  DecisionLog log(BalancePolicy::Threshold);
  LoadSnapshot snapshot = Loads().node(1, 2).node(1, 0).snapshot;
  log.add(snapshot, {moveOf(snapshot, 0, 1)}, {}, false);
  snapshot.nodes[0].threads.erase(snapshot.nodes[0].threads.begin());
  log.judge(later(snapshot, 1'000'000'000, std::nullopt));
  EXPECT_EQ(log.list()[0].outcome, Outcome::Unseen);
}

TEST(DecisionLogTest, MovesOfARoundShareWhatCameOfThem) {
  DecisionLog log(BalancePolicy::Threshold);
  const LoadSnapshot snapshot = Loads().node(2, 4).node(2, 0).snapshot;
  log.add(snapshot, {moveOf(snapshot, 0, 1), moveOf(snapshot, 1, 1)}, {}, false);
  log.judge(later(later(snapshot, 0, 0), 1'000'000'000, 0));
  const auto list = log.list();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].measured, list[1].measured);
  EXPECT_NEAR(*list[0].measured * 2, 3, 0.01) << "two more cores at work, and a crowd of two gone from two workers";
}

TEST(DecisionLogTest, ADryRunNotesTheSameDecisionOnce) {
  DecisionLog log(BalancePolicy::Threshold);
  LoadSnapshot snapshot = Loads().node(1, 2).node(1, 0).snapshot;
  for (int i = 0; i < 5; ++i) {
    snapshot.nowNanos += 1'000'000'000;
    log.add(snapshot, {moveOf(snapshot, 0, 1)}, {}, true);
    log.judge(snapshot);
  }
  const auto list = log.list();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].times, 5u);
  EXPECT_EQ(list[0].nanos, snapshot.nowNanos);
  EXPECT_EQ(list[0].outcome, Outcome::Planned);
  EXPECT_FALSE(list[0].measured.has_value());
}

TEST(DecisionLogTest, BlocksThatMadeRoomAreMeasuredByTheShareOfTheLimit) {
  DecisionLog log(BalancePolicy::Threshold);
  LoadSnapshot snapshot = Loads().node(1, 0).node(1, 0).snapshot;
  for (NodeLoad& node : snapshot.nodes) node.memory.limit = 100;
  snapshot.nodes[0].memory.live = 90;
  log.add(snapshot, {}, {{NodeId(0), NodeId(1), 40, 0.4, "full"}}, false);
  snapshot.nodes[0].memory.live = 60;
  log.judge(later(snapshot, 1'000'000'000, std::nullopt));
  EXPECT_NEAR(log.list()[0].measured.value(), 0.3, 1e-9);
}

TEST(DecisionLogTest, OnlyTheLastThousandAreKept) {
  DecisionLog log(BalancePolicy::Threshold);
  LoadSnapshot snapshot = Loads().node(1, 2).node(1, 0).snapshot;
  for (int i = 0; i < 1200; ++i) log.add(snapshot, {moveOf(snapshot, 0, 1)}, {}, false);
  EXPECT_EQ(log.list().size(), 1000u);
  EXPECT_EQ(log.list().front().number, 201u);
  log.judge(later(snapshot, 1'000'000'000, 0));
  EXPECT_EQ(log.list().back().outcome, Outcome::Moved);
}

TEST(PendingMovesTest, AThreadThatIsOnItsWayCountsWhereItGoes) {
  PendingMoves pending;
  LoadSnapshot snapshot = Loads().node(1, 2).node(1, 0).snapshot;
  const Move move = moveOf(snapshot, 0, 1);
  pending.add(move, snapshot.nowNanos);
  LoadSnapshot old = snapshot;
  pending.apply(old);
  EXPECT_EQ(old.nodes[0].threads.size(), 1u);
  ASSERT_EQ(old.nodes[1].threads.size(), 1u);
  EXPECT_EQ(old.nodes[1].threads[0].wanted, 1);
  EXPECT_TRUE(old.nodes[1].threads[0].travels);

  LoadSnapshot both = snapshot;  // it has arrived, and the report of the other node is older
  both.nodes[1].threads.push_back(both.nodes[0].threads[0]);
  both.nodes[1].threads[0].cpu = 0;
  pending.apply(both);
  EXPECT_EQ(both.nodes[0].threads.size(), 1u);
  ASSERT_EQ(both.nodes[1].threads.size(), 1u);
  EXPECT_EQ(both.nodes[1].threads[0].wanted, 1) << "not measured yet, but known";
  EXPECT_FALSE(both.nodes[1].threads[0].travels);

  LoadSnapshot late = snapshot;
  late.nowNanos += 400'000'000;
  pending.apply(late);
  EXPECT_EQ(late.nodes[0].threads.size(), 2u) << "it did not go";
}

TEST(PendingMovesTest, NothingIsDecidedTwiceOnOldReports) {
  const LoadSnapshot old = Loads().node(1, 8).node(1, 0).snapshot;
  PendingMoves pending;
  BalanceHistory history;
  size_t moves = 0;
  for (int round = 0; round < 10; ++round) {
    LoadSnapshot snapshot = old;  // nothing new is heard of either node
    snapshot.nowNanos += 10'000'000 * round;
    pending.apply(snapshot);
    BalanceDecision decision = decide({}, snapshot, history);
    history = std::move(decision.history);
    for (const Move& move : decision.moves) pending.add(move, snapshot.nowNanos);
    moves += decision.moves.size();
  }
  EXPECT_EQ(moves, 4u);
}

}  // namespace
}  // namespace jvmc::cluster
