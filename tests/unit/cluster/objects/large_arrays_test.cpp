// Arrays that are copied in chunks: what is asked for, and how often.
#include <gtest/gtest.h>

#include "tests/unit/cluster/support/test_cluster.h"

namespace jvmc::cluster::test {
namespace {

constexpr uint32_t kChunks = 256;
constexpr uint32_t kLongsOfChunk = rt::kArrayChunkBytes / 8;

/// A thread of the second node reads one element in each of `chunks` chunks, by `order`. How many times it had to ask.
uint64_t asked(uint32_t chunks, const std::function<uint32_t(uint32_t)>& order) {
  TestCluster cluster({.nodes = 2, .space = {}});
  const ObjectRef array = cluster.object(0, kLongs, kChunks * kLongsOfChunk);
  cluster.run(1, [&](Mutator& me) {
    const auto element = [&](uint32_t chunk) { return kFirstElement + 8 * uint64_t(order(chunk)) * kLongsOfChunk; };
    if (me.nodeId == 0)
      for (uint32_t i = 0; i < chunks; ++i) me.write<uint64_t>(array, element(i), i + 1);
    me.barrier();
    me.acquire();
    for (uint32_t i = 0; me.nodeId == 1 && i < chunks; ++i)
      if (me.read<uint64_t>(array, element(i)) != i + 1) me.error("not what the home has written");
    me.barrier();
  });
  EXPECT_EQ(cluster.errors(), 0u) << cluster.firstError();
  return cluster.shared().fetches;
}

TEST(LargeArraysTest, WhoGoesThroughOneIsAheadOfItselfTheMoreTheFartherItHasCome) {
  EXPECT_LT(asked(kChunks, [](uint32_t i) { return i; }), 20u);
}

TEST(LargeArraysTest, WhoJumpsAboutAsksForEachChunk) {
  const auto far = [](uint32_t i) { return i * 37 % kChunks; };
  EXPECT_EQ(asked(50, far), 50u + 1u) << "the chunks, and the head";
}

}  // namespace
}  // namespace jvmc::cluster::test
