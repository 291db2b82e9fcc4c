// Which copies count as used together, and that what is remembered of them is bounded.
#include "cluster/objects/read_groups.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

using Objects = std::vector<CopyUnit>;

TEST(ReadGroupsTest, WhatAThreadUsesInOneIntervalIsAGroupInTheOrderOfUse) {
  ReadGroups groups;
  rt::ReadInterval mine, other;
  const auto group = groups.add(mine, 1, 0x30);
  groups.add(other, 1, 0x88);
  EXPECT_EQ(groups.add(mine, 1, 0x10), group);
  EXPECT_EQ(groups.ask(group), (Objects{0x30, 0x10}));
}

TEST(ReadGroupsTest, ANewEpochBeginsANewGroup) {
  ReadGroups groups;
  rt::ReadInterval mine;
  const auto first = groups.add(mine, 1, 0x10);
  const auto second = groups.add(mine, 2, 0x10);
  EXPECT_NE(first, second);
  EXPECT_EQ(groups.ask(second), Objects{0x10});
}

TEST(ReadGroupsTest, AFullGroupIsFollowedByAnother) {
  ReadGroups groups;
  rt::ReadInterval mine;
  const auto first = groups.add(mine, 1, 8);
  for (uint64_t i = 2; i <= ReadGroups::kMembersMax; ++i) EXPECT_EQ(groups.add(mine, 1, 8 * i), first);
  EXPECT_NE(groups.add(mine, 1, 8), first);
  EXPECT_EQ(groups.ask(first).size(), ReadGroups::kMembersMax);
}

TEST(ReadGroupsTest, WhatIsNotUsedAnyMoreIsAskedForAFewTimesAndThenForgotten) {
  ReadGroups groups;
  rt::ReadInterval mine;
  const auto group = groups.add(mine, 1, 0x10);
  for (int i = 0; i < ReadGroups::kAsksMax; ++i) EXPECT_EQ(groups.ask(group), Objects{0x10});
  EXPECT_TRUE(groups.ask(group).empty());
  EXPECT_NE(groups.add(mine, 1, 0x10), group) << "it has been asked for: what is used now is younger";
}

TEST(ReadGroupsTest, OldGroupsAreForgottenWhenThereAreTooManyOrTheyHoldTooMuch) {
  ReadGroups groups;
  rt::ReadInterval mine;
  const auto first = groups.add(mine, 1, 8);
  for (uint64_t epoch = 2; epoch <= ReadGroups::kGroupsMax; ++epoch) groups.add(mine, epoch, 8);
  const auto second = first + 1;
  EXPECT_EQ(groups.ask(second).size(), 1u);
  groups.add(mine, 0, 8);
  EXPECT_TRUE(groups.ask(first).empty());
  for (size_t i = 0; i < ReadGroups::kAllMembersMax; ++i) groups.add(mine, 0, 8);
  EXPECT_TRUE(groups.ask(second).empty());
  EXPECT_FALSE(groups.ask(mine.group).empty());
}

TEST(ReadGroupsTest, ANumberThatNamesNothingIsNoGroup) {
  ReadGroups groups;
  EXPECT_TRUE(groups.ask(0).empty());
  EXPECT_TRUE(groups.ask(77).empty());
}

}  // namespace
}  // namespace jvmc::cluster
