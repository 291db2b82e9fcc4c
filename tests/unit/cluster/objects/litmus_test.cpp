// The protocol as it is: none of the litmus programs may see anything forbidden, with quick messages, with delayed and
// reordered ones, and in the reference mode that caches nothing.
#include "tests/unit/cluster/objects/litmus.h"

#include <gtest/gtest.h>

namespace jvmc::cluster::test {
namespace {

struct Mode {
  const char* name;
  uint32_t delayOneIn;
  bool noCache;
  bool moving = false;
  bool releasing = false;
  bool leasing = false;
};

class LitmusTest : public testing::TestWithParam<Mode> {
 protected:
  TestCluster& cluster(uint32_t nodes, double seconds = 0.5) {
    TestOptions options{.nodes = nodes,
                        .seconds = seconds,
                        .delayOneIn = GetParam().delayOneIn,
                        .moving = GetParam().moving,
                        .releasing = GetParam().releasing,
                        .space = {.noCache = GetParam().noCache}};
    if (GetParam().leasing) options.leasing();
    cluster_ = std::make_unique<TestCluster>(options);
    return *cluster_;
  }
  void TearDown() override {
    EXPECT_EQ(cluster_->errors(), 0u) << cluster_->firstError();
    EXPECT_GT(cluster_->shared().operations, 0u) << "the program did nothing";
    if (GetParam().moving) {
      EXPECT_GT(cluster_->shared().moves, 3u) << "no block moved";
    }
    RecordProperty("leased", std::to_string(cluster_->shared().leased));
    RecordProperty("lent", std::to_string(cluster_->shared().lent));
    RecordProperty("recalls", std::to_string(cluster_->shared().recalls));
    RecordProperty("moves", std::to_string(cluster_->shared().moves));
    RecordProperty("revoked", std::to_string(cluster_->shared().revoked));
    RecordProperty("operations", std::to_string(cluster_->shared().operations));
    RecordProperty("fetches", std::to_string(cluster_->shared().fetches));
  }
  std::unique_ptr<TestCluster> cluster_;
};

INSTANTIATE_TEST_SUITE_P(Modes, LitmusTest,
                         testing::Values(Mode{"Quick", 0, false}, Mode{"Delayed", 8, false}, Mode{"NoCache", 0, true},
                                         Mode{"ReleasingEarly", 8, false, false, true}, Mode{"Moving", 0, false, true},
                                         Mode{"MovingDelayed", 8, false, true}, Mode{"MovingNoCache", 0, true, true},
                                         Mode{"Leasing", 0, false, false, false, true},
                                         Mode{"LeasingDelayed", 8, false, false, false, true},
                                         Mode{"LeasingMoving", 8, false, true, false, true}),
                         [](const auto& info) { return info.param.name; });

TEST_P(LitmusTest, DataIsVisibleToWhoeverSawTheFlagOnTwoNodes) {
  messagePassing(cluster(2), 2);
}
TEST_P(LitmusTest, DataIsVisibleToWhoeverSawTheFlagOnThreeNodes) {
  messagePassing(cluster(3), 2);
}
TEST_P(LitmusTest, VolatilesAtTwoHomesAreSequentiallyConsistent) {
  storeBuffering(cluster(2));
}
TEST_P(LitmusTest, CountersUnderALockStayEqualOnTwoNodes) {
  lockedCounters(cluster(2), 2);
}
TEST_P(LitmusTest, CountersUnderALockStayEqualOnThreeNodes) {
  lockedCounters(cluster(3), 2);
}
TEST_P(LitmusTest, NeighboursInAByteArrayDoNotDisturbEachOther) {
  falseSharing(cluster(2), 2, kBytes);
}
TEST_P(LitmusTest, NeighboursInAShortArrayDoNotDisturbEachOther) {
  falseSharing(cluster(3), 2, kShorts);
}
TEST_P(LitmusTest, NeighboursInAnIntArrayDoNotDisturbEachOther) {
  falseSharing(cluster(2), 3, kInts);
}
TEST_P(LitmusTest, NeighboursInALongArrayDoNotDisturbEachOther) {
  falseSharing(cluster(3), 2, kLongs);
}
TEST_P(LitmusTest, ChunksOfAByteArrayDoNotDisturbEachOther) {
  falseSharing(cluster(2), 2, kBytes, 1000);
}
TEST_P(LitmusTest, ChunksOfALongArrayDoNotDisturbEachOther) {
  falseSharing(cluster(3), 2, kLongs, 100);
}
TEST_P(LitmusTest, BytesChangedAtHomeDoNotDisturbAWriterElsewhere) {
  neighbourBytes(cluster(2));
}
TEST_P(LitmusTest, ChecksMadeBeforeAWaitHoldAfterIt) {
  hoistedChecks(cluster(3), 2);
}
TEST_P(LitmusTest, HotObjectsGoFromNodeToNodeAndLoseNothing) {
  hotObjects(cluster(3), 2);
}
TEST_P(LitmusTest, WhatComesAlongDoesNotUndoWrites) {
  neighbourhood(cluster(3), 2);
}
TEST_P(LitmusTest, LoadsAreNotCarriedOutAfterLaterStores) {
  loadBuffering(cluster(2));
}
TEST_P(LitmusTest, AllThreadsSeeTwoStoresInOneOrder) {
  independentReads(cluster(3), 2);
}
TEST_P(LitmusTest, FrozenRecordsAreWholeForWhoeverGetsThemByARace) {
  frozenPublication(cluster(3), 2);
}
TEST_P(LitmusTest, FrozenObjectsWhoseMakerMovesAreSeenWhole) {
  frozenByTraveller(cluster(3), 2);
}
TEST_P(LitmusTest, DoubleCheckedLockingWorksWithAVolatile) {
  doubleChecked(cluster(3), 2, true);
}
TEST_P(LitmusTest, DoubleCheckedLockingWithoutAVolatileMakesNothingUp) {
  doubleChecked(cluster(3), 2, false);
}
TEST_P(LitmusTest, WhatIsAskedForTogetherDoesNotUndoWrites) {
  readSets(cluster(3), 2);
}
TEST_P(LitmusTest, RacingReferencesAreNeverMixed) {
  racyReferences(cluster(3), 2);
}

}  // namespace
}  // namespace jvmc::cluster::test
