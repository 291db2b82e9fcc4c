// Objects on loan: what one node alone changes goes there, and comes back when anybody else needs it.
#include <gtest/gtest.h>

#include "tests/unit/cluster/support/test_cluster.h"

namespace jvmc::cluster::test {
namespace {

constexpr uint64_t kSecondField = kFirstField + 8;

TestOptions lending(uint32_t nodes) {
  TestOptions options{.nodes = nodes, .space = {}};
  return options.leasing();
}

/// Counts in a field of the object, with a release and an acquire each time, until it is here on loan.
uint64_t countUntilBorrowed(Mutator& me, ObjectRef object) {
  uint64_t count = 0;
  for (int round = 0; round < 2000 && me.borrowedHere() == 0; ++round, usleep(500)) {
    me.acquire();
    if (me.read<uint64_t>(object, kFirstField) != count) me.error("not what was written");
    me.write<uint64_t>(object, kFirstField, ++count);
    me.release();
  }
  if (me.borrowedHere() == 0) me.error("was not lent");
  return count;
}

void expectNoErrors(TestCluster& cluster) {
  EXPECT_EQ(cluster.errors(), 0u) << cluster.firstError();
}

TEST(ObjectLoansTest, WhatIsBorrowedIsNeitherAskedForNorFlushed) {
  TestCluster cluster(lending(2));
  const ObjectRef object = cluster.object(0, kRecord);
  cluster.run(1, [&](Mutator& me) {
    if (me.nodeId == 1) {
      uint64_t count = countUntilBorrowed(me, object);
      const uint64_t before = me.fetchesHere() + me.flushesHere();
      for (int round = 0; round < 1000; ++round) {
        me.acquire();
        if (me.read<uint64_t>(object, kFirstField) != count) me.error("not what was written");
        me.write<uint64_t>(object, kFirstField, ++count);
        me.release();
      }
      if (me.fetchesHere() + me.flushesHere() != before) me.error("its home was asked");
    }
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_GE(cluster.shared().lent, 1u);
}

TEST(ObjectLoansTest, OffMeansThatNothingIsLent) {
  TestOptions options = lending(2);
  options.space.leases = false;
  TestCluster cluster(options);
  const ObjectRef object = cluster.object(0, kRecord);
  cluster.run(1, [&](Mutator& me) {
    for (uint64_t round = 1; me.nodeId == 1 && round < 100; ++round, usleep(200)) {
      me.acquire();
      me.write<uint64_t>(object, kFirstField, round);
      me.release();
    }
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_EQ(cluster.shared().lent, 0u);
}

/// Node 1 borrows the object and writes 7; then `use`, on the user's node, must find it, and what it does must be found
/// by all.
void borrowAndUse(uint32_t user, const std::function<void(Mutator&, ObjectRef)>& use) {
  TestCluster cluster(lending(3));
  const ObjectRef object = cluster.object(0, kRecord);
  cluster.run(1, [&](Mutator& me) {
    if (me.nodeId == 1) {
      countUntilBorrowed(me, object);
      me.write<uint64_t>(object, kFirstField, 7);
      me.release();
    }
    me.barrier();
    if (me.nodeId == user) {
      me.acquire();
      use(me, object);
      me.release();
    }
    me.barrier();
    me.acquire();
    if (me.read<uint64_t>(object, kFirstField) != 7) me.error("what the borrower has written is lost");
    if (me.read<uint64_t>(object, kSecondField) != 9) me.error("what the user has written is lost");
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_GE(cluster.shared().returned, 1u);
}

void readThenWrite(Mutator& me, ObjectRef object) {
  if (me.read<uint64_t>(object, kFirstField) != 7) me.error("not what the borrower has written");
  me.write<uint64_t>(object, kSecondField, 9);
}
void writeOnly(Mutator& me, ObjectRef object) {
  me.write<uint64_t>(object, kSecondField, 9);
}
void useAtomically(Mutator& me, ObjectRef object) {
  if (me.atomic(rt::AtomicOp::Load, object, kFirstField) != 7) me.error("not what the borrower has written");
  me.atomic(rt::AtomicOp::Add, object, kSecondField, 9);
}
TEST(ObjectLoansTest, AThreadAtHomeHasItBack) {
  borrowAndUse(0, readThenWrite);
}
TEST(ObjectLoansTest, AThreadElsewhereHasItBack) {
  borrowAndUse(2, readThenWrite);
}
TEST(ObjectLoansTest, AWriteAtHomeHasItBack) {
  borrowAndUse(0, writeOnly);
}
TEST(ObjectLoansTest, AtomicOperationsAtHomeHaveItBack) {
  borrowAndUse(0, useAtomically);
}
TEST(ObjectLoansTest, AtomicOperationsFromElsewhereHaveItBack) {
  borrowAndUse(2, useAtomically);
}
TEST(ObjectLoansTest, TheBorrowerUsesItAtomicallyItself) {
  borrowAndUse(1, useAtomically);
}

TEST(ObjectLoansTest, ThreadsOfTheBorrowerShareIt) {
  constexpr uint64_t kRounds = 20'000;
  TestCluster cluster(lending(2));
  const ObjectRef object = cluster.object(0, kRecord);
  cluster.run(2, [&](Mutator& me) {
    if (me.nodeId == 1 && me.index == 0) countUntilBorrowed(me, object);
    me.barrier();
    for (uint64_t round = 0; me.nodeId == 1 && round < kRounds; ++round)
      me.atomic(rt::AtomicOp::Add, object, kSecondField, 1);
    me.barrier();
    me.acquire();
    if (me.atomic(rt::AtomicOp::Load, object, kSecondField) != 2 * kRounds) me.error("additions are lost");
    me.barrier();
  });
  expectNoErrors(cluster);
}

TEST(ObjectLoansTest, WhatIsGivenUpComesHome) {
  TestCluster cluster(lending(2));
  const ObjectRef object = cluster.object(0, kRecord);
  cluster.run(1, [&](Mutator& me) {
    if (me.nodeId == 1) {
      countUntilBorrowed(me, object);
      me.write<uint64_t>(object, kFirstField, 7);
      me.release();
      me.giveUpLoans();
      for (int wait = 0; me.borrowedHere() > 0 && wait < 5000; ++wait) usleep(1000);
      if (me.borrowedHere() > 0) me.error("is still here");
    }
    me.barrier();
    me.acquire();
    if (me.read<uint64_t>(object, kFirstField) != 7) me.error("what the borrower has written is lost");
    me.barrier();
  });
  expectNoErrors(cluster);
}

TEST(ObjectLoansTest, ALargeArrayIsNotLent) {
  TestCluster cluster(lending(2));
  const ObjectRef array = cluster.object(0, kLongs, 8 * rt::kArrayChunkBytes / 8);
  cluster.run(1, [&](Mutator& me) {
    for (uint64_t round = 1; me.nodeId == 1 && round < 100; ++round, usleep(200)) {
      me.acquire();
      me.write<uint64_t>(array, kFirstElement, round);
      me.release();
    }
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_EQ(cluster.shared().lent, 0u);
}

}  // namespace
}  // namespace jvmc::cluster::test
