// The collector: what is reachable stays as it was, what is not is used again. Zeal fills dead objects, so that a
// missed root shows as a wrong epoch.
#include <sys/mman.h>

#include "../heap/heap_fixture.h"
#include "runtime/fiber/fiber.h"

namespace jvmc::rt {
namespace {

/// Zeal that poisons, but collects only when the test asks for it.
constexpr uint64_t kPoisonOnly = uint64_t(1) << 40;

bool isAlive(ObjectRef ref) {
  return header(ref)->epochWord.load() == kEpochHome;
}

class CollectorTest : public HeapFixture {
 protected:
  void openPoisoning() {
    HeapOptions options;
    options.collectEvery = kPoisonOnly;
    open(options);
  }
  void collect() { heap_->collect(&ctx_); }
};

TEST_F(CollectorTest, UnreachableObjectsAreFilledInZealAndReachableOnesKept) {
  openPoisoning();
  ObjectRef root = newNode(), child = newNode(), dead = newNode();
  ObjectRef deadLarge = newArray(bytes_, 100000);
  heap_->addRoots([&](const auto& visit) { visit(root); });
  put(root, kRight, child);
  collect();
  EXPECT_TRUE(isAlive(root));
  EXPECT_TRUE(isAlive(child));
  EXPECT_EQ(header(dead)->epochWord.load(), kEpochInvalid);
  EXPECT_EQ(get(dead, kValue), 0xDBDBDBDBDBDBDBDBu);
  EXPECT_EQ(header(deadLarge)->epochWord.load(), kEpochInvalid);
}

TEST_F(CollectorTest, WhatAWordMayReferToStaysAndOtherWordsDoNoHarm) {
  openPoisoning();
  const ObjectRef first = newNode(), second = newNode();
  std::vector<uint64_t> words{first, second, 0, 1, 0xDBDBDBDBDBDBDBDB, plan_.end() - 64, plan_.base - 8};
  heap_->addWords([&](const auto& visit) {
    for (uint64_t word : words) visit(word);
  });
  heap_->collectYoung(&ctx_);
  EXPECT_TRUE(isAlive(first));
  EXPECT_TRUE(isAlive(second));
  words.erase(words.begin() + 1);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Begin);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Mark);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Finish);
  EXPECT_TRUE(isAlive(first));
  collect();
  EXPECT_TRUE(isAlive(first));
  EXPECT_FALSE(isAlive(second));
}

TEST_F(CollectorTest, CyclesDie) {
  openPoisoning();
  ObjectRef a = newNode(), b = newNode();
  put(a, kLeft, b);
  put(b, kLeft, a);
  collect();
  EXPECT_FALSE(isAlive(a));
  EXPECT_FALSE(isAlive(b));
}

TEST_F(CollectorTest, ReferencesIntoForeignRegionsAreLeftAlone) {
  openPoisoning();
  ObjectRef root = newNode();
  heap_->addRoots([&](const auto& visit) {
    visit(root);
    visit(plan_.end() - 64);
  });
  put(root, kLeft, plan_.regionBase(plan_.regionCount - 1) + 128);
  collect();
  EXPECT_TRUE(isAlive(root));
}

TEST_F(CollectorTest, VeryLongListNeedsNoNativeStack) {
  open();
  ObjectRef head = kNullRef;
  heap_->addRoots([&](const auto& visit) { visit(head); });
  for (int i = 0; i < 1000000; ++i) {
    ObjectRef node = newNode();
    put(node, kLeft, head);
    put(node, kValue, uint64_t(i));
    head = node;
  }
  collect();
  int expected = 999999;
  for (ObjectRef node = head; node; node = get(node, kLeft)) ASSERT_EQ(get(node, kValue), uint64_t(expected--));
  EXPECT_EQ(expected, -1);
}

TEST_F(CollectorTest, ElementsOfALargeReferenceArrayAreKept) {
  openPoisoning();
  constexpr uint32_t kLength = 200000;
  ObjectRef array = newArray(objects_, kLength);
  heap_->addRoots([&](const auto& visit) { visit(array); });
  for (uint32_t i = 0; i < kLength; i += 3) put(array, element(i), newNode());
  collect();
  for (uint32_t i = 0; i < kLength; i += 3) ASSERT_TRUE(isAlive(get(array, element(i)))) << i;
}

TEST_F(CollectorTest, DeadLargeObjectsMakeRoomForOthers) {
  HeapOptions options;
  options.limitBytes = 16 << 20;
  open(options);
  for (int i = 0; i < 300; ++i) {
    ObjectRef array = newArray(bytes_, 3 << 20);
    ASSERT_NE(array, kNullRef) << i;
    ASSERT_EQ(loadGuest<int8_t>(array + kArrayElementsOffset + (3 << 20) - 1), 0);
    storeGuest<int8_t>(array + kArrayElementsOffset + (3 << 20) - 1, 1);
  }
  EXPECT_GT(heap_->stats().collections, 50u);
}

