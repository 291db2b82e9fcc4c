// Who asks for which blocks.
#include "cluster/objects/block_users.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(BlockUsersTest, OfABlockTheNodeCountsThatAsksForMostOfIt) {
  BlockUsers users;
  users.enable();
  const uint64_t first = 16 * rt::kBlockBytes, second = 17 * rt::kBlockBytes, third = 18 * rt::kBlockBytes;
  users.sample(kSecond);
  for (int i = 0; i < 100; ++i) {
    users.note(NodeId(1), first + 64 * uint64_t(i));
    users.note(NodeId(i % 4 == 0 ? 1 : 2), second);
    users.note(NodeId(i % 2), third);
  }
  EXPECT_EQ(users.usedBy(NodeId(1)), std::set<uint64_t>{first});
  EXPECT_EQ(users.usedBy(NodeId(2)), std::set<uint64_t>{second});
  const auto all = users.all();
  ASSERT_EQ(all.size(), 2u) << "of the third nobody has more than half";
  EXPECT_EQ(all[0].user, NodeId(1));
  EXPECT_EQ(all[0].bytes, rt::kBlockBytes);
  EXPECT_EQ(all[0].requests, 100);
  users.forget(first);
  EXPECT_TRUE(users.usedBy(NodeId(1)).empty());
}

TEST(BlockUsersTest, WhatIsOlderFades) {
  BlockUsers users;
  users.enable();
  users.sample(kSecond);
  for (int i = 0; i < 1000; ++i) users.note(NodeId(1), 16 * rt::kBlockBytes);
  users.sample(2 * kSecond);
  EXPECT_LT(users.all()[0].requests, 500);
  users.sample(20 * kSecond);
  EXPECT_TRUE(users.all().empty());
}

TEST(BlockUsersTest, NothingIsCountedThatNobodyWantsToKnow) {
  BlockUsers users;
  for (int i = 0; i < 1000; ++i) users.note(NodeId(1), 16 * rt::kBlockBytes);
  EXPECT_TRUE(users.all().empty());
}

}  // namespace
}  // namespace jvmc::cluster
