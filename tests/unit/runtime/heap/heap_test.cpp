// Allocation: headers, zeroed memory, large objects, limits, statics, exported objects.
#include <gmock/gmock.h>

#include <map>
#include <set>

#include "heap_fixture.h"

namespace jvmc::rt {
namespace {

TEST_F(HeapFixture, NewObjectIsZeroedAndHomedHere) {
  open();
  ObjectRef node = newNode();
  ASSERT_NE(node, kNullRef);
  EXPECT_TRUE(plan_.contains(node));
  EXPECT_EQ(header(node)->epochWord.load(), kEpochHome);
  EXPECT_EQ(classIndexOf(node), layout_->classIndex(node_));
  EXPECT_EQ(header(node)->lockWord.load(), 0u);
  for (uint32_t offset : {kLeft, kRight, kValue}) EXPECT_EQ(get(node, offset), 0u);
  EXPECT_TRUE(heap_->isLocal(node));
  EXPECT_FALSE(heap_->isLocal(plan_.end() - 8));
}

TEST_F(HeapFixture, ObjectsOfOneContextLieSideBySide) {
  open();
  ObjectRef first = newNode(), second = newNode();
  EXPECT_EQ(second - first, (*layout_)[node_].instanceBytes);
}

TEST_F(HeapFixture, ArraysOfAllSizesHoldTheirLengthAndZeros) {
  open();
  uint64_t lastEnd = 0;
  for (uint32_t length : {0u, 1u, 7u, 8u, 250u, 2000u, 4000u, 32700u, 32800u, 65512u, 65513u, 1000000u, 3u}) {
    ObjectRef array = newArray(bytes_, length);
    ASSERT_NE(array, kNullRef) << length;
    EXPECT_EQ(arrayLength(array), int32_t(length));
    for (uint32_t i = 0; i < length; ++i) ASSERT_EQ(loadGuest<int8_t>(array + kArrayElementsOffset + i), 0);
    for (uint32_t i = 0; i < length; ++i) storeGuest<int8_t>(array + kArrayElementsOffset + i, int8_t(0x55));
    lastEnd = array;
  }
  EXPECT_NE(lastEnd, 0u);
}

TEST_F(HeapFixture, MemoryIsZeroAgainAfterItWasUsed) {
  open();
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 20000; ++i) {
      ObjectRef node = newNode();
      ASSERT_EQ(get(node, kLeft) | get(node, kRight) | get(node, kValue), 0u);
      put(node, kValue, ~uint64_t(0));
      put(node, kLeft, node);
      ObjectRef array = newArray(longs_, uint32_t(i % 700));
      for (int k = 0; k < i % 700; ++k) ASSERT_EQ(get(array, element(uint32_t(k))), 0u);
      for (int k = 0; k < i % 700; ++k) put(array, element(uint32_t(k)), ~uint64_t(0));
    }
    heap_->collect(&ctx_);
  }
  EXPECT_GE(heap_->stats().collections, 4u);
}

TEST_F(HeapFixture, FullHeapCollectsAndThenSaysNo) {
  HeapOptions options;
  options.limitBytes = 8 << 20;
  open(options);
  ObjectRef chain = kNullRef;
  uint64_t nodes = 0;
  heap_->addRoots([&](const auto& visit) { visit(chain); });
  while (ObjectRef node = newNode()) {
    put(node, kLeft, chain);
    chain = node;
    ++nodes;
  }
  uint64_t bytes = nodes * (*layout_)[node_].instanceBytes;
  EXPECT_GT(bytes, options.limitBytes * 9 / 10);
  EXPECT_LE(bytes, options.limitBytes);
  EXPECT_EQ(newArray(bytes_, 100000), kNullRef);
  EXPECT_NE(heap_->allocateDetached(layout_->classIndex(pair_), 32, 0), kNullRef);  // from the reserve
  uint64_t length = 0;
  for (ObjectRef node = chain; node; node = get(node, kLeft)) ++length;
  EXPECT_EQ(length, nodes);
  chain = kNullRef;
  EXPECT_NE(newNode(), kNullRef);
}