TEST_F(CollectorTest, HolesBetweenSurvivorsAreUsedAgain) {
  HeapOptions options;
  options.limitBytes = 32 << 20;
  open(options);
  std::vector<ObjectRef> kept;
  heap_->addRoots([&](const auto& visit) {
    for (ObjectRef ref : kept) visit(ref);
  });
  // One survivor every 2 KiB: every block stays in use, and most of each is holes.
  for (int i = 0; i < 1000000; ++i) {
    ObjectRef node = newNode();
    ASSERT_NE(node, kNullRef) << i;
    put(node, kValue, uint64_t(i));
    if (i % 50 == 0 && kept.size() < 10000) kept.push_back(node);
  }
  for (size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(get(kept[i], kValue), 50 * i);
}

TEST_F(CollectorTest, MemoryOfIdleBlocksGoesBackToTheSystem) {
  open();
  constexpr size_t kBytes = 8 << 20;
  ObjectRef array = newArray(bytes_, kBytes);
  for (size_t i = 0; i < kBytes; i += 4096) storeGuest<int8_t>(array + kArrayElementsOffset + i, 1);
  auto residentPages = [&] {
    std::vector<unsigned char> pages(kBytes / 4096);
    EXPECT_EQ(mincore(reinterpret_cast<void*>(array & ~uint64_t(4095)), kBytes, pages.data()), 0);
    return std::count(pages.begin(), pages.end(), 1);
  };
  EXPECT_EQ(residentPages(), ptrdiff_t(kBytes / 4096));
  for (int i = 0; i < 4; ++i) collect();
  EXPECT_EQ(residentPages(), 0);
}

// ---------------------------------------------------------------- native stacks

/// Calls body() and returns what it gives, with its frame well below the caller's, then wipes that part of the stack.
template <class Body>
[[gnu::noinline]] auto inDeadFrame(Body body) {
  auto result = body();
  volatile char wipe[2048];
  for (volatile char& byte : wipe) byte = 0;
  return result;
}

class StackRootTest : public CollectorTest {
 protected:
  StackRootTest() : pool_(FiberPool::create({})) {}

  /// Runs `body` on a fiber, in guest code, with its context.
  void onFiber(const std::function<void(Fiber&, ThreadContext&)>& body) {
    Fiber* fiber = pool_->acquire();
    ThreadContext& ctx = fiber->context();
    world_->leave(ctx_);  // it does not poll meanwhile
    bool done = fiber->start([&] {
      world_->enter(ctx);
      body(*fiber, ctx);
      heap_->retire(ctx);
      world_->leave(ctx);
    });
    while (!done) {
      heap_->collect(nullptr);  // the fiber is suspended: what it left behind must be enough
      done = fiber->resume();
    }
    world_->remove(ctx);
    pool_->release(fiber);
    world_->enter(ctx_);
  }

  std::unique_ptr<FiberPool> pool_;
};

TEST_F(StackRootTest, ReferenceOnTheRunningStackKeepsItsObject) {
  openPoisoning();
  onFiber([&](Fiber&, ThreadContext& ctx) {
    volatile ObjectRef node = newNode(ctx);
    heap_->collect(&ctx);
    EXPECT_TRUE(isAlive(node));
  });
}

TEST_F(StackRootTest, InteriorPointersKeepTheirObject) {
  openPoisoning();
  onFiber([&](Fiber&, ThreadContext& ctx) {
    // Small and large objects, pointed to in their middle and right behind their end.
    for (uint32_t length : {3u, 500u, 100000u}) {
      for (bool atEnd : {false, true}) {
        uint64_t bytes = arrayBytes(ir::TypeKind::I8, length);
        uint64_t shift = atEnd ? bytes : bytes / 2;
        volatile uint64_t interior =
            inDeadFrame([&] { return heap_->allocateArray(ctx, layout_->arrayIndex(bytes_), length) + shift; });
        heap_->collect(&ctx);
        ObjectRef ref = interior - shift;
        EXPECT_TRUE(isAlive(ref)) << length << " " << atEnd;
        EXPECT_EQ(arrayLength(ref), int32_t(length));
      }
    }
  });
}

TEST_F(StackRootTest, SuspendedFiberKeepsItsObjectsAlsoThoseInRegisters) {
  openPoisoning();
  onFiber([&](Fiber& fiber, ThreadContext& ctx) {
    volatile ObjectRef onStack = newNode(ctx);
    ObjectRef inRegister = newNode(ctx);
    asm volatile("" : "+r"(inRegister));
    for (int i = 0; i < 3; ++i) {
      world_->leave(ctx);
      fiber.suspend();
      world_->enter(ctx);
      EXPECT_TRUE(isAlive(onStack));
      EXPECT_TRUE(isAlive(inRegister));
    }
  });
}

TEST_F(StackRootTest, RandomWordsOnTheStackAreHarmless) {
  openPoisoning();
  onFiber([&](Fiber&, ThreadContext& ctx) {
    volatile uint64_t words[512];
    uint64_t random = 88172645463325252u;
    ObjectRef near = newNode(ctx);
    for (int round = 0; round < 50; ++round) {
      for (size_t i = 0; i < 512; ++i) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        words[i] = i % 2 ? random : near - (1 << 20) + random % (4 << 20);
      }
      heap_->collect(&ctx);
      (void)newNode(ctx);
    }
    EXPECT_NE(words[0], 1u);
  });
}

}  // namespace
}  // namespace jvmc::rt
