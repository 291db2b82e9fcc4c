// Threads elsewhere that read a volatile again and again: they are told when it has changed.
#include <gtest/gtest.h>

#include "tests/unit/runtime/sync/sync_fixture.h"

namespace jvmc::rt {
namespace {

constexpr NodeId kOther(1);
constexpr int64_t kMicros = 1'000, kMillis = 1'000'000;

class SpinningTest : public testing::Test, protected SyncFixture {
 protected:
  static constexpr uint32_t kOffset = offsetof(PlainObject, fields);

  /// A thread of the other node reads the first field, having seen `seen`.
  std::optional<Resumption> read(ThreadId thread, uint64_t seen, uint64_t ticket = 1) {
    SyncRequest load = request(SyncOp::Atomic, thread, object_.ref(), ticket);
    load.atomicOp = AtomicOp::Load;
    load.offset = kOffset;
    load.sizeLog2 = 3;
    load.a = seen;
    load.b = kLoadUnlike;
    load.nanos = 10 * kMillis;
    return home.handle(load, kOther);
  }
  void storeFromElsewhere(uint64_t value, uint32_t offset = kOffset) {
    SyncRequest store = request(SyncOp::Atomic, 9, object_.ref(), 1);
    store.atomicOp = AtomicOp::Store;
    store.offset = offset;
    store.sizeLog2 = 3;
    store.a = value;
    home.handle(store, kOther);
  }
  /// (thread, value) of the answers that have been sent.
  std::vector<std::pair<ThreadId, uint64_t>> answers() {
    std::vector<std::pair<ThreadId, uint64_t>> all;
    for (const auto& [to, mail] : post.take()) {
      EXPECT_TRUE(mail.answer.acquire && mail.answer.remote) << "a read of a volatile acquires";
      all.emplace_back(to.id, mail.answer.value);
    }
    return all;
  }
  using Answers = std::vector<std::pair<ThreadId, uint64_t>>;

  PlainObject object_;
};

TEST_F(SpinningTest, AnotherValueIsAnsweredAtOnce) {
  object_.fields[0] = 7;
  const auto answer = read(1, 3);
  EXPECT_TRUE(isValue(answer, 7));
  EXPECT_TRUE(answer->acquire);
  EXPECT_EQ(timers.armed(), 0u);
}

TEST_F(SpinningTest, TheSameValueIsNotAnsweredUntilSomebodyElsewhereStores) {
  EXPECT_FALSE(read(1, 0));
  EXPECT_FALSE(read(2, 0));
  storeFromElsewhere(1, kOffset + 8);
  EXPECT_EQ(answers(), Answers{}) << "another field";
  storeFromElsewhere(5);
  EXPECT_EQ(answers(), (Answers{{1, 5}, {2, 5}}));
  timers.advance(20 * kMillis);
  EXPECT_EQ(answers(), Answers{});
  EXPECT_EQ(timers.armed(), 0u);
}

TEST_F(SpinningTest, AStoreThatTellsNobodyIsNoticedSoonAndLaterALittleLate) {
  EXPECT_FALSE(read(1, 0));
  object_.fields[0] = 1;
  timers.advance(20 * kMicros);
  EXPECT_EQ(answers(), (Answers{{1, 1}}));

  EXPECT_FALSE(read(1, 1));
  for (int i = 0; i < 200; ++i) timers.advance(10 * kMicros);
  object_.fields[0] = 2;
  timers.advance(kMillis / 2);
  EXPECT_EQ(answers(), (Answers{{1, 2}})) << "2 ms of waiting: an eighth of that at most";
}

TEST_F(SpinningTest, AfterAWhileTheSameValueIsAnswered) {
  object_.fields[0] = 4;
  EXPECT_FALSE(read(1, 4));
  for (int i = 0; i < 90; ++i) timers.advance(kMillis / 10);
  EXPECT_EQ(answers(), Answers{});
  for (int i = 0; i < 30; ++i) timers.advance(kMillis / 10);
  EXPECT_EQ(answers(), (Answers{{1, 4}}));
}

TEST_F(SpinningTest, AnObjectThatLeavesAnswersAll) {
  EXPECT_FALSE(read(1, 0));
  EXPECT_TRUE(home.take(object_.ref()).empty());
  EXPECT_EQ(answers(), (Answers{{1, 0}}));
  timers.advance(20 * kMillis);
  EXPECT_EQ(answers(), Answers{});
}

TEST_F(SpinningTest, WhoWaitsKeepsTheObjectAlive) {
  EXPECT_FALSE(read(1, 0));
  std::vector<ObjectRef> roots;
  home.visitRoots([&](ObjectRef object) { roots.push_back(object); });
  EXPECT_EQ(roots, (std::vector<ObjectRef>{object_.ref()}));
}

TEST_F(SpinningTest, ThreadsOfThisNodeAreAlwaysAnswered) {
  SyncRequest load = request(SyncOp::Atomic, 1, object_.ref());
  load.offset = kOffset;
  load.sizeLog2 = 3;
  load.b = kLoadAwaitsChange;
  EXPECT_TRUE(isValue(home.handle(load), 0));
}

}  // namespace
}  // namespace jvmc::rt
