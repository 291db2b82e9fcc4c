// SyncHome, one rule a test. Random sequences against a model: monitor_model_test.cpp.
#include "runtime/sync/sync_home.h"

#include <gtest/gtest.h>

#include "tests/unit/runtime/sync/sync_fixture.h"

namespace jvmc::rt {
namespace {

class SyncHomeTest : public ::testing::Test, protected SyncFixture {
 protected:
  PlainObject object;
};

TEST_F(SyncHomeTest, an_uncontended_monitor_never_leaves_the_lock_word) {
  EXPECT_TRUE(isValue(run(SyncOp::MonitorEnter, 5, object)));
  EXPECT_EQ(object.lockWord(), 5u << kLockOwnerShift);
  EXPECT_TRUE(isValue(run(SyncOp::MonitorEnter, 5, object)));
  EXPECT_EQ(object.lockWord(), (5u << kLockOwnerShift) + 1);
  EXPECT_TRUE(isValue(run(SyncOp::MonitorExit, 5, object)));
  EXPECT_TRUE(isValue(run(SyncOp::MonitorExit, 5, object)));
  EXPECT_EQ(object.lockWord(), 0u);
}

TEST_F(SyncHomeTest, recursion_beyond_the_thin_count_inflates_and_unwinds) {
  constexpr int kDepth = 500;
  for (int i = 0; i < kDepth; ++i) ASSERT_TRUE(isValue(run(SyncOp::MonitorEnter, 5, object)));
  EXPECT_EQ(object.lockWord(), kLockInflated);
  for (int i = 0; i < kDepth; ++i) ASSERT_TRUE(isValue(run(SyncOp::MonitorExit, 5, object)));
  EXPECT_EQ(object.lockWord(), 0u);
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorExit, 5, object), BuiltinThrow::IllegalMonitor));
}

TEST_F(SyncHomeTest, a_thread_id_too_large_for_a_thin_lock_inflates) {
  ThreadId large = kLockMaxThinThread + 7;
  EXPECT_TRUE(isValue(run(SyncOp::MonitorEnter, large, object)));
  EXPECT_EQ(object.lockWord(), kLockInflated);
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorExit, 7, object), BuiltinThrow::IllegalMonitor));
  EXPECT_TRUE(isValue(run(SyncOp::MonitorExit, large, object)));
  EXPECT_EQ(object.lockWord(), 0u);
}

TEST_F(SyncHomeTest, a_contended_monitor_is_handed_over_in_order_and_deflates) {
  run(SyncOp::MonitorEnter, 1, object);
  EXPECT_FALSE(run(SyncOp::MonitorEnter, 2, object, 22));
  EXPECT_FALSE(run(SyncOp::MonitorEnter, 3, object, 33));
  run(SyncOp::MonitorExit, 1, object);
  auto mail = post.take();
  ASSERT_EQ(mail.size(), 1u);
  EXPECT_EQ(mail[0].first.id, 2u);
  EXPECT_EQ(mail[0].second.ticket, 22u);
  EXPECT_TRUE(mail[0].second.answer.acquire);
  // Nobody overtakes: the monitor belongs to 2 before 2 knows it.
  EXPECT_FALSE(run(SyncOp::MonitorEnter, 1, object, 11));
  run(SyncOp::MonitorExit, 2, object);
  run(SyncOp::MonitorExit, 3, object);
  run(SyncOp::MonitorExit, 1, object);
  EXPECT_EQ(post.take().size(), 2u);
  EXPECT_EQ(object.lockWord(), 0u);
}

TEST_F(SyncHomeTest, wait_gives_the_whole_recursion_back_and_restores_it) {
  for (int i = 0; i < 3; ++i) run(SyncOp::MonitorEnter, 1, object);
  EXPECT_FALSE(run(SyncOp::MonitorWait, 1, object, 7));
  EXPECT_TRUE(isValue(run(SyncOp::MonitorEnter, 2, object)));
  EXPECT_TRUE(isValue(run(SyncOp::MonitorNotify, 2, object)));
  EXPECT_TRUE(post.sent.empty());  // 2 still owns it
  run(SyncOp::MonitorExit, 2, object);
  ASSERT_EQ(post.take().size(), 1u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(isValue(run(SyncOp::MonitorExit, 1, object)));
  EXPECT_EQ(object.lockWord(), 0u);
}

TEST_F(SyncHomeTest, wait_and_notify_demand_ownership) {
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorWait, 1, object), BuiltinThrow::IllegalMonitor));
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorNotify, 1, object), BuiltinThrow::IllegalMonitor));
  run(SyncOp::MonitorEnter, 2, object);
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorNotifyAll, 1, object), BuiltinThrow::IllegalMonitor));
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorExit, 1, object), BuiltinThrow::IllegalMonitor));
}

