// Leases: objects that do not change are asked for no more, and who changes one sees to it that all know.
#include <gtest/gtest.h>

#include "tests/unit/cluster/support/test_cluster.h"

namespace jvmc::cluster::test {
namespace {

TestOptions leasing(uint32_t nodes) {
  TestOptions options{.nodes = nodes, .space = {}};
  return options.leasing();
}

/// Reads the objects after an acquire again and again, until leases have had time to come about.
void readUntilLeased(Mutator& me, const std::vector<ObjectRef>& objects, uint64_t expected) {
  for (int round = 0; round < 60; ++round) {
    me.acquire();
    for (ObjectRef object : objects)
      if (me.read<uint64_t>(object, kFirstField) != expected) me.error("not what the home has");
    usleep(1000);
  }
}

void expectNoErrors(TestCluster& cluster) {
  EXPECT_EQ(cluster.errors(), 0u) << cluster.firstError();
}

std::vector<ObjectRef> records(TestCluster& cluster, int count) {
  std::vector<ObjectRef> objects;
  for (int i = 0; i < count; ++i) objects.push_back(cluster.object(0, kRecord));
  return objects;
}

TEST(LeasesTest, WhatIsLeasedIsNotAskedForAgainAfterAcquires) {
  TestCluster cluster(leasing(2));
  const std::vector<ObjectRef> objects = records(cluster, 20);
  cluster.run(1, [&](Mutator& me) {
    if (me.nodeId == 1) {
      readUntilLeased(me, objects, 0);
      const uint64_t before = me.fetchesHere();
      for (int round = 0; round < 50; ++round) {
        me.acquire();
        for (ObjectRef object : objects) static_cast<void>(me.read<uint64_t>(object, kFirstField));
      }
      if (me.fetchesHere() != before) me.error("a leased copy was asked for");
    }
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_GE(cluster.shared().leased, 20u);
}

TEST(LeasesTest, OffMeansThatNothingIsLeased) {
  TestOptions options = leasing(2);
  options.space.leases = false;
  TestCluster cluster(options);
  const std::vector<ObjectRef> objects = records(cluster, 5);
  cluster.run(1, [&](Mutator& me) {
    if (me.nodeId == 1) readUntilLeased(me, objects, 0);
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_EQ(cluster.shared().leased, 0u);
}

/// Who writes at home, who writes elsewhere, and who stores atomically, each on a node of its own.
void writeAndLook(uint32_t writer, const std::function<void(Mutator&, ObjectRef)>& write) {
  TestCluster cluster(leasing(3));
  const std::vector<ObjectRef> objects = records(cluster, 10);
  cluster.run(1, [&](Mutator& me) {
    if (me.nodeId != 0) readUntilLeased(me, objects, 0);
    me.barrier();
    if (me.nodeId == writer)
      for (ObjectRef object : objects) write(me, object);
    if (me.nodeId == writer) me.release();
    me.barrier();
    me.acquire();
    for (ObjectRef object : objects)
      if (me.read<uint64_t>(object, kFirstField) != 7) me.error("a lease has outlived a write");
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_GE(cluster.shared().recalls, 10u);
  EXPECT_GE(cluster.shared().recalledCopies, 10u);
}

TEST(LeasesTest, AWriteAtHomeCallsThemBack) {
  writeAndLook(0, [](Mutator& me, ObjectRef object) { me.write<uint64_t>(object, kFirstField, 7); });
}
TEST(LeasesTest, AFlushCallsThemBack) {
  writeAndLook(2, [](Mutator& me, ObjectRef object) { me.write<uint64_t>(object, kFirstField, 7); });
}
TEST(LeasesTest, AnAtomicStoreAtHomeCallsThemBack) {
  writeAndLook(0, [](Mutator& me, ObjectRef object) { me.atomic(rt::AtomicOp::Store, object, kFirstField, 7); });
}
TEST(LeasesTest, AnAtomicStoreFromElsewhereCallsThemBack) {
  writeAndLook(1, [](Mutator& me, ObjectRef object) { me.atomic(rt::AtomicOp::Store, object, kFirstField, 7); });
}

TEST(LeasesTest, ALargeArrayIsCalledBackWithAllItsChunks) {
  constexpr uint32_t kChunks = 8, kLongsOfChunk = rt::kArrayChunkBytes / 8;
  TestCluster cluster(leasing(2));
  const ObjectRef array = cluster.object(0, kLongs, kChunks * kLongsOfChunk);
  const auto element = [&](uint32_t chunk) { return kFirstElement + 8 * uint64_t(chunk) * kLongsOfChunk; };
  cluster.run(1, [&](Mutator& me) {
    for (int round = 0; me.nodeId == 1 && round < 60; ++round, usleep(1000)) {
      me.acquire();
      for (uint32_t i = 0; i < kChunks; ++i)
        if (me.read<uint64_t>(array, element(i)) != 0) me.error("not what the home has");
    }
    me.barrier();
    for (uint32_t i = 0; me.nodeId == 0 && i < kChunks; ++i) me.write<uint64_t>(array, element(i), i + 1);
    me.barrier();
    me.acquire();
    for (uint32_t i = 0; i < kChunks; ++i)
      if (me.read<uint64_t>(array, element(i)) != i + 1) me.error("a chunk's lease has outlived a write");
    me.barrier();
  });
  expectNoErrors(cluster);
  EXPECT_GE(cluster.shared().recalledCopies, kChunks);
}

}  // namespace
}  // namespace jvmc::cluster::test