TEST_F(HeapFixture, ArrayLargerThanARegionIsRefused) {
  HeapOptions options;
  options.limitBytes = uint64_t(8) << 30;
  open(options);
  EXPECT_EQ(newArray(longs_, 0x7fffffff), kNullRef);
  EXPECT_NE(newNode(), kNullRef);
}

TEST_F(HeapFixture, StaticsObjectsExistOnTheFirstNode) {
  open();
  ObjectRef statics = (*layout_)[node_].staticsAddress;
  EXPECT_EQ(header(statics)->epochWord.load(), kEpochHome);
  EXPECT_EQ(classIndexOf(statics), layout_->staticsIndex(node_));
  ObjectRef node = newNode();
  EXPECT_GE(node, layout_->staticsEnd());
  put(statics, (*layout_)[node_].statics[0].offset, node);
  put(node, kValue, 42);
  heap_->collect(&ctx_);
  for (int i = 0; i < 100000; ++i) put(newNode(), kValue, 1);
  EXPECT_EQ(get(node, kValue), 42u);
}

/// Statics are roots where their home is, and nowhere else.
TEST_F(HeapFixture, StaticsLeaveAndComeBack) {
  open();
  const ObjectRef statics = (*layout_)[node_].staticsAddress;
  const uint32_t field = (*layout_)[node_].statics[0].offset;
  ObjectStarts objects;
  BlockGroup group;
  world_->stop(&ctx_, [&] {
    for (const BlockGroup& each : heap_->withdraw(1 << 20))
      if (each.address <= statics && statics < each.end()) group = each;
    ASSERT_EQ(group.blocks, 1u);
    objects = heap_->objectsOf(group);
    heap_->giveAway(group);
  });
  EXPECT_EQ(objects.count(), layout_->module().classes.size());
  EXPECT_FALSE(heap_->isLocal(statics));
  heap_->collect(&ctx_);  // does not touch what is another node's now
  EXPECT_EQ(header(statics)->classWord.load(), 0u);
  objects.forEach([&](uint64_t offset) {
    ObjectHeader& arrived = *header(group.address + offset);
    arrived.classWord.store(layout_->indexCount() - 1, std::memory_order_relaxed);
    arrived.epochWord.store(kEpochHome, std::memory_order_relaxed);
  });
  header(statics)->classWord.store(layout_->staticsIndex(node_), std::memory_order_relaxed);
  heap_->adopt(group, objects, {});
  EXPECT_TRUE(heap_->isLocal(statics));
  const ObjectRef node = newNode();
  put(statics, field, node);
  put(node, kValue, 42);
  heap_->collect(&ctx_);
  for (int i = 0; i < 100000; ++i) put(newNode(), kValue, 1);
  EXPECT_EQ(get(node, kValue), 42u);
}

TEST_F(HeapFixture, DetachedAllocationsOfAllSizesAreSeparateObjects) {
  open();
  std::set<ObjectRef> seen;
  for (uint32_t length : {0u, 100u, 5000u, 100000u}) {
    ClassIndex index = layout_->arrayIndex(bytes_);
    ObjectRef array = heap_->allocateDetached(index, arrayBytes(ir::TypeKind::I8, length), length);
    EXPECT_EQ(arrayLength(array), int32_t(length));
    EXPECT_TRUE(seen.insert(array).second);
  }
}

TEST_F(HeapFixture, DetachedAllocationsAreZeroedWhenMemoryIsUsedAgain) {
  open();
  for (int round = 0; round < 3; ++round) {
    for (uint32_t length : {1000u, 200000u}) {
      ObjectRef array =
          heap_->allocateDetached(layout_->arrayIndex(bytes_), arrayBytes(ir::TypeKind::I8, length), length);
      for (uint32_t i = 0; i < length; ++i) {
        ASSERT_EQ(loadGuest<int8_t>(array + kArrayElementsOffset + i), 0) << round << " " << length << " " << i;
        storeGuest<int8_t>(array + kArrayElementsOffset + i, 1);
      }
    }
    heap_->collect(&ctx_);
  }
}

