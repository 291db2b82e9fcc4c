// Turns of nodes, and monitors away from home: a home (node 0) and a borrower (node 1), with the test as the wire.
#include <gtest/gtest.h>

#include "tests/unit/runtime/sync/sync_fixture.h"

namespace jvmc::rt {
namespace {

constexpr NodeId kHome(0), kOther(1);
constexpr int64_t kLong = 2'000'000;  // nanoseconds: longer than a turn

/// Notes what it is told.
class NotedLender final : public SyncHome::Lender {
 public:
  void shouldLend(ObjectRef, NodeId node) override { lendTo.push_back(node); }
  void recall(ObjectRef, NodeId, bool urgent) override { recalls.push_back(urgent); }
  void shouldGiveBack(ObjectRef) override { ++givesBack; }

  std::vector<NodeId> lendTo;
  std::vector<bool> recalls;
  int givesBack = 0;
};

struct Node : SyncFixture {
  explicit Node(NodeId self) : sync({post, timers, clock, kFakeThreadStateOffset, {}, self}) { sync.lendBy(lender); }
  NotedLender lender;
  SyncHome sync;
};

class LendingTest : public testing::Test {
 protected:
  /// A thread of the home node, or of the other one, asks at home.
  std::optional<Resumption> atHome(SyncOp op, ThreadId thread, NodeId from = {}, uint64_t ticket = 1) {
    return home_.sync.handle(SyncFixture::request(op, thread, object_.ref(), ticket), from);
  }
  /// A thread of the borrower asks there.
  std::optional<Resumption> away(SyncOp op, ThreadId thread, uint64_t ticket = 1, int64_t nanos = 0) {
    const auto result = other_.sync.handleBorrowed(SyncFixture::request(op, thread, object_.ref(), ticket, nanos));
    EXPECT_TRUE(result.isHere);
    return result.answer;
  }
  void lend() {
    const std::optional<SyncState> state = home_.sync.lend(object_.ref(), kOther);
    ASSERT_TRUE(state);
    other_.sync.borrow(object_.ref(), *state);
  }
  void giveBack() {
    const auto given = other_.sync.giveBack(object_.ref());
    ASSERT_TRUE(given);
    home_.sync.takeBack(object_.ref(), given->state, given->served);
  }
  static std::vector<ThreadId> receivers(Node& node) {
    std::vector<ThreadId> threads;
    for (const auto& [to, mail] : node.post.take()) threads.push_back(to.id);
    return threads;
  }
  using Threads = std::vector<ThreadId>;

  void SetUp() override {
    for (Node* node : {&home_, &other_}) node->timers.advance(1);
  }

