// Compiled code locks and unlocks with a CAS on the lock word while other threads inflate, queue, wait and deflate
// through SyncHome. Proves mutual exclusion (a plain counter) and that no hand-over is lost (every thread ends).
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>

#include "runtime/sched/timer_queue.h"
#include "tests/support/sanitized.h"
#include "tests/unit/runtime/sync/sync_fixture.h"

namespace jvmc::rt {
namespace {

/// Nearly every contended round is a hand-over between native threads, which a busy machine takes its time for.
constexpr int kRounds = kSanitizedBuild ? 5'000 : 250'000;
constexpr int kWaitingRounds = kSanitizedBuild ? 600 : 2'500;
constexpr ThreadId kThreads = 4;

/// Each thread waits for mail with its own ticket.
class Mailboxes final : public ThreadPost {
 public:
  void send(const ThreadRef& to, const ThreadMail& mail) override {
    boxes_[to.id].store(mail.ticket);
    boxes_[to.id].notify_all();
  }
  void await(ThreadId thread, uint64_t ticket) {
    uint64_t seen;
    while ((seen = boxes_[thread].load()) != ticket) boxes_[thread].wait(seen);
  }

 private:
  std::array<std::atomic<uint64_t>, kThreads + 1> boxes_{};
};

struct Race {
  Mailboxes post;
  TimerQueue timers;
  std::atomic<uint64_t> clock{kEpochStep};
  SyncHome home{{post, timers, clock, kFakeThreadStateOffset, {}}};
  PlainObject object;
  uint64_t counter = 0;  // guarded by the object's monitor

  void enter(ThreadId self, uint64_t& ticket) {
    uint32_t free = 0;
    if (object.header.lockWord.compare_exchange_strong(free, uint32_t(self) << kLockOwnerShift)) return;
    await(SyncOp::MonitorEnter, self, ticket);
  }
  void exit(ThreadId self) {
    uint32_t mine = uint32_t(self) << kLockOwnerShift;
    if (object.header.lockWord.compare_exchange_strong(mine, 0)) return;
    auto answer = home.handle(SyncFixture::request(SyncOp::MonitorExit, self, object.ref()));
    ASSERT_TRUE(isValue(answer));
  }
  void await(SyncOp op, ThreadId self, uint64_t& ticket, int64_t nanos = 0) {
    ++ticket;
    if (!home.handle(SyncFixture::request(op, self, object.ref(), ticket, nanos))) post.await(self, ticket);
  }
};

TEST(MonitorRace, inline_locking_excludes_queued_threads_and_loses_nobody) {
  Race race;
  std::vector<std::thread> threads;
  for (ThreadId self = 1; self <= kThreads; ++self)
    threads.emplace_back([&, self] {
      uint64_t ticket = 0;
      for (int i = 0; i < kRounds; ++i) {
        race.enter(self, ticket);
        ++race.counter;
        race.exit(self);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(race.counter, uint64_t(kRounds) * kThreads);
  EXPECT_EQ(race.object.lockWord(), 0u);
}

/// One thread never leaves the fast path if it can help it; the other always comes through SyncHome, so that nearly
/// every inflation meets a word that is about to change.
TEST(MonitorRace, inflation_meets_an_owner_who_is_leaving) {
  Race race;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> turns{0};
  std::thread inliner([&] {
    uint64_t ticket = 0;
    while (!stop) {
      race.enter(1, ticket);
      ++race.counter;
      race.exit(1);
      ++turns;
    }
  });
  uint64_t ticket = 0, rounds = 0;
  for (; rounds < 100; ++rounds) {
    // The inliner must have gone round since, or a busy machine runs all of this in one go.
    for (uint64_t seen = turns; turns == seen || race.object.lockWord() & kLockInflated;) std::this_thread::yield();
    race.await(SyncOp::MonitorEnter, 2, ticket);
    --race.counter;
    ASSERT_TRUE(isValue(race.home.handle(SyncFixture::request(SyncOp::MonitorExit, 2, race.object.ref()))));
  }
  stop = true;
  inliner.join();
  EXPECT_EQ(race.object.lockWord(), 0u);
}

TEST(MonitorRace, waits_timeouts_and_notifications_keep_the_monitor_exclusive) {
  Race race;
  std::vector<std::thread> threads;
  for (ThreadId self = 1; self <= kThreads; ++self)
    threads.emplace_back([&, self] {
      uint64_t ticket = 0;
      for (int i = 0; i < kWaitingRounds; ++i) {
        race.enter(self, ticket);
        ++race.counter;
        if (i % 8 == 0) race.await(SyncOp::MonitorWait, self, ticket, 20'000);  // ends by notify or after 20 µs
        ++race.counter;
        SyncRequest notify = SyncFixture::request(SyncOp::MonitorNotify, self, race.object.ref());
        ASSERT_TRUE(isValue(race.home.handle(notify)));
        race.exit(self);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(race.counter, uint64_t(kWaitingRounds) * kThreads * 2);
  EXPECT_EQ(race.object.lockWord(), 0u);
}

}  // namespace
}  // namespace jvmc::rt
