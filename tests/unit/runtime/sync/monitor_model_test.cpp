// Random monitor operations of many threads against a model that is obviously right: queues as plain lists, time as a
// number. Checks after every operation who owns the monitor, who was answered, how, and in which order; at the end,
// that nobody waits in vain. Now and then the object's home changes: its state is taken from one SyncHome and put into
// another. Some enters and exits are done on the lock word itself, as compiled code does.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "ir/support/prng.h"
#include "tests/unit/runtime/sync/sync_fixture.h"

namespace jvmc::rt {
namespace {

struct Expected {
  ThreadId thread;
  uint64_t ticket;
  bool interrupted;
  friend bool operator==(const Expected&, const Expected&) = default;
};

class ModelMonitor {
 public:
  struct Waiter {
    ThreadId thread;
    uint64_t ticket;
    uint32_t count;
    int64_t deadline = 0;  // 0: none
    bool interrupted = false;
  };
  ThreadId owner = 0;
  uint32_t count = 0;
  std::deque<Waiter> entering, waiting;
  std::vector<Expected> answers;

  bool enter(ThreadId thread, uint64_t ticket) {
    if (owner == thread) ++count;
    if (owner != 0 && owner != thread) {
      entering.push_back({thread, ticket, 0});
      return false;
    }
    owner = thread;
    return true;
  }
  void exit() {
    if (count > 0) {
      --count;
      return;
    }
    release();
  }
  void wait(ThreadId thread, uint64_t ticket, int64_t deadline) {
    waiting.push_back({thread, ticket, count, deadline});
    release();
  }
  void notify(bool all) {
    do {
      if (waiting.empty()) return;
      toEntry(0);
    } while (all);
  }
  void interrupt(ThreadId thread) {
    for (size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].thread != thread) continue;
      waiting[i].interrupted = true;
      return toEntry(i);
    }
  }
  void advance(int64_t now) {
    while (true) {
      size_t first = waiting.size();
      for (size_t i = 0; i < waiting.size(); ++i)
        if (waiting[i].deadline && waiting[i].deadline <= now &&
            (first == waiting.size() || waiting[i].deadline < waiting[first].deadline))
          first = i;
      if (first == waiting.size()) return;
      toEntry(first);
    }
  }

 private:
  void release() {
    owner = 0;
    count = 0;
    grantNext();
  }
  void toEntry(size_t i) {
    entering.push_back(waiting[i]);
    waiting.erase(waiting.begin() + long(i));
    if (owner == 0) grantNext();
  }
  void grantNext() {
    if (entering.empty()) return;
    Waiter next = entering.front();
    entering.pop_front();
    owner = next.thread;
    count = next.count;
    answers.push_back({next.thread, next.ticket, next.interrupted});
  }
};

class MonitorModelTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  static constexpr ThreadId kThreads = 7;

  ManualTimers timers;
  MailList post;
  std::atomic<uint64_t> clock{kEpochStep};
  SyncHome first{{post, timers, clock, kFakeThreadStateOffset, {}}},
      second{{post, timers, clock, kFakeThreadStateOffset, {}}};
  SyncHome* home = &first;
  PlainObject object;
  ModelMonitor model;
  uint64_t tickets = 0;
  uint64_t answered = 0;
  std::vector<uint64_t> waitsFor = std::vector<uint64_t>(kThreads + 1);  // ticket of a blocked thread, else 0

  std::optional<Resumption> run(SyncOp op, ThreadId thread, int64_t nanos = 0, uint64_t a = 0) {
    SyncRequest r = SyncFixture::request(op, thread, object.ref(), tickets, nanos);
    r.a = a;
    return home->handle(r);
  }

  bool changeWord(uint32_t from, uint32_t to) { return object.header.lockWord.compare_exchange_strong(from, to); }

  void enter(ThreadId thread, bool inlined) {
    ++tickets;
    bool atOnce = model.enter(thread, tickets);
    if (inlined && changeWord(0, uint32_t(thread) << kLockOwnerShift)) {
      ASSERT_TRUE(atOnce);
      return;
    }
    ASSERT_EQ(run(SyncOp::MonitorEnter, thread).has_value(), atOnce);
    if (!atOnce) waitsFor[thread] = tickets;
  }

  void exit(ThreadId thread, bool inlined) {
    if (model.owner != thread) {
      ASSERT_TRUE(isThrow(run(SyncOp::MonitorExit, thread), BuiltinThrow::IllegalMonitor));
      return;
    }
    bool last = model.count == 0;
    model.exit();
    if (inlined && last && changeWord(uint32_t(thread) << kLockOwnerShift, 0)) return;
    ASSERT_TRUE(isValue(run(SyncOp::MonitorExit, thread)));
  }

  void wait(ThreadId thread, int64_t nanos) {
    if (model.owner != thread) {
      ASSERT_TRUE(isThrow(run(SyncOp::MonitorWait, thread), BuiltinThrow::IllegalMonitor));
      return;
    }
    ++tickets;
    waitsFor[thread] = tickets;
    model.wait(thread, tickets, nanos ? timers.now() + nanos : 0);
    ASSERT_FALSE(run(SyncOp::MonitorWait, thread, nanos));
  }

  void notify(ThreadId thread, bool all) {
    SyncOp op = all ? SyncOp::MonitorNotifyAll : SyncOp::MonitorNotify;
    if (model.owner != thread) {
      ASSERT_TRUE(isThrow(run(op, thread), BuiltinThrow::IllegalMonitor));
      return;
    }
    model.notify(all);
    ASSERT_TRUE(isValue(run(op, thread)));
  }

  void moveHome() {
    SyncHome* target = home == &first ? &second : &first;
    target->put(object.ref(), home->take(object.ref()));
    home = target;
  }

  void checkAnswers() {
    std::vector<Expected> got;
    for (auto& [to, mail] : post.take()) {
      ASSERT_EQ(waitsFor[to.id], mail.ticket);
      waitsFor[to.id] = 0;
      got.push_back({to.id, mail.ticket, mail.answer.kind == Resumption::Kind::Throw});
      ASSERT_TRUE(mail.answer.acquire);
      ++answered;
    }
    ASSERT_EQ(got.size(), model.answers.size());
    ASSERT_TRUE(std::equal(got.begin(), got.end(), model.answers.begin()));
    model.answers.clear();
    bool unused = model.owner == 0 && model.entering.empty() && model.waiting.empty();
    if (unused) {
      ASSERT_EQ(object.lockWord(), 0u) << "not deflated";
    }
  }
};

TEST_P(MonitorModelTest, behaves_as_the_model) {
  Prng random(GetParam());
  auto chance = [&](uint64_t n) { return random.next() % n; };
  for (int step = 0; step < 100'000; ++step) {
    ThreadId thread = model.owner && chance(2) ? model.owner : 1 + chance(kThreads);
    uint64_t what = chance(100);
    if (waitsFor[thread]) {  // blocked: only others can act on it
      if (what < 8) {
        model.interrupt(thread);
        run(SyncOp::CancelWait, thread, 0, waitsFor[thread]);
      }
    } else if (what < 35) {
      enter(thread, chance(2) != 0);
    } else if (what < 75) {
      exit(thread, chance(2) != 0);
    } else if (what < 82) {
      wait(thread, chance(2) ? int64_t(1 + chance(50)) : 0);
    } else if (what < 90) {
      notify(thread, chance(3) == 0);
    } else if (what < 97) {
      int64_t nanos = int64_t(chance(20));
      model.advance(timers.now() + nanos);
      timers.advance(nanos);
    } else {
      moveHome();
    }
    if (HasFatalFailure()) FAIL() << "step " << step;
    checkAnswers();
    if (HasFatalFailure()) FAIL() << "step " << step;
  }
  EXPECT_GT(answered, 5000u) << "the sequence blocked itself";
  // Nobody waits in vain: the owner lets go, and wakes those who still wait, until nothing is left.
  for (int i = 0; i < 10'000 && model.owner; ++i) {
    ThreadId owner = model.owner;
    notify(owner, true);
    exit(owner, false);
    checkAnswers();
  }
  if (model.waiting.empty()) {
    EXPECT_EQ(object.lockWord(), 0u);
    EXPECT_EQ(std::count(waitsFor.begin(), waitsFor.end(), 0u), long(kThreads + 1));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, MonitorModelTest, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace jvmc::rt
