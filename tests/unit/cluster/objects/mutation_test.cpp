// Each main rule of the protocol, switched off: the litmus program named here must notice. Shows that the rules are
// needed and that the litmus programs can fail. The runs differ by seed and end with the first error.
#include <gtest/gtest.h>

#include "tests/support/sanitized.h"
#include "tests/unit/cluster/objects/litmus.h"

namespace jvmc::cluster::test {
namespace {

struct Setup {
  Fault fault;
  uint32_t nodes;
  uint32_t delayOneIn = 0;
  bool moving = false;
  bool evicting = false;
  bool leasing = false;
};

/// A run has a fixed time, in which a sanitizer leaves it fewer chances.
constexpr int kRunsMax = kSanitizedBuild ? 120 : 40;

/// True if some run finds an error.
bool caught(Setup setup, const std::function<void(TestCluster&)>& program) {
  for (int run = 1; run <= kRunsMax; ++run) {
    TestOptions options{.nodes = setup.nodes,
                        .seconds = 0.7,
                        .delayOneIn = setup.delayOneIn,
                        .seed = uint64_t(run),
                        .moving = setup.moving,
                        .evicting = setup.evicting,
                        .space = {.fault = setup.fault}};
    if (setup.leasing) options.leasing();
    TestCluster cluster(options);
    program(cluster);
    if (cluster.errors() > 0) return true;
  }
  return false;
}

TEST(MutationTest, StampAtReplyIsCaughtByFalseSharing) {
  // One thread a node: a second one hides it more often than not, for it moves the clock on or refreshes the copy.
  EXPECT_TRUE(caught({Fault::StampAtReply, 2, 8}, [](TestCluster& c) { falseSharing(c, 1, kLongs); }));
}
TEST(MutationTest, ReleaseWithoutAcknowledgementIsCaughtByLockedCountersOnThreeNodes) {
  EXPECT_TRUE(caught({Fault::NoAckWait, 3, 8}, [](TestCluster& c) { lockedCounters(c, 2); }));
}
TEST(MutationTest, RefreshThatOverwritesIsCaughtByFalseSharing) {
  EXPECT_TRUE(caught({Fault::RefreshOverwrites, 2}, [](TestCluster& c) { falseSharing(c, 2, kLongs); }));
}
TEST(MutationTest, FirstFlusherThatDropsTheTwinIsCaughtByFalseSharing) {
  EXPECT_TRUE(caught({Fault::FirstFlusherDropsTwin, 2}, [](TestCluster& c) { falseSharing(c, 3, kLongs); }));
}
TEST(MutationTest, HomeClockLeftAloneIsCaughtByLockedCounters) {
  EXPECT_TRUE(caught({Fault::HomeClockNotBumped, 3}, [](TestCluster& c) { lockedCounters(c, 2); }));
}
TEST(MutationTest, DeferredWritesThatAreOvertakenAreCaughtByLockedCounters) {
  EXPECT_TRUE(caught({Fault::DeferredWritesOvertaken, 3}, [](TestCluster& c) { lockedCounters(c, 2); }));
}
TEST(MutationTest, ALoanThatDoesNotTickIsCaughtByLockedCounters) {
  EXPECT_TRUE(caught({Fault::LoanDoesNotTick, 3}, [](TestCluster& c) { lockedCounters(c, 2); }));
}
TEST(MutationTest, BytewiseDiffOfReferencesIsCaughtByRacingReferences) {
  EXPECT_TRUE(caught({Fault::BytewiseReferences, 3}, [](TestCluster& c) { racyReferences(c, 2); }));
}
TEST(MutationTest, WideDiffOfBytesIsCaughtByFalseSharing) {
  EXPECT_TRUE(caught({Fault::WideDiff, 2}, [](TestCluster& c) { falseSharing(c, 2, kBytes); }));
}
TEST(MutationTest, FetchThatOverlapsAFlushIsCaughtByFalseSharing) {
  EXPECT_TRUE(caught({Fault::FetchOverlapsFlush, 2, 4}, [](TestCluster& c) { falseSharing(c, 4, kLongs); }));
}
TEST(MutationTest, IgnoredForeignFlushIsCaughtByFalseSharing) {
  EXPECT_TRUE(caught({Fault::IgnoreForeignFlush, 2, 4}, [](TestCluster& c) { falseSharing(c, 4, kLongs); }));
}

TEST(MutationTest, BlocksThatLeaveThoughTheyAreReliedOnAreCaughtByHoistedChecks) {
  EXPECT_TRUE(caught({Fault::HoldNothing, 3, 4, true}, [](TestCluster& c) { hoistedChecks(c, 2); }));
}
TEST(MutationTest, MoveWithoutPrepareIsCaughtByFalseSharing) {
  EXPECT_TRUE(caught({Fault::MoveWithoutPrepare, 2, 4, true}, [](TestCluster& c) { falseSharing(c, 4, kLongs); }));
}
TEST(MutationTest, HomeThatDoesNotTickWhenABlockArrivesIsCaughtByLockedCounters) {
  EXPECT_TRUE(caught({Fault::ArrivalDoesNotTick, 2, 0, true}, [](TestCluster& c) { lockedCounters(c, 1, 1000); }));
}

TEST(MutationTest, CopiesThatGoThoughTheyAreReliedOnAreCaughtByHoistedReads) {
  EXPECT_TRUE(caught({Fault::HoldNothing, 3, 4, false, true}, [](TestCluster& c) { hoistedReads(c, 2); }));
}

TEST(MutationTest, NeighbourInstalledUncheckedIsCaughtByNeighbourhood) {
  EXPECT_TRUE(caught({Fault::NeighboursUnchecked, 3, 4}, [](TestCluster& c) { neighbourhood(c, 2); }));
}
TEST(MutationTest, FreezeThatFlushesNothingIsCaughtByFrozenPublication) {
  EXPECT_TRUE(caught({Fault::FreezeWithoutFlush, 3}, [](TestCluster& c) { frozenPublication(c, 2); }));
}

TEST(MutationTest, CopiesThatAThreadLeavesBehindAreCaughtByFrozenByTraveller) {
  EXPECT_TRUE(caught({Fault::CopiesStayBehind, 3}, [](TestCluster& c) { frozenByTraveller(c, 2); }));
}

TEST(MutationTest, AskingAheadWithoutATransactionIsCaughtByReadSets) {
  EXPECT_TRUE(caught({Fault::AheadWithoutTransaction, 3, 4}, [](TestCluster& c) { readSets(c, 2); }));
}
TEST(MutationTest, UnusedCopyThatNeverAgesIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught({Fault::UnusedNeverAges, 3, 4}, [](TestCluster& c) { messagePassing(c, 2); }));
}

Setup leasing(Fault fault, uint32_t nodes, uint32_t delayOneIn = 0) {
  return {fault, nodes, delayOneIn, false, false, true};
}
TEST(MutationTest, RecallThatIsNotAwaitedIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught(leasing(Fault::RecallNotAwaited, 3, 4), [](TestCluster& c) { messagePassing(c, 2); }));
}
TEST(MutationTest, LeaseThatOutlivesItsRecallIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught(leasing(Fault::LeaseOutlivesRecall, 3), [](TestCluster& c) { messagePassing(c, 2); }));
}
TEST(MutationTest, ForgottenLesseeIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught(leasing(Fault::LesseeForgotten, 3), [](TestCluster& c) { messagePassing(c, 2); }));
}
TEST(MutationTest, RecallThatOvertakesItsAnswerAndIsForgottenIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught(leasing(Fault::OvertakenRecallLost, 3, 4), [](TestCluster& c) { messagePassing(c, 2); }));
}
TEST(MutationTest, SharedObjectThatIsWrittenIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught(leasing(Fault::SharedIsWritten, 3), [](TestCluster& c) { messagePassing(c, 2); }));
}
TEST(MutationTest, FlushToASharedObjectIsCaughtByMessagePassing) {
  EXPECT_TRUE(caught(leasing(Fault::FlushIgnoresLeases, 3), [](TestCluster& c) { messagePassing(c, 2); }));
}
TEST(MutationTest, ForgottenBorrowersAreCaughtByHotObjects) {
  EXPECT_TRUE(caught(leasing(Fault::BorrowersForgotten, 3, 4), [](TestCluster& c) { hotObjects(c, 2); }));
}
TEST(MutationTest, AnObjectLoanThatDoesNotTickIsCaughtByHotObjects) {
  EXPECT_TRUE(caught(leasing(Fault::ObjectLoanDoesNotTick, 2, 4), [](TestCluster& c) { hotObjects(c, 2); }));
}
TEST(MutationTest, AReturnThatIsNotSettledIsCaughtByHotObjects) {
  EXPECT_TRUE(caught(leasing(Fault::ReturnNotSettled, 2, 4), [](TestCluster& c) { hotObjects(c, 2); }));
}
TEST(MutationTest, AGrantThatOwesIsCaughtByHotObjects) {
  EXPECT_TRUE(caught(leasing(Fault::GrantOwes, 2, 4), [](TestCluster& c) { hotObjects(c, 2); }));
}

}  // namespace
}  // namespace jvmc::cluster::test
