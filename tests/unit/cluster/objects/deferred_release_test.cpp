// What a thread has written elsewhere goes home before others can learn of a release here, and not sooner.
#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

using namespace test;

class DeferredReleaseTest : public testing::Test {
 protected:
  class Reply final : public Responder {
   public:
    explicit Reply(Bytes& into) : into_(into) {}
    void reply(Bytes payload) override { into_ = std::move(payload); }
    void fail(Error) override { ADD_FAILURE(); }

   private:
    Bytes& into_;
  };

  DeferredReleaseTest() { node_.unanswered = &unanswered_; }

  /// Writes to another node's object.
  void write(uint64_t value) {
    node_.unanswered = nullptr;
    node_.nextReply = fetchReply(kInstance, 0, 32);
    node_.space.checkWrite(node_.context, LoneNode::foreign(kInstance));
    rt::storeGuest<uint64_t>(LoneNode::foreign(kInstance) + 24, value);
    node_.unanswered = &unanswered_;
  }
  static rt::SyncRequest atomic(rt::AtomicOp op, ObjectRef object) {
    rt::SyncRequest request{};
    request.op = rt::SyncOp::Atomic;
    request.atomicOp = op;
    request.object = object;
    request.offset = 24;
    request.sizeLog2 = 3;
    return request;
  }
  bool releaseHere() {
    return node_.space.submit(node_.context, atomic(rt::AtomicOp::Store, LoneNode::local(kInstance))).has_value();
  }
  void acknowledge() { std::exchange(unanswered_, {}).front()(Bytes{uint8_t(ReplyStatus::Done), 0, 0, 0, 0}); }

  LoneNode node_;
  std::vector<std::function<void(Result<Bytes>)>> unanswered_;
};

TEST_F(DeferredReleaseTest, AReleaseHereIsCarriedOutAtOnceAndSendsNothing) {
  write(7);
  EXPECT_TRUE(releaseHere());
  EXPECT_EQ(node_.carriedOut, 1);
  EXPECT_TRUE(unanswered_.empty());
  EXPECT_TRUE(node_.space.owesWrites());
}

TEST_F(DeferredReleaseTest, WhatLeavesTheNodeWaitsForTheWrites) {
  write(7);
  releaseHere();
  int left = 0;
  node_.space.afterDeferred([&] { ++left; });
  ASSERT_EQ(unanswered_.size(), 1u);
  EXPECT_EQ(left, 0);
  EXPECT_EQ(node_.space.deferred(), 2u) << "the writes and what waits for them";
  acknowledge();
  EXPECT_EQ(left, 1);
  EXPECT_EQ(node_.space.deferred(), 0u);
  node_.space.afterDeferred([&] { ++left; });
  EXPECT_EQ(left, 2);
}

TEST_F(DeferredReleaseTest, WhatIsOnItsWayIsWaitedForToo) {
  write(7);
  releaseHere();
  node_.space.flushDeferred();
  int left = 0;
  node_.space.afterDeferred([&] { ++left; });
  EXPECT_EQ(unanswered_.size(), 1u);
  EXPECT_EQ(left, 0);
  acknowledge();
  EXPECT_EQ(left, 1);
}

TEST_F(DeferredReleaseTest, WhoAsksFromElsewhereIsAnsweredByMail) {
  write(7);
  releaseHere();
  Bytes reply;
  node_.handler(NodeId(1), encodeSync(atomic(rt::AtomicOp::Load, LoneNode::local(kInstance))),
                std::make_shared<Reply>(reply));
  EXPECT_EQ(reply, (Bytes{uint8_t(ReplyStatus::Done), /* answered */ 0}));
  ASSERT_EQ(node_.mails.size(), 1u);
  EXPECT_TRUE(node_.mails[0].answer.acquire);
  // A release learns nothing.
  node_.handler(NodeId(1), encodeSync(atomic(rt::AtomicOp::Store, LoneNode::local(kInstance))),
                std::make_shared<Reply>(reply));
  EXPECT_EQ(reply.at(1), 1);
}

TEST_F(DeferredReleaseTest, AReleaseElsewhereTakesThemAlong) {
  write(7);
  releaseHere();
  write(8);
  EXPECT_FALSE(node_.space.submit(node_.context, atomic(rt::AtomicOp::Store, LoneNode::foreign(kInstance))));
  ASSERT_EQ(unanswered_.size(), 1u);
  std::exchange(unanswered_, {})
      .front()(Bytes{uint8_t(ReplyStatus::Done), 0, 0, 0, 0, /* carried out */ 1, /* answered later */ 0});
  EXPECT_FALSE(node_.space.owesWrites());
  EXPECT_EQ(node_.space.stats().flushedObjects, 1u);
  EXPECT_EQ(node_.space.writtenBytes(), 0u);
}

TEST_F(DeferredReleaseTest, AFrozenObjectWaitsForThem) {
  write(7);
  releaseHere();
  EXPECT_THROW(node_.space.publish(node_.context), Lost) << "it waits";
  EXPECT_EQ(unanswered_.size(), 1u);
}

TEST_F(DeferredReleaseTest, WritingAgainJoinsAgain) {
  write(7);
  releaseHere();
  node_.space.flushDeferred();
  write(8);  // while the first value is on its way
  acknowledge();
  releaseHere();
  node_.space.flushDeferred();
  ASSERT_EQ(unanswered_.size(), 1u);
  acknowledge();
  EXPECT_FALSE(node_.space.owesWrites());
  EXPECT_EQ(node_.space.stats().flushedObjects, 2u);
}

}  // namespace
}  // namespace jvmc::cluster
