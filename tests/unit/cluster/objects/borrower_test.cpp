// What a node does with an object that is lent to it, message by message.
#include <future>

#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

using namespace test;

constexpr ObjectRef kBlockMask = ~ObjectRef(rt::kBlockBytes - 1);
constexpr uint64_t kField = 24;

class AwaitedResponder final : public Responder {
 public:
  void reply(Bytes payload) override { answer.set_value(std::move(payload)); }
  void fail(Error) override { answer.set_value({}); }
  std::promise<Bytes> answer;
};

/// A node at a second node's object, an instance with fields of 0.
class BorrowerTest : public testing::Test {
 protected:
  static Bytes image(Holds holds, uint32_t neighbours = 0) {
    ByteWriter out;
    out.put(uint8_t(ReplyStatus::Done));
    putImage(out, {kInstance, holds, 0, kZeros});
    out.put(neighbours);
    return out.take();
  }
  void borrow() {
    node_.nextReply = image(Holds::OnLoan);
    node_.space.checkWrite(node_.context, object_);
    EXPECT_EQ(node_.space.objectLoans().count(), 1u);
  }
  void offer(Bytes answer) {
    ByteWriter message;
    message.put(uint8_t(ObjectMessage::Offer));
    message.put(object_);
    node_.nextReply = std::move(answer);
    const auto responder = std::make_shared<AwaitedResponder>();
    node_.handler(NodeId(1), message.take(), responder);
    EXPECT_EQ(responder->answer.get_future().get(), returned({}));
  }
  /// The answer to UNLEASE.
  Bytes recall() {
    ByteWriter unlease;
    unlease.put(uint8_t(ObjectMessage::Unlease));
    unlease.put(object_);
    const auto responder = std::make_shared<AwaitedResponder>();
    std::future<Bytes> answer = responder->answer.get_future();
    node_.handler(NodeId(1), unlease.take(), responder);
    return answer.get();
  }
  uint64_t epochWord() const { return rt::header(object_)->epochWord; }
  static Bytes returned(std::initializer_list<uint8_t> rest) {
    Bytes bytes{uint8_t(ReplyStatus::Done)};
    bytes.insert(bytes.end(), rest);
    return bytes;
  }

  static constexpr uint8_t kZeros[32] = {};
  const ObjectRef object_ = LoneNode::foreign(kInstance);
  LoneNode node_;
};

TEST_F(BorrowerTest, WhatIsLentIsAsAtHomeButItsMonitorIsNot) {
  borrow();
  EXPECT_TRUE(rt::isWritableHomeEpoch(epochWord()));
  EXPECT_EQ(rt::header(object_)->lockWord & rt::kLockInflated, rt::kLockInflated);
  EXPECT_EQ(node_.context.writerSlot, 0u) << "nobody is a writer of it";
}

