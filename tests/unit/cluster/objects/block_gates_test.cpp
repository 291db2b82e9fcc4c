// Those who wait for a block go on when it is settled, and not before whoever settles it lets them.
#include "cluster/objects/block_gates.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

class BlockGatesTest : public testing::Test {
 protected:
  const rt::AddressPlan plan_;
  const uint64_t block_ = plan_.regionBase(0) + 5 * rt::kBlockBytes;
  HomeMap homes_{plan_, rt::kNodesMax};
  BlockGates gates_{homes_};
  int woken_ = 0;
};

TEST_F(BlockGatesTest, NobodyWaitsForABlockThatIsSettled) {
  EXPECT_FALSE(gates_.wait(block_ + 64, [&] { ++woken_; }));
}

TEST_F(BlockGatesTest, WaitersGoOnWhenTheyAreLetAndSeeTheNewHome) {
  gates_.set(block_, {NodeId{0}, HomeState::Leaving, 0});
  NodeId seen;
  ASSERT_TRUE(gates_.wait(block_ + 64, [&] { seen = homes_.homeOf(block_); }));
  ASSERT_TRUE(gates_.wait(block_ + 128, [&] { ++woken_; }));
  BlockGates::Ready ready;
  gates_.settle(block_, NodeId{1}, 1, ready);
  EXPECT_EQ(woken_, 0) << "whoever settles a block holds locks that a waiter may need";
  ready.go();
  EXPECT_EQ(woken_, 1);
  EXPECT_EQ(seen, NodeId{1});
  ready.go();
  EXPECT_EQ(woken_, 1) << "nobody goes on twice";
}

}  // namespace
}  // namespace jvmc::cluster