TEST_F(SyncHomeTest, a_wait_that_times_out_enters_again_behind_those_who_queue) {
  run(SyncOp::MonitorEnter, 1, object);
  run(SyncOp::MonitorWait, 1, object, 7, 1000);
  run(SyncOp::MonitorEnter, 2, object);
  EXPECT_FALSE(run(SyncOp::MonitorEnter, 3, object, 33));
  timers.advance(999);
  run(SyncOp::MonitorNotify, 3, object);  // not the owner: changes nothing
  timers.advance(1);
  EXPECT_TRUE(post.sent.empty());
  run(SyncOp::MonitorExit, 2, object);
  run(SyncOp::MonitorExit, 3, object);
  auto mail = post.take();
  ASSERT_EQ(mail.size(), 2u);
  EXPECT_EQ(mail[0].first.id, 3u);
  EXPECT_EQ(mail[1].first.id, 1u);
  EXPECT_EQ(mail[1].second.answer.kind, Resumption::Kind::Value);
}

TEST_F(SyncHomeTest, a_notified_wait_leaves_no_timer_behind) {
  run(SyncOp::MonitorEnter, 1, object);
  run(SyncOp::MonitorWait, 1, object, 7, 1000);
  EXPECT_EQ(timers.armed(), 1u);
  run(SyncOp::MonitorEnter, 2, object);
  run(SyncOp::MonitorNotifyAll, 2, object);
  EXPECT_EQ(timers.armed(), 0u);
}

TEST_F(SyncHomeTest, an_interrupted_wait_throws_once_it_owns_the_monitor_again) {
  run(SyncOp::MonitorEnter, 1, object);
  run(SyncOp::MonitorWait, 1, object, 7);
  run(SyncOp::MonitorEnter, 2, object);
  SyncRequest cancel = request(SyncOp::CancelWait, 1, object.ref());
  cancel.a = 7;
  home.handle(cancel);
  EXPECT_TRUE(post.sent.empty());
  run(SyncOp::MonitorExit, 2, object);
  auto mail = post.take();
  ASSERT_EQ(mail.size(), 1u);
  EXPECT_TRUE(isThrow(mail[0].second.answer, BuiltinThrow::Interrupted));
  EXPECT_TRUE(mail[0].second.answer.acquire);
}

TEST_F(SyncHomeTest, an_interrupt_after_notify_does_not_eat_the_notification) {
  run(SyncOp::MonitorEnter, 1, object);
  run(SyncOp::MonitorWait, 1, object, 7);
  run(SyncOp::MonitorEnter, 2, object);
  run(SyncOp::MonitorNotify, 2, object);
  SyncRequest cancel = request(SyncOp::CancelWait, 1, object.ref());
  cancel.a = 7;
  home.handle(cancel);
  run(SyncOp::MonitorExit, 2, object);
  EXPECT_TRUE(isValue(post.take().at(0).second.answer));
}

TEST_F(SyncHomeTest, joiners_learn_of_the_end_or_of_their_timeout) {
  EXPECT_TRUE(isValue(run(SyncOp::ThreadJoin, 1, object), 0));  // never started
  EXPECT_TRUE(isValue(run(SyncOp::ThreadStart, 1, object)));
  EXPECT_TRUE(isThrow(run(SyncOp::ThreadStart, 1, object), BuiltinThrow::IllegalThread));
  EXPECT_TRUE(isValue(run(SyncOp::ThreadIsAlive, 1, object), 1));
  EXPECT_FALSE(run(SyncOp::ThreadJoin, 1, object, 1));
  EXPECT_FALSE(run(SyncOp::ThreadJoin, 2, object, 2, 500));
  timers.advance(500);
  auto mail = post.take();
  ASSERT_EQ(mail.size(), 1u);
  EXPECT_EQ(mail[0].first.id, 2u);
  EXPECT_EQ(mail[0].second.answer.value, 0u);
  run(SyncOp::ThreadEnd, 9, object);
  mail = post.take();
  ASSERT_EQ(mail.size(), 1u);
  EXPECT_EQ(mail[0].second.answer.value, 1u);
  EXPECT_TRUE(mail[0].second.answer.acquire);
  EXPECT_TRUE(isValue(run(SyncOp::ThreadJoin, 1, object), 1));
  EXPECT_TRUE(isValue(run(SyncOp::ThreadIsAlive, 1, object), 0));
}

TEST_F(SyncHomeTest, a_class_is_initialised_by_one_thread_while_others_wait) {
  EXPECT_TRUE(isValue(run(SyncOp::ClassInitBegin, 1, object), kClassInitRunIt));
  EXPECT_TRUE(isValue(run(SyncOp::ClassInitBegin, 1, object), kClassInitRecursive));
  EXPECT_FALSE(run(SyncOp::ClassInitBegin, 2, object, 22));
  SyncRequest end = request(SyncOp::ClassInitEnd, 1, object.ref());
  end.b = 1;
  home.handle(end);
  auto mail = post.take();
  ASSERT_EQ(mail.size(), 1u);
  EXPECT_EQ(mail[0].second.answer.value, kClassInitDone);
  EXPECT_TRUE(mail[0].second.answer.acquire);
  EXPECT_TRUE(isValue(run(SyncOp::ClassInitBegin, 3, object), kClassInitDone));
}

