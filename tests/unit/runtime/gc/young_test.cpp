// Young collections: old objects stay without being looked at, young ones live if a root or a logged place says so.
#include <chrono>
#include <set>

#include "../heap/heap_fixture.h"

namespace jvmc::rt {
namespace {

bool isAlive(ObjectRef ref) {
  return header(ref)->epochWord.load() == kEpochHome;
}

/// Zeal that poisons and checks, but collects only when the test asks for it.
class YoungTest : public HeapFixture {
 protected:
  void SetUp() override {
    HeapOptions options;
    options.collectEvery = uint64_t(1) << 40;
    options.background = false;
    open(options);
    heap_->addRoots([this](const auto& visit) {
      for (ObjectRef ref : roots_) visit(ref);
    });
  }
  void young() { heap_->collectYoung(&ctx_); }
  ObjectRef oldNode() {
    ObjectRef node = newNode();
    roots_.push_back(node);
    young();
    return node;
  }

  std::vector<ObjectRef> roots_;
};

TEST_F(YoungTest, YoungGarbageGoesAndSurvivorsStay) {
  ObjectRef kept = newNode(), child = newNode(), dead = newNode();
  put(kept, kLeft, child);
  roots_ = {kept};
  young();
  EXPECT_TRUE(isAlive(kept));
  EXPECT_TRUE(isAlive(child));
  EXPECT_FALSE(isAlive(dead));
}

TEST_F(YoungTest, OldGarbageWaitsForAFullCollection) {
  ObjectRef node = oldNode();
  roots_.clear();
  young();
  EXPECT_TRUE(isAlive(node));
  heap_->collect(&ctx_);
  EXPECT_FALSE(isAlive(node));
}

TEST_F(YoungTest, AStoreIntoAnOldObjectKeepsTheYoungOne) {
  ObjectRef old = oldNode();
  for (int round = 0; round < 3; ++round) {  // the place is logged anew after each collection
    ObjectRef child = newNode(), grandchild = newNode();
    put(old, kLeft, child);
    put(child, kRight, grandchild);
    young();
    EXPECT_TRUE(isAlive(child));
    EXPECT_TRUE(isAlive(grandchild));
  }
}

TEST_F(YoungTest, OnlyStoresIntoOldObjectsNeedTheBarrier) {
  ObjectRef node = newNode();
  EXPECT_FALSE(needsBarrier(&ctx_, node));
  roots_ = {node};
  young();
  EXPECT_TRUE(needsBarrier(&ctx_, node));
  EXPECT_TRUE(needsBarrier(&ctx_, (*layout_)[node_].staticsAddress));
}

TEST_F(YoungTest, AYoungObjectThatWasReplacedInAnOldOneIsGarbage) {
  ObjectRef old = oldNode();
  ObjectRef first = newNode(), second = newNode();
  put(old, kLeft, first);
  put(old, kLeft, second);
  young();
  EXPECT_FALSE(isAlive(first));
  EXPECT_TRUE(isAlive(second));
}

TEST_F(YoungTest, ElementsOfOldArraysAndStaticsCount) {
  ObjectRef array = newArray(objects_, 100000);
  roots_ = {array};
  young();
  ObjectRef element = newNode(), inStatics = newNode();
  put(array, HeapFixture::element(99999), element);
  put((*layout_)[node_].staticsAddress, (*layout_)[node_].statics[0].offset, inStatics);
  young();
  EXPECT_TRUE(isAlive(element));
  EXPECT_TRUE(isAlive(inStatics));
}

TEST_F(YoungTest, NewlyExportedObjectsSurvive) {
  ObjectRef node = newNode();
  heap_->exportObject(node);
  young();
  EXPECT_TRUE(isAlive(node));
}

TEST_F(YoungTest, StoresOfRuntimeThreadsCountToo) {
  ObjectRef old = oldNode(), child = newNode();
  heap_->onBarrier(nullptr, old, kLeft, child);
  storeGuest<uint64_t>(old + kLeft, child);
  young();
  EXPECT_TRUE(isAlive(child));
}

TEST_F(YoungTest, WhatALeavingContextHasLoggedIsNotLost) {
  ObjectRef old = oldNode(), child = newNode();
  ThreadContext other;
  world_->enter(other);
  heap_->onBarrier(&other, old, kLeft, child);
  storeGuest<uint64_t>(old + kLeft, child);
  heap_->retire(other);
  world_->leave(other);
  world_->remove(other);
  young();
  EXPECT_TRUE(isAlive(child));
}

TEST_F(YoungTest, LargeYoungObjectsLiveAndDieLikeSmallOnes) {
  ObjectRef old = oldNode();
  ObjectRef kept = newArray(objects_, 20000), dead = newArray(objects_, 20000), element = newNode();
  put(kept, HeapFixture::element(19999), element);
  put(old, kLeft, kept);
  young();
  EXPECT_TRUE(isAlive(kept));
  EXPECT_TRUE(isAlive(element));
  EXPECT_FALSE(isAlive(dead));
}

TEST_F(YoungTest, MoreStoresThanABufferHolds) {
  constexpr uint32_t kLength = 5000;
  ObjectRef array = newArray(objects_, kLength);
  roots_ = {array};
  young();
  for (uint32_t i = 0; i < kLength; ++i) put(array, element(i), newNode());
  young();
  for (uint32_t i = 0; i < kLength; ++i) ASSERT_TRUE(isAlive(get(array, element(i)))) << i;
}

/// Nothing is allocated any more, yet the log does not grow without bound.
TEST_F(HeapFixture, ManyLoggedPlacesBringACollection) {
  HeapOptions options;
  open(options);
  constexpr uint32_t kLength = 2'000'000;  // 16 MB: stores are logged
  ObjectRef array = newArray(objects_, kLength);
  heap_->addRoots([&](const auto& visit) { visit(array); });
  heap_->collect(&ctx_);
  ASSERT_NE(ctx_.barrierFlags.load() & kBarrierYoung, 0u);
  ObjectRef child = newNode();
  const uint64_t before = heap_->stats().collections;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  uint32_t next = 0;
  while (heap_->stats().collections == before && std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 1000 && next < kLength; ++i) put(array, element(next++), child);
    world_->safepoint(ctx_);
  }
  EXPECT_EQ(heap_->stats().collections, before + 1);
  EXPECT_EQ(heap_->stats().fullCollections, 1u);
  EXPECT_EQ(get(array, element(0)), child);
  EXPECT_TRUE(heap_->plausible(child));
}

/// A small heap logs no stores. Moving blocks away must not take that for "nothing young is referred to".
TEST_F(HeapFixture, WithdrawingASmallHeapKeepsWhatOldObjectsReferTo) {
  HeapOptions options;
  options.background = false;
  open(options);
  ObjectRef old = newNode();
  heap_->addRoots([&](const auto& visit) { visit(old); });
  heap_->collect(&ctx_);
  ASSERT_EQ(ctx_.barrierFlags.load(), 0u);
  ObjectRef child = newNode();
  put(old, kLeft, child);
  std::set<ObjectRef> leaving;
  world_->stop(&ctx_, [&] {
    for (const BlockGroup& group : heap_->withdraw(1 << 20))
      heap_->objectsOf(group).forEach([&](uint64_t offset) { leaving.insert(group.address + offset); });
  });
  std::erase_if(leaving, [&](ObjectRef ref) { return ref < layout_->staticsEnd(); });
  EXPECT_EQ(leaving, (std::set<ObjectRef>{old, child}));
}

/// A heap that has grown collects young ones by itself, and full ones seldom.
TEST_F(HeapFixture, ALargeHeapIsCollectedYoung) {
  HeapOptions options;
  options.background = false;
  open(options);
  ObjectRef chain = kNullRef;
  heap_->addRoots([&](const auto& visit) { visit(chain); });
  for (int i = 0; i < 1000000; ++i) {
    ObjectRef node = newNode();
    put(node, kLeft, chain);
    chain = node;
  }
  HeapStats before = heap_->stats();
  EXPECT_NE(ctx_.barrierFlags.load() & kBarrierYoung, 0u);
  for (int i = 0; i < 5000000; ++i) newNode();
  HeapStats after = heap_->stats();
  EXPECT_GT(after.collections, before.collections);
  EXPECT_EQ(after.fullCollections, before.fullCollections);
  int length = 0;
  for (ObjectRef node = chain; node; node = get(node, kLeft)) ++length;
  EXPECT_EQ(length, 1000000);
}

}  // namespace
}  // namespace jvmc::rt
