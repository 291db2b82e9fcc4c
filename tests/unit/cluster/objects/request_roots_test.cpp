// What a request is about to store is kept alive until it is stored, though the thread has forgotten it.
#include <set>

#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

using namespace test;

std::set<ObjectRef> rootsOf(LoneNode& node) {
  std::set<ObjectRef> roots;
  node.space.visitRoots([&](ObjectRef object) { roots.insert(object); });
  return roots;
}

/// A volatile store of a reference to an object of this node, by a thread that has written to another node's object
/// before: its writes must be home first.
TEST(RequestRootsTest, AReferenceIsHeldWhileTheWritesBeforeItsStoreGoHome) {
  LoneNode node;
  node.nextReply = fetchReply(kInstance, 0, 32);
  node.space.checkWrite(node.context, LoneNode::foreign(kInstance));
  rt::storeGuest<uint64_t>(LoneNode::foreign(kInstance) + 24, 7);

  std::vector<std::function<void(Result<Bytes>)>> unanswered;
  node.unanswered = &unanswered;
  rt::SyncRequest store{};
  store.op = rt::SyncOp::Atomic;
  store.atomicOp = rt::AtomicOp::Store;
  store.object = LoneNode::local(kInstance);
  store.offset = 16;
  store.sizeLog2 = 3;
  store.isReference = true;
  store.a = LoneNode::local(kByteArray);
  EXPECT_FALSE(node.space.submit(node.context, store));
  ASSERT_EQ(unanswered.size(), 1u);
  EXPECT_TRUE(rootsOf(node).contains(store.a));
  EXPECT_EQ(node.carriedOut, 0);

  unanswered.front()(Bytes{uint8_t(ReplyStatus::Done), 0, 0, 0, 0});
  unanswered.clear();
  EXPECT_EQ(node.carriedOut, 1);
  EXPECT_FALSE(rootsOf(node).contains(store.a));
}

/// Likewise to an object of the other node: the request goes with the writes.
TEST(RequestRootsTest, WhatGoesWithTheWritesIsHeldUntilItIsCarriedOut) {
  LoneNode node;
  node.nextReply = fetchReply(kInstance, 0, 32);
  node.space.checkWrite(node.context, LoneNode::foreign(kInstance));
  rt::storeGuest<uint64_t>(LoneNode::foreign(kInstance) + 24, 7);

  std::vector<std::function<void(Result<Bytes>)>> unanswered;
  node.unanswered = &unanswered;
  rt::SyncRequest store{};
  store.op = rt::SyncOp::Atomic;
  store.atomicOp = rt::AtomicOp::Store;
  store.object = LoneNode::foreign(kInstance);
  store.offset = 16;
  store.sizeLog2 = 3;
  store.isReference = true;
  store.a = LoneNode::local(kByteArray);
  EXPECT_FALSE(node.space.submit(node.context, store));
  ASSERT_EQ(unanswered.size(), 1u);
  EXPECT_TRUE(rootsOf(node).contains(store.a));

  std::exchange(unanswered, {})
      .front()(Bytes{uint8_t(ReplyStatus::Done), 0, 0, 0, 0, /* carried out */ 1, /* not answered yet */ 0});
  EXPECT_TRUE(unanswered.empty()) << "it is not sent again";
  EXPECT_FALSE(rootsOf(node).contains(store.a));
}

}  // namespace
}  // namespace jvmc::cluster