TEST_F(BorrowerTest, ItGoesBackAsWhatHasChanged) {
  borrow();
  EXPECT_EQ(recall(), returned({1, 0, /* no runs */ 0, 0, 0, 0}));
  EXPECT_EQ(epochWord() & ~rt::kWriterMask, rt::kEpochGivenUp);
  borrow();
  rt::storeGuest<uint64_t>(object_ + kField, 7);
  EXPECT_EQ(recall(),
            returned({1, 0, 1, 0, 0, 0, /* offset */ 24, 0, 0, 0, /* bytes */ 8, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(recall(), returned({0})) << "it is not here any more";
}

TEST_F(BorrowerTest, ARecallThatOvertakesTheLoanEndsIt) {
  std::vector<std::function<void(Result<Bytes>)>> asked;
  node_.unanswered = &asked;
  EXPECT_THROW(node_.space.checkRead(node_.context, object_), Lost);
  EXPECT_EQ(recall(), returned({0}));
  asked.front()(image(Holds::OnLoan));
  EXPECT_EQ(node_.space.objectLoans().count(), 0u);
  EXPECT_LT(epochWord(), rt::kEpochMaxStamp) << "an ordinary copy";
}

TEST_F(BorrowerTest, WhatIsOfferedIsAskedForThoughNobodyWaitsForIt) {
  offer(image(Holds::OnLoan));
  EXPECT_EQ(node_.space.objectLoans().count(), 1u);
  EXPECT_TRUE(rt::isBorrowedEpoch(epochWord()));
}

TEST_F(BorrowerTest, WhatIsOfferedAndNotLentAfterAllIsNoCopyOfUse) {
  offer(image(Holds::AsUsual));
  EXPECT_EQ(node_.space.objectLoans().count(), 0u);
  EXPECT_EQ(epochWord() & ~rt::kWriterMask, rt::kEpochGivenUp);
}

TEST_F(BorrowerTest, WhoReliesOnItBecomesAWriter) {
  borrow();
  node_.relyingOn = {object_ & kBlockMask};
  rt::storeGuest<uint64_t>(object_ + kField, 7);
  recall();
  EXPECT_NE(node_.context.writerSlot, 0u);
  rt::storeGuest<uint64_t>(object_ + kField, 8);  // by the check it made before
  Bytes flushed;
  node_.peer = [&](const Bytes& message) {
    flushed = message;
    return Bytes{uint8_t(ReplyStatus::Done), 0, 0, 0, 0};
  };
  node_.space.release(node_.context, 1);
  ASSERT_FALSE(flushed.empty());
  EXPECT_EQ(flushed[0], uint8_t(ObjectMessage::Flush));
  EXPECT_NE(std::find(flushed.begin(), flushed.end(), uint8_t(8)), flushed.end());
}

TEST_F(BorrowerTest, WhoHasWrittenItBeforeFlushesNothing) {
  node_.nextReply = image(Holds::AsUsual);
  node_.space.checkWrite(node_.context, object_);
  rt::storeGuest<uint64_t>(object_ + kField, 7);
  node_.space.acquire(node_.context, true);
  node_.peer = [&](const Bytes&) { return Bytes{uint8_t(ReplyStatus::Done), uint8_t(RefreshOutcome::SameLent)}; };
  node_.space.checkRead(node_.context, object_);
  EXPECT_EQ(node_.space.objectLoans().count(), 1u);
  node_.peer = [&](const Bytes&) -> Bytes {
    ADD_FAILURE() << "its home is asked";
    return {};
  };
  EXPECT_TRUE(node_.space.release(node_.context, 1));
  const Bytes answer = recall();
  EXPECT_EQ(answer.size(), 1u + 2 + 4 + 8 + 8) << "what was written before the loan goes back with it";
}

TEST_F(BorrowerTest, WhatCameAlongBeforeTheLoanDoesNotReplaceWhatWasGivenBack) {
  const ObjectRef other = LoneNode::foreign(kByteArray);
  std::vector<std::function<void(Result<Bytes>)>> asked;
  node_.unanswered = &asked;
  EXPECT_THROW(node_.space.checkRead(node_.context, other), Lost);
  node_.unanswered = nullptr;
  borrow();
  rt::storeGuest<uint64_t>(object_ + kField, 7);
  recall();
  ByteWriter late;
  late.append(fetchReply(kByteArray, kArrayLength, 24));
  late.patch(late.size() - 4, uint32_t(1));
  late.put(object_);
  putImage(late, {kInstance, Holds::AsUsual, 0, kZeros});
  asked.front()(late.take());
  EXPECT_EQ(node_.fatalErrors, 0);
  EXPECT_EQ(rt::loadGuest<uint64_t>(object_ + kField), 7u);
}

TEST_F(BorrowerTest, WhatComesOnLoanMustBeAWholeObject) {
  node_.nextReply = image(Holds(4));
  EXPECT_THROW(node_.space.checkRead(node_.context, object_), Lost);
  EXPECT_EQ(node_.fatalErrors, 1);
}

}  // namespace
}  // namespace jvmc::cluster