  PlainObject object_;
  Node home_{kHome}, other_{kOther};
};

TEST_F(LendingTest, ThreadsOfTheNodeThatHasItComeFirstUntilItsTurnIsOver) {
  atHome(SyncOp::MonitorEnter, 1);
  atHome(SyncOp::MonitorEnter, 11, kOther);
  atHome(SyncOp::MonitorEnter, 2);
  atHome(SyncOp::MonitorEnter, 3);
  atHome(SyncOp::MonitorExit, 1);
  EXPECT_EQ(receivers(home_), (Threads{2})) << "11 has waited longer";
  home_.timers.advance(kLong);
  atHome(SyncOp::MonitorExit, 2);
  EXPECT_EQ(receivers(home_), (Threads{11}));
  EXPECT_EQ(home_.lender.lendTo, (std::vector<NodeId>{kOther}));
  atHome(SyncOp::MonitorExit, 11, kOther);
  EXPECT_EQ(receivers(home_), (Threads{3}));
}

TEST_F(LendingTest, AMonitorLingersForThreadsThatComeBackQuickly) {
  atHome(SyncOp::MonitorEnter, 1);
  atHome(SyncOp::MonitorEnter, 2);  // inflated
  atHome(SyncOp::MonitorExit, 1);
  atHome(SyncOp::MonitorEnter, 11, kOther);
  for (int i = 0; i < 4; ++i) {  // 1 and 2 by turns, 11 waits
    atHome(SyncOp::MonitorEnter, 1 + i % 2);
    atHome(SyncOp::MonitorExit, 2 - i % 2);
  }
  home_.post.take();
  atHome(SyncOp::MonitorExit, 2);
  EXPECT_EQ(receivers(home_), (Threads{})) << "they come back quickly: it is kept for them";
  EXPECT_TRUE(isValue(atHome(SyncOp::MonitorEnter, 1)));
  atHome(SyncOp::MonitorExit, 1);
  home_.timers.advance(20'000);
  EXPECT_EQ(receivers(home_), (Threads{}));
  home_.timers.advance(40'000);
  EXPECT_EQ(receivers(home_), (Threads{11})) << "nobody has come";
}

TEST_F(LendingTest, WhoEntersAgainAndAgainBorrows) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(home_.lender.lendTo.empty());
    atHome(SyncOp::MonitorEnter, 11, kOther);
    atHome(SyncOp::MonitorExit, 11, kOther);
  }
  EXPECT_EQ(home_.lender.lendTo, (std::vector<NodeId>{kOther}));
  lend();
  EXPECT_EQ(object_.lockWord(), kLockInflated) << "the inline path must not find it free";
  EXPECT_EQ(home_.sync.lentTo(object_.ref()), kOther);
  EXPECT_FALSE(home_.sync.lend(object_.ref(), NodeId(2)));
}

TEST_F(LendingTest, ABorrowedMonitorWorksWithoutALockWord) {
  lend();
  object_.header.lockWord = 0x123456;  // what the header of a copy holds there is no lock
  EXPECT_TRUE(isValue(away(SyncOp::MonitorEnter, 11)));
  EXPECT_TRUE(isValue(away(SyncOp::MonitorEnter, 11)));
  EXPECT_FALSE(away(SyncOp::MonitorEnter, 12, 5));
  EXPECT_TRUE(isThrow(away(SyncOp::MonitorExit, 12), BuiltinThrow::IllegalMonitor));
  EXPECT_TRUE(isValue(away(SyncOp::MonitorExit, 11)));
  EXPECT_TRUE(isValue(away(SyncOp::MonitorExit, 11)));
  EXPECT_EQ(receivers(other_), (Threads{12}));
  EXPECT_TRUE(isValue(away(SyncOp::MonitorNotify, 12)));
  EXPECT_TRUE(isValue(away(SyncOp::MonitorExit, 12)));
  EXPECT_TRUE(isThrow(away(SyncOp::MonitorNotify, 12), BuiltinThrow::IllegalMonitor));
  EXPECT_EQ(object_.lockWord(), 0x123456u);
  EXPECT_EQ(other_.lender.givesBack, 0) << "nobody else wants it";
}

TEST_F(LendingTest, WhatIsAskedForAtHomeWaitsUntilItIsBack) {
  lend();
  away(SyncOp::MonitorEnter, 11);
  EXPECT_FALSE(atHome(SyncOp::MonitorEnter, 1, {}, 7));
  EXPECT_FALSE(atHome(SyncOp::MonitorEnter, 21, NodeId(2), 8));
  EXPECT_EQ(home_.lender.recalls, (std::vector<bool>{false})) << "once";
  EXPECT_FALSE(atHome(SyncOp::MonitorExit, 11, NodeId(2)));
  EXPECT_EQ(home_.lender.recalls, (std::vector<bool>{false, true})) << "the owner has moved";
  giveBack();
  EXPECT_EQ(receivers(home_), (Threads{21, 11}))
      << "a thread of the node where the owner was owns it, the exit is answered";
  atHome(SyncOp::MonitorExit, 21, NodeId(2));
  EXPECT_EQ(receivers(home_), (Threads{1}));
}

TEST_F(LendingTest, ItGoesBackWhenItsTurnIsOverOrNobodyComes) {
  lend();
  away(SyncOp::MonitorEnter, 11);
  other_.sync.callBack(object_.ref());
  EXPECT_EQ(other_.lender.givesBack, 0) << "somebody is in it";
  for (int i = 0; i < 50; ++i) {
    away(SyncOp::MonitorExit, 11);
    other_.timers.advance(1'000);
    EXPECT_EQ(other_.lender.givesBack, 0);
    EXPECT_TRUE(isValue(away(SyncOp::MonitorEnter, 11)));
  }
  other_.timers.advance(kLong);
  away(SyncOp::MonitorExit, 11);
  EXPECT_EQ(other_.lender.givesBack, 1);
  giveBack();
  EXPECT_EQ(object_.lockWord(), 0u);

  lend();
  other_.sync.callBack(object_.ref());
  other_.timers.advance(100'000);
  EXPECT_EQ(other_.lender.givesBack, 2);
}

TEST_F(LendingTest, LoansInVainBecomeRare) {
  const auto occasion = [&] {
    for (int i = 0; i < 4; ++i) {
      atHome(SyncOp::MonitorEnter, 11, kOther);
      atHome(SyncOp::MonitorExit, 11, kOther);
    }
    return std::exchange(home_.lender.lendTo, {}).size();
  };
  EXPECT_EQ(occasion(), 1u);
  lend();
  giveBack();  // it has served nobody
  EXPECT_EQ(occasion(), 0u);
  EXPECT_EQ(occasion(), 1u);
  lend();
  for (int i = 0; i < 10; ++i) {
    away(SyncOp::MonitorEnter, 11);
    away(SyncOp::MonitorExit, 11);
  }
  giveBack();
  EXPECT_EQ(occasion(), 1u) << "this one was worth it";
}

TEST_F(LendingTest, QueuesTimeoutsAndRecursionTravelAlong) {
  for (ThreadId thread : {1, 2}) {
    atHome(SyncOp::MonitorEnter, thread);
    atHome(SyncOp::MonitorEnter, thread);
    home_.sync.handle(SyncFixture::request(SyncOp::MonitorWait, thread, object_.ref(), 9, thread == 1 ? 5'000'000 : 0));
  }
  EXPECT_EQ(home_.timers.armed(), 1u);
  lend();
  EXPECT_EQ(home_.timers.armed(), 0u);
  EXPECT_EQ(other_.timers.armed(), 1u);
  other_.timers.advance(10'000'000);  // for 1 the wait is over; it may enter at home only
  EXPECT_EQ(other_.lender.givesBack, 1);
  giveBack();
  EXPECT_EQ(receivers(home_), (Threads{1}));
  EXPECT_TRUE(isValue(atHome(SyncOp::MonitorNotifyAll, 1)));
  atHome(SyncOp::MonitorExit, 1);
  EXPECT_EQ(receivers(home_), (Threads{})) << "it had entered twice";
  atHome(SyncOp::MonitorExit, 1);
  EXPECT_EQ(receivers(home_), (Threads{2}));
}

TEST_F(LendingTest, AMonitorThatItsHomeIsUsingStays) {
  atHome(SyncOp::MonitorEnter, 1);
  atHome(SyncOp::MonitorEnter, 2);
  atHome(SyncOp::MonitorEnter, 11, kOther);
  atHome(SyncOp::MonitorExit, 1);
  EXPECT_FALSE(home_.sync.lend(object_.ref(), kOther));
}

}  // namespace
}  // namespace jvmc::rt