TEST_F(HeapFixture, ExportedObjectsSurviveAndArePlausible) {
  open();
  ObjectRef kept = newNode();
  put(kept, kValue, 7);
  heap_->exportObject(kept);
  heap_->exportObject(kept);
  heap_->exportObject(kNullRef);
  heap_->exportObject(plan_.end() - 16);
  EXPECT_TRUE(header(kept)->classWord.load() & kFlagExported);
  EXPECT_TRUE(heap_->plausible(kept));
  heap_->collect(&ctx_);
  for (int i = 0; i < 100000; ++i) put(newNode(), kValue, 1);
  EXPECT_EQ(get(kept, kValue), 7u);
  EXPECT_TRUE(heap_->plausible(kept));
}

TEST_F(HeapFixture, SurvivorsAreCountedByClass) {
  open();
  for (int i = 0; i < 1000; ++i) newNode();
  for (int i = 0; i < 3; ++i) heap_->exportObject(newNode());
  heap_->exportObject(newArray(longs_, 10));
  heap_->exportObject(newArray(bytes_, 1 << 20));  // a large object
  heap_->collect(&ctx_);
  std::map<ClassIndex, std::pair<uint64_t, uint64_t>> found;  // objects, bytes
  heap_->forEachSurvivor([&](ClassIndex index, uint64_t bytes) {
    ++found[index].first;
    found[index].second += bytes;
  });
  const auto counted = [&](ClassIndex index) { return found[index]; };
  const uint64_t nodeBytes = table_->infos()[layout_->classIndex(node_)]->instanceBytes;
  EXPECT_EQ(counted(layout_->classIndex(node_)), std::pair(uint64_t(3), 3 * nodeBytes));
  EXPECT_EQ(counted(layout_->arrayIndex(longs_)), std::pair(uint64_t(1), uint64_t(kArrayElementsOffset + 80)));
  EXPECT_EQ(counted(layout_->arrayIndex(bytes_)), std::pair(uint64_t(1), uint64_t(kArrayElementsOffset + (1 << 20))));
}

TEST_F(HeapFixture, PlausibleRefusesWhatCannotBeAnObject) {
  open();
  ObjectRef root = newNode();
  heap_->addRoots([&](const auto& visit) { visit(root); });
  EXPECT_TRUE(heap_->plausible(root));  // young
  heap_->collect(&ctx_);
  EXPECT_TRUE(heap_->plausible(root));  // old
  EXPECT_FALSE(heap_->plausible(root + 8));
  EXPECT_FALSE(heap_->plausible(root + 1));
  EXPECT_FALSE(heap_->plausible(kNullRef));
  EXPECT_FALSE(heap_->plausible(8));
  EXPECT_FALSE(heap_->plausible(plan_.end()));
  EXPECT_FALSE(heap_->plausible(plan_.base));
  EXPECT_FALSE(heap_->plausible(plan_.base + (512 << 20)));                // ours, never used
  EXPECT_TRUE(heap_->plausible(plan_.regionBase(plan_.regionCount - 1)));  // could be a cached copy
  EXPECT_TRUE(heap_->plausible((*layout_)[node_].staticsAddress));
}

TEST_F(HeapFixture, BarrierHookCountsWhenAskedTo) {
  HeapOptions options;
  options.countBarriers = true;
  open(options);
  EXPECT_EQ(ctx_.barrierFlags.load(), kBarrierCount);
  ObjectRef node = newNode();
  heap_->onBarrier(&ctx_, node, kLeft, node);
  EXPECT_EQ(heap_->stats().barrierCalls, 1u);
}

TEST_F(HeapFixture, RefusedMappingIsExplained) {
  open();
  auto second = Heap::tryCreate(*layout_, table_->infos(), *world_, *regions_, {}, true);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, ::testing::HasSubstr("another mapping"));
}

TEST_F(HeapFixture, RetiredAreaIsUsedAgain) {
  open();
  ThreadContext other;
  world_->enter(other);
  ObjectRef first = newNode(other);
  heap_->retire(other);
  EXPECT_EQ(other.allocCursor, other.allocLimit);
  ObjectRef second = newNode(other);
  EXPECT_EQ(second - first, (*layout_)[node_].instanceBytes);
  EXPECT_EQ(get(second, kLeft), 0u);
  heap_->retire(other);
  world_->leave(other);
  world_->remove(other);
}

}  // namespace
}  // namespace jvmc::rt
