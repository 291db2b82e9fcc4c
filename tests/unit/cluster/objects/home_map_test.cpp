// What a node believes of blocks that have moved, and how it is handed on.
#include "cluster/objects/home_map.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

const rt::AddressPlan kPlan;
uint64_t block(uint32_t region, uint32_t index) {
  return kPlan.regionBase(region) + uint64_t(index) * rt::kBlockBytes;
}

TEST(HomeMap, DealsRegionsToAllIdsThereCanBe) {
  const HomeMap homes(kPlan, rt::kNodesMax);
  EXPECT_EQ(homes.homeOf(block(0, 1)), NodeId(0));
  EXPECT_EQ(homes.homeOf(block(rt::kNodesMax - 1, 0)), NodeId(rt::kNodesMax - 1));
  EXPECT_EQ(homes.homeOf(block(rt::kNodesMax % kPlan.regionCount, 0)), NodeId(0));
}

TEST(HomeMap, BeliefsAreTakenOverWhereTheyAreYounger) {
  HomeMap leaver(kPlan, rt::kNodesMax), other(kPlan, rt::kNodesMax);
  leaver.set(block(1, 0), {NodeId(2), HomeState::Settled, 1});
  leaver.set(block(1, 7), {NodeId(3), HomeState::Settled, 4});
  leaver.set(block(2, 0), {NodeId(0), HomeState::Settled, 2});
  other.set(block(1, 7), {NodeId(5), HomeState::Settled, 6});   // knows more
  other.set(block(2, 0), {NodeId(1), HomeState::Incoming, 1});  // the mover decides
  ASSERT_TRUE(other.takeOver(leaver.beliefs()));
  EXPECT_EQ(other.homeOf(block(1, 0) + 64), NodeId(2));
  EXPECT_EQ(other.at(block(1, 0)).moves, 1u);
  EXPECT_EQ(other.homeOf(block(1, 7)), NodeId(5));
  EXPECT_EQ(other.at(block(2, 0)).state, HomeState::Incoming);
  EXPECT_EQ(other.homeOf(block(1, 1)), NodeId(1)) << "nothing was said of it";
}

TEST(HomeMap, NonsenseIsNotBelieved) {
  HomeMap leaver(kPlan, rt::kNodesMax);
  leaver.set(block(1, 3), {NodeId(2), HomeState::Settled, 1});
  const std::vector<uint8_t> good = leaver.beliefs();
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    HomeMap other(kPlan, rt::kNodesMax);
    EXPECT_FALSE(other.takeOver(std::span(good).first(bytes))) << bytes;
  }
  for (const size_t wrong : {4u, 11u, 13u, 14u, 16u}) {  // the address's ends, the node's, the moves: 1 becomes 0
    std::vector<uint8_t> bad = good;
    bad[wrong] = wrong == 16 ? 0 : 0xFF;
    HomeMap other(kPlan, rt::kNodesMax);
    EXPECT_FALSE(other.takeOver(bad)) << wrong;
  }
}

}  // namespace
}  // namespace jvmc::cluster
