// Arrays that are copied in chunks: what is asked for, and how often.
#include <gtest/gtest.h>

#include "tests/unit/cluster/objects/lone_node.h"
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

// A home answers nothing about units that have moved, if it is asked for several: who went on asking it for several
// waited for ever.
TEST(LargeArraysTest, WhatWasNotAnsweredIsAskedForAlone) {
  LoneNode node;
  const ObjectRef array = kPlan.regionBase(1) + (1 << 20);
  constexpr uint32_t kLength = 100'000;
  std::string asked;
  node.peer = [&](const Bytes& message) {
    ByteReader in(message);
    ByteWriter out;
    if (ObjectMessage(in.get<uint8_t>()) == ObjectMessage::Fetch) {
      asked += 'f';
      const CopyUnit unit = getUnit(in);
      const ObjectShape whole(node.classes[kByteArray], kLength, 0);
      return fetchReply(kByteArray, kLength, whole.forUnit(unit).dataBytes());
    }
    asked += 'r';
    in.get<uint64_t>();
    out.put(uint8_t(ReplyStatus::Done));
    for (uint32_t left = in.get<uint32_t>(); left > 0; --left) out.put(uint8_t(RefreshOutcome::Unanswered));
    return out.take();
  };
  node.space.checkRead(node.context, array);
  for (uint32_t chunk : {0, 1})
    node.space.checkElementsRead(node.context, array, chunk * rt::kArrayChunkBytes, chunk * rt::kArrayChunkBytes + 1);
  EXPECT_EQ(node.fatalErrors, 0);
  EXPECT_EQ(asked.substr(0, 2), "ff") << "the head and the first chunk";
  EXPECT_EQ(asked.back(), 'f') << asked;
  EXPECT_NE(asked.find('r'), std::string::npos) << "it has not been ahead of itself";
}

}  // namespace
}  // namespace jvmc::cluster::test
