// Copies that go out of memory while programs use them: nothing forbidden may be seen, and some must go.
#include <gtest/gtest.h>

#include "tests/unit/cluster/objects/litmus.h"

namespace jvmc::cluster::test {
namespace {

void runs(TestOptions options, const std::function<void(TestCluster&)>& program) {
  options.evicting = true;
  TestCluster cluster(options);
  program(cluster);
  EXPECT_EQ(cluster.errors(), 0u) << cluster.firstError();
  EXPECT_GT(cluster.shared().operations, 0u) << "the program did nothing";
  EXPECT_GT(cluster.shared().evictedBytes, 0u) << "nothing was evicted";
}

TEST(EvictionTest, ChecksMadeBeforeAWaitHoldAfterIt) {
  runs({.nodes = 3, .delayOneIn = 4, .space = {}}, [](TestCluster& c) { hoistedReads(c, 2); });
}
TEST(EvictionTest, WritesToCopiesAreNotLost) {
  runs({.nodes = 3, .space = {}}, [](TestCluster& c) { hoistedChecks(c, 2); });
}
TEST(EvictionTest, CountersUnderALockStayEqual) {
  runs({.nodes = 3, .space = {}}, [](TestCluster& c) { lockedCounters(c, 2); });
}
TEST(EvictionTest, ChunksOfArraysGoOneByOne) {
  runs({.nodes = 3, .space = {}}, [](TestCluster& c) { falseSharing(c, 2, kLongs, 100); });
}
/// Without it nothing that a thread writes goes before its release.
TEST(EvictionTest, WhatIsReleasedEarlyGoesToo) {
  TestCluster cluster({.nodes = 2, .evicting = true, .releasing = true, .space = {}});
  std::vector<ObjectRef> arrays;
  for (int i = 0; i < 200; ++i) arrays.push_back(cluster.object(0, kLongs, 512));
  cluster.run(1, [&](Mutator& me) {
    for (uint64_t round = 1; round <= 30; ++round) {
      me.barrier();
      if (me.nodeId == 1)
        for (ObjectRef array : arrays) me.write<uint64_t>(array, kFirstElement + 8 * (round % 512), round);
      me.release();
      me.barrier();
      me.acquire();
      for (ObjectRef array : arrays)
        if (me.read<uint64_t>(array, kFirstElement + 8 * (round % 512)) != round) me.error("a write was lost");
      me.countOperations(1);
    }
  });
  EXPECT_EQ(cluster.errors(), 0u) << cluster.firstError();
  EXPECT_GT(cluster.shared().operations, 0u);
  EXPECT_GT(cluster.shared().earlyReleases, 0u);
}
TEST(EvictionTest, BlocksMayMoveMeanwhile) {
  runs({.nodes = 3, .moving = true, .space = {}}, [](TestCluster& c) { hoistedReads(c, 2); });
}

TEST(CopyMapTest, CountsPagesOnceAndForgetsThem) {
  const rt::AddressPlan plan{.base = uint64_t(1) << 44, .regionShift = 30, .regionCount = 2};
  CopyMap map(plan);
  bool exceeded = false;
  map.setBudget(2 * CopyMap::kPageBytes, [&] { exceeded = true; });
  map.note(plan.base + 64, 32);
  map.note(plan.base + 64, 32);
  map.note(plan.base + 96, 32);
  EXPECT_EQ(map.bytes(), CopyMap::kPageBytes);
  map.note(plan.base + CopyMap::kPageBytes - 16, 32);  // on two pages
  EXPECT_EQ(map.bytes(), 2 * CopyMap::kPageBytes);
  EXPECT_FALSE(exceeded);
  map.note(plan.base + 5 * rt::kBlockBytes, 3 * rt::kBlockBytes);
  EXPECT_TRUE(exceeded);
  EXPECT_EQ(map.bytes(), 50 * CopyMap::kPageBytes);
  std::vector<ObjectRef> copies;
  map.forEachCopy(plan.base, [&](ObjectRef copy) { copies.push_back(copy); });
  EXPECT_EQ(copies, (std::vector<ObjectRef>{plan.base + 64, plan.base + 96, plan.base + CopyMap::kPageBytes - 16}));
  map.forget(plan.base + 5 * rt::kBlockBytes, plan.base + 8 * rt::kBlockBytes);
  EXPECT_EQ(map.bytes(), 2 * CopyMap::kPageBytes);
  EXPECT_EQ(map.nextBlocks(10), std::vector<uint64_t>{plan.base});
}

}  // namespace
}  // namespace jvmc::cluster::test
