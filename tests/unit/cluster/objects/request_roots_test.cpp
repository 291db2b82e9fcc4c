// What a request is about to store is kept alive until it is stored, though the thread has forgotten it.
#include <set>

#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

using namespace test;

/// A volatile store of a reference to an object of this node, by a thread that has written to another node's object
/// before: its writes must be home first.
class RequestRootsTest : public testing::Test {
 protected:
  void storeTo(ObjectRef object) {
    node_.nextReply = fetchReply(kInstance, 0, 32);
    node_.space.checkWrite(node_.context, LoneNode::foreign(kInstance));
    rt::storeGuest<uint64_t>(LoneNode::foreign(kInstance) + 24, 7);
    node_.unanswered = &unanswered_;
    rt::SyncRequest store{};
    store.op = rt::SyncOp::Atomic;
    store.atomicOp = rt::AtomicOp::Store;
    store.object = object;
    store.offset = 16;
    store.sizeLog2 = 3;
    store.isReference = true;
    store.a = stored_;
    EXPECT_FALSE(node_.space.submit(node_.context, store));
    ASSERT_EQ(unanswered_.size(), 1u);
    EXPECT_TRUE(isStoredHeld());
    EXPECT_EQ(node_.carriedOut, 0);
  }
  /// Of the only request; nothing of it is left afterwards.
  void answer(Bytes reply) { std::exchange(unanswered_, {}).front()(std::move(reply)); }
  bool isStoredHeld() {
    std::set<ObjectRef> roots;
    node_.space.visitRoots([&](ObjectRef object) { roots.insert(object); });
    return roots.contains(stored_);
  }

  const ObjectRef stored_ = LoneNode::local(kByteArray);
  LoneNode node_;
  std::vector<std::function<void(Result<Bytes>)>> unanswered_;
};

TEST_F(RequestRootsTest, AReferenceIsHeldWhileTheWritesBeforeItsStoreGoHome) {
  storeTo(LoneNode::foreign(kInstance));
  node_.homes.set(LoneNode::foreign(kInstance) & ~uint64_t(rt::kBlockBytes - 1), {NodeId(0), HomeState::Settled, 1});
  answer({uint8_t(ReplyStatus::Done), 0, 0, 0, 0, /* not carried out: the object has come here meanwhile */ 0});
  EXPECT_EQ(node_.carriedOut, 1);
  EXPECT_FALSE(isStoredHeld());
}

TEST_F(RequestRootsTest, WhatGoesWithTheWritesIsHeldUntilItIsCarriedOut) {
  storeTo(LoneNode::foreign(kInstance));
  answer({uint8_t(ReplyStatus::Done), 0, 0, 0, 0, /* carried out */ 1, /* not answered yet */ 0});
  EXPECT_TRUE(unanswered_.empty()) << "it is not sent again";
  EXPECT_FALSE(isStoredHeld());
}

}  // namespace
}  // namespace jvmc::cluster