TEST_F(SyncHomeTest, a_failed_initialiser_fails_everybody_after_it) {
  run(SyncOp::ClassInitBegin, 1, object);
  EXPECT_FALSE(run(SyncOp::ClassInitBegin, 2, object, 22));
  home.handle(request(SyncOp::ClassInitEnd, 1, object.ref()));
  EXPECT_TRUE(isThrow(post.take().at(0).second.answer, BuiltinThrow::NoClassDef));
  EXPECT_TRUE(isThrow(run(SyncOp::ClassInitBegin, 1, object), BuiltinThrow::NoClassDef));
}

TEST_F(SyncHomeTest, atomic_operations_of_every_size) {
  auto atomic = [&](AtomicOp op, uint32_t sizeLog2, uint64_t a, uint64_t b = 0) {
    SyncRequest r = request(SyncOp::Atomic, 1, object.ref());
    r.atomicOp = op;
    r.offset = 16;
    r.sizeLog2 = sizeLog2;
    r.a = a;
    r.b = b;
    return home.handle(r)->value;
  };
  atomic(AtomicOp::Store, 3, ~uint64_t(0));
  EXPECT_EQ(atomic(AtomicOp::Store, 0, 0x80), 0u);
  EXPECT_EQ(atomic(AtomicOp::Load, 0, 0), 0xFFFF'FF80u);  // sign-extended to 32 bits, zero above
  EXPECT_EQ(atomic(AtomicOp::Load, 3, 0), 0xFFFF'FFFF'FFFF'FF80u);
  EXPECT_EQ(atomic(AtomicOp::Add, 2, 0x81), 0xFFFF'FF80u);
  EXPECT_EQ(atomic(AtomicOp::Load, 2, 0), 1u);
  EXPECT_EQ(atomic(AtomicOp::Cas, 2, 2, 9), 0u);
  EXPECT_EQ(atomic(AtomicOp::Cas, 2, 1, 9), 1u);
  EXPECT_EQ(atomic(AtomicOp::Swap, 1, 0x1234), 9u);
  EXPECT_EQ(atomic(AtomicOp::Load, 1, 0), 0x1234u);
}

TEST(SyncHome, a_reference_store_runs_the_barrier_first) {
  ManualTimers timers;
  MailList post;
  std::atomic<uint64_t> clock{kEpochStep};
  std::vector<uint64_t> seen;
  PlainObject object;
  SyncHome home({post, timers, clock, kFakeThreadStateOffset, [&](ObjectRef o, uint32_t offset, ObjectRef value) {
                   seen = {o, offset, value, object.fields[1].load()};
                 }});
  SyncRequest r = SyncFixture::request(SyncOp::Atomic, 1, object.ref());
  r.atomicOp = AtomicOp::Cas;
  r.isReference = true;
  r.offset = 24;
  r.sizeLog2 = 3;
  r.b = 0x4000;
  home.handle(r);
  EXPECT_EQ(seen, (std::vector<uint64_t>{object.ref(), 24, 0x4000, 0}));
  EXPECT_EQ(object.fields[1].load(), 0x4000u);
}

TEST_F(SyncHomeTest, a_store_to_an_element_makes_older_copies_stale_and_one_to_a_field_does_not) {
  SyncRequest store = request(SyncOp::Atomic, 1, object.ref());
  store.atomicOp = AtomicOp::Store;
  store.offset = 24;
  store.sizeLog2 = 3;
  EXPECT_FALSE(home.handle(store, NodeId(1))->acquire);
  store.isElement = true;
  EXPECT_TRUE(home.handle(store, NodeId(1))->acquire);
  store.isElement = false;
  store.atomicOp = AtomicOp::Add;
  EXPECT_TRUE(home.handle(store, NodeId(1))->acquire);
}

TEST_F(SyncHomeTest, a_remote_release_ticks_the_clock_and_its_answer_says_so) {
  uint64_t before = clock;
  auto entered = home.handle(request(SyncOp::MonitorEnter, 1, object.ref()), NodeId(1));
  EXPECT_TRUE(entered->remote && entered->acquire);
  EXPECT_EQ(clock, before);
  home.handle(request(SyncOp::MonitorExit, 1, object.ref()), NodeId(1));
  EXPECT_EQ(clock, before + kEpochStep);
  run(SyncOp::MonitorEnter, 1, object);
  run(SyncOp::MonitorExit, 1, object);
  EXPECT_EQ(clock, before + kEpochStep);
}

TEST_F(SyncHomeTest, an_entry_left_by_a_dead_object_does_not_harm_its_successor) {
  run(SyncOp::MonitorEnter, 1, object);
  EXPECT_FALSE(run(SyncOp::MonitorEnter, 2, object, 22));
  object.header.lockWord = 0;  // the memory was freed and allocated again
  EXPECT_TRUE(isValue(run(SyncOp::MonitorEnter, 3, object)));
  EXPECT_TRUE(isValue(run(SyncOp::MonitorExit, 3, object)));
  EXPECT_TRUE(isThrow(run(SyncOp::MonitorExit, 1, object), BuiltinThrow::IllegalMonitor));
}

}  // namespace
}  // namespace jvmc::rt
