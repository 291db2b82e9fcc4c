// Where new threads begin.
#include "cluster/migration/thread_placer.h"

#include <gtest/gtest.h>

#include <map>

namespace jvmc::cluster {
namespace {

const std::vector<NodeId> kThree = {NodeId(0), NodeId(1), NodeId(2)};

std::vector<uint32_t> places(ThreadPlacer& placer, int count, std::vector<NodeId> used = {}) {
  std::vector<uint32_t> nodes;
  for (int i = 0; i < count; ++i) nodes.push_back(placer.place(kThree, used).value);
  return nodes;
}

TEST(ThreadPlacerTest, ThreadsBeginWhereTheirStarterIsIfThatIsWanted) {
  ThreadPlacer placer(NodeId(1));
  placer.alwaysHere();
  const NodeId all[] = {NodeId(0), NodeId(1), NodeId(2)}, others[] = {NodeId(0), NodeId(2)};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(placer.place(all, {}), NodeId(1));
  EXPECT_NE(placer.place(others, {}), NodeId(1)) << "it is about to leave";
}

TEST(ThreadPlacerTest, WithoutKnowledgeNodesTakeTurnsBeginningWithTheStartersOwn) {
  ThreadPlacer placer(NodeId(1));
  EXPECT_EQ(places(placer, 6), (std::vector<uint32_t>{1, 2, 0, 1, 2, 0}));
}

TEST(ThreadPlacerTest, BusyNodesGetFewer) {
  ThreadPlacer placer(NodeId(0));
  placer.update(std::vector<NodeRoom>{{NodeId(0), 1, 3}, {NodeId(1), 1, 0}, {NodeId(2), 1, 2}});
  std::map<uint32_t, int> count;
  for (uint32_t node : places(placer, 5)) ++count[node];
  EXPECT_EQ(count[0], 1) << "2 without the starter itself, and one of the five";
  EXPECT_EQ(count[1], 3);
  EXPECT_EQ(count[2], 1);
}

TEST(ThreadPlacerTest, NodesWithMoreWorkersGetMore) {
  ThreadPlacer placer(NodeId(0));
  placer.update(std::vector<NodeRoom>{{NodeId(0), 1, 0}, {NodeId(1), 4, 0}, {NodeId(2), 1, 0}});
  std::map<uint32_t, int> count;
  for (uint32_t node : places(placer, 12)) ++count[node];
  EXPECT_EQ(count[1], 8);
}

TEST(ThreadPlacerTest, AmongEqualsAThreadBeginsWhereItsObjectsAre) {
  ThreadPlacer placer(NodeId(0));
  EXPECT_EQ(placer.place(kThree, std::vector{NodeId(2), NodeId(2), NodeId(1)}), NodeId(2));
  // But not all of them where the objects of all are.
  std::map<uint32_t, int> count;
  for (uint32_t node : places(placer, 11, {NodeId(2)})) ++count[node];
  EXPECT_LE(count[2], 5);
  EXPECT_GE(count[0], 3);
}

TEST(ThreadPlacerTest, ANodeThatLeavesGetsNone) {
  ThreadPlacer placer(NodeId(0));
  const std::vector<NodeId> two = {NodeId(1), NodeId(2)};
  for (int i = 0; i < 10; ++i) EXPECT_NE(placer.place(two, {}), NodeId(0));
  EXPECT_EQ(placer.place({}, {}), NodeId(0));
}

TEST(ThreadPlacerTest, ATableTravelsUnchangedAndGarbageIsRefused) {
  const std::vector<uint8_t> bytes = encodeRoom(std::vector<NodeRoom>{{NodeId(3), 4, 1.5}, {NodeId(5), 1, 0}});
  const auto back = decodeRoom(bytes);
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ((*back)[0].node, NodeId(3));
  EXPECT_EQ((*back)[0].workers, 4u);
  EXPECT_NEAR((*back)[0].busy, 1.5, 1e-3);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decodeRoom(std::span(bytes).first(cut)).ok()) << cut;
  EXPECT_FALSE(decodeRoom(encodeRoom(std::vector<NodeRoom>{{NodeId(rt::kNodesMax), 1, 0}})).ok());
  EXPECT_FALSE(decodeRoom(encodeRoom(std::vector<NodeRoom>{{NodeId(1), 0, 0}})).ok());
}

}  // namespace
}  // namespace jvmc::cluster
