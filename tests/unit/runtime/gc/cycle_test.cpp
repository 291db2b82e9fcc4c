// The concurrent cycle, a step at a time, with what the program may do between the steps; then with its own thread
// beside mutators. Zeal's second marking checks each step too.
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <thread>

#include "../heap/heap_fixture.h"

namespace jvmc::rt {
namespace {

using Step = Heap::CycleStep;

bool isAlive(ObjectRef ref) {
  return header(ref)->epochWord.load() == kEpochHome;
}

class CycleTest : public HeapFixture {
 protected:
  void SetUp() override {
    HeapOptions options;
    options.collectEvery = uint64_t(1) << 40;  // poison and checks, but collections only by hand
    options.background = false;
    options.phaseOver = [this](HeapPhase phase, int64_t begin, int64_t end) { phases_.push_back({phase, begin, end}); };
    open(options);
    heap_->addRoots([this](const auto& visit) {
      for (ObjectRef ref : roots_) visit(ref);
    });
  }
  void step(Step what) { heap_->stepCycle(&ctx_, what); }
  void young() { heap_->collectYoung(&ctx_); }
  /// Takes memory until what the cycle has left to sweep is swept.
  void finish() {
    step(Step::Finish);
    young();
  }
  /// a -> b -> c, all old, a is a root.
  void makeOldChain() {
    a_ = newNode(), b_ = newNode(), c_ = newNode();
    put(a_, kLeft, b_);
    put(b_, kLeft, c_);
    roots_ = {a_};
    young();
  }

  struct Phase {
    HeapPhase phase;
    int64_t begin, end;
  };
  std::vector<Phase> phases_;
  std::vector<ObjectRef> roots_;
  ObjectRef a_ = kNullRef, b_ = kNullRef, c_ = kNullRef;
};

TEST_F(CycleTest, EachPhaseIsToldWhenItIsOver) {
  makeOldChain();
  phases_.clear();
  step(Step::Begin);
  step(Step::Mark);
  young();
  step(Step::Mark);
  finish();
  std::vector<HeapPhase> told;
  for (const Phase& each : phases_) {
    told.push_back(each.phase);
    EXPECT_LE(each.begin, each.end);
  }
  // What goes on beside pauses is told of after the pause that ends it.
  ASSERT_EQ(told, (std::vector{HeapPhase::BeginCycle, HeapPhase::Young, HeapPhase::FinishCycle, HeapPhase::Marking,
                               HeapPhase::Young, HeapPhase::Sweeping}));
  EXPECT_GE(phases_[3].begin, phases_[0].end);
  EXPECT_LE(phases_[3].end, phases_[2].begin);
  EXPECT_GE(phases_[5].begin, phases_[2].end);
  EXPECT_LE(phases_[5].end, phases_[4].begin);
}

TEST_F(CycleTest, OldGarbageIsFreedAndTheLivingStay) {
  makeOldChain();
  put(a_, kLeft, kNullRef);
  step(Step::Begin);
  step(Step::Mark);
  finish();
  EXPECT_TRUE(isAlive(a_));
  EXPECT_FALSE(isAlive(b_));
  EXPECT_FALSE(isAlive(c_));
  EXPECT_EQ(heap_->stats().cycles, 1u);
}

TEST_F(CycleTest, BarrierIsOnWhileMarkingOnly) {
  EXPECT_EQ(ctx_.barrierFlags.load(), kBarrierYoung);
  step(Step::Begin);
  EXPECT_EQ(ctx_.barrierFlags.load(), kBarrierYoung | kBarrierMarking);
  step(Step::Finish);
  EXPECT_EQ(ctx_.barrierFlags.load(), kBarrierYoung);
}

TEST_F(CycleTest, WhatWasReachableWhenItBeganIsKept) {
  makeOldChain();
  step(Step::Begin);
  put(b_, kLeft, kNullRef);  // not looked at yet: only the barrier knows of c now
  roots_.push_back(c_);      // and the program still has it
  step(Step::Mark);
  finish();
  EXPECT_TRUE(isAlive(c_));
  EXPECT_TRUE(isAlive(b_));
}

TEST_F(CycleTest, AReferenceMovedBehindTheMarkersBackIsKept) {
  makeOldChain();
  step(Step::Begin);
  step(Step::Mark);
  // Marked already; then a store moves a chain of unmarked objects from one place to another.
  ObjectRef carrier = newNode();
  roots_.push_back(carrier);
  put(carrier, kRight, get(b_, kLeft));
  put(b_, kLeft, kNullRef);
  finish();
  EXPECT_TRUE(isAlive(carrier));
  EXPECT_TRUE(isAlive(c_));
}

TEST_F(CycleTest, LogsOfTheLastMomentAreMarkedInThePause) {
  makeOldChain();
  step(Step::Begin);
  ObjectRef hidden = get(a_, kLeft);
  put(a_, kLeft, kNullRef);
  roots_.push_back(hidden);
  finish();  // no marking in between
  EXPECT_TRUE(isAlive(b_));
  EXPECT_TRUE(isAlive(c_));
}

TEST_F(CycleTest, ObjectsMadeWhileMarkingAreKept) {
  makeOldChain();
  step(Step::Begin);
  ObjectRef made = newNode(), large = newArray(objects_, 20000), inLarge = newNode();
  put(c_, kRight, made);
  put(made, kLeft, large);
  put(large, element(17), inLarge);
  step(Step::Mark);
  young();  // survivors become old in the middle of the cycle
  ObjectRef later = newNode();
  put(inLarge, kLeft, later);
  step(Step::Mark);
  finish();
  for (ObjectRef ref : {a_, b_, c_, made, large, inLarge, later}) EXPECT_TRUE(isAlive(ref));
  young();
  heap_->collect(&ctx_);
  for (ObjectRef ref : {a_, b_, c_, made, large, inLarge, later}) EXPECT_TRUE(isAlive(ref));
}

TEST_F(CycleTest, MemoryThatDiesYoungDuringACycleIsUsedAgain) {
  makeOldChain();
  step(Step::Begin);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3000; ++i) put(newNode(), kValue, ~uint64_t(0));
    young();
  }
  step(Step::Mark);
  finish();
  EXPECT_TRUE(isAlive(c_));
  ObjectRef fresh = newNode();
  EXPECT_EQ(get(fresh, kValue), 0u);
}

TEST_F(CycleTest, AFullCollectionAbandonsACycle) {
  makeOldChain();
  step(Step::Begin);
  step(Step::Mark);
  put(b_, kLeft, kNullRef);
  heap_->collect(&ctx_);
  EXPECT_TRUE(isAlive(b_));
  EXPECT_FALSE(isAlive(c_));
  step(Step::Finish);  // nothing to finish: a young collection
  EXPECT_EQ(heap_->stats().cycles, 0u);
  step(Step::Begin);
  step(Step::Mark);
  finish();
  EXPECT_TRUE(isAlive(a_));
  EXPECT_TRUE(isAlive(b_));
}

TEST_F(CycleTest, ExportedObjectsAndStaticsAreRoots) {
  ObjectRef exported = newNode(), child = newNode(), inStatics = newNode(), dead = newNode();
  put(exported, kLeft, child);
  put((*layout_)[node_].staticsAddress, (*layout_)[node_].statics[0].offset, inStatics);
  heap_->exportObject(exported);
  roots_ = {dead};
  young();
  roots_.clear();
  step(Step::Begin);
  step(Step::Mark);
  finish();
  EXPECT_TRUE(isAlive(exported));
  EXPECT_TRUE(isAlive(child));
  EXPECT_TRUE(isAlive(inStatics));
  EXPECT_FALSE(isAlive(dead));
}

TEST_F(CycleTest, RuntimeThreadsLogWhatTheyOverwrite) {
  makeOldChain();
  step(Step::Begin);
  heap_->onBarrier(nullptr, b_, kLeft, kNullRef);
  storeGuest<uint64_t>(b_ + kLeft, kNullRef);
  roots_.push_back(c_);
  finish();
  EXPECT_TRUE(isAlive(c_));
}

// ---------------------------------------------------------------- with its thread, beside mutators

/// Chains of nodes in an array that mutators cut and join at random, with garbage in between. Each node holds the
/// number of the slot that it was made for. Dead objects are poisoned, so that who meets one sees it.
class ConcurrentStress : public HeapFixture {
 protected:
  static constexpr uint32_t kSlots = 1 << 16, kContestedStep = 1 << 13, kChain = 4, kMutators = 3;

  void mutate(uint32_t seed, int steps) {
    ThreadContext ctx;
    ctx.stackTop = uint64_t(__builtin_frame_address(0)) + 64;
    world_->enter(ctx);
    work(ctx, seed, steps);
    heap_->retire(ctx);
    world_->leave(ctx);
    world_->remove(ctx);
  }

  [[gnu::noinline]] void work(ThreadContext& ctx, uint32_t seed, int steps) {
    std::mt19937 random(seed);
    for (int i = 0; i < steps; ++i) {
      uint32_t from = pick(random), to = pick(random);
      if (i % 4 == 0) {
        put(ctx, array_, element(from), makeChain(ctx, from));
      } else if (ObjectRef chain = get(array_, element(from))) {
        ASSERT_TRUE(isNode(chain)) << from;
        // Cuts the chain and puts its rest somewhere else: the classic way to hide an object from a marker.
        ObjectRef rest = get(chain, kLeft);
        put(ctx, chain, kLeft, kNullRef);
        if (rest) put(ctx, array_, element(to), rest);
      }
      if (ctx.pollLimit.load(std::memory_order_relaxed) == kPollRequested) {
        ctx.pollLimit.store(0, std::memory_order_relaxed);
        world_->safepoint(ctx);
      }
    }
  }

  /// The contested slots lie all over the array: a marker comes to some soon and to others late.
  uint32_t pick(std::mt19937& random) const {
    const uint32_t slot = uint32_t(random()) % kSlots;
    return isContested_ && random() % 2 == 0 ? slot / kContestedStep * kContestedStep : slot;
  }

  static bool isNode(ObjectRef ref) { return isAlive(ref) && get(ref, kValue) - kMagic < kSlots; }

  ObjectRef makeChain(ThreadContext& ctx, uint64_t value) {
    volatile ObjectRef chain = kNullRef;
    for (uint32_t i = 0; i < kChain; ++i) {
      ObjectRef node = newNode(ctx);
      put(ctx, node, kValue, kMagic + value);
      put(ctx, node, kLeft, chain);
      chain = node;
    }
    return chain;
  }

  /// `meanwhile` is called again and again, outside of guest code, until the mutators are done.
  void runMutators(HeapOptions options, int steps, const std::function<void()>& meanwhile = {}) {
    options.poison = true;
    open(options);
    array_ = newArray(objects_, kSlots);
    heap_->addRoots([this](const auto& visit) { visit(array_); });
    world_->leave(ctx_);
    std::vector<std::thread> threads;
    std::atomic<uint32_t> running{kMutators};
    for (uint32_t t = 0; t < kMutators; ++t) {
      threads.emplace_back([this, t, steps, &running] {
        mutate(t, steps);
        --running;
      });
    }
    while (meanwhile && running > 0) meanwhile();
    for (auto& thread : threads) thread.join();
    world_->enter(ctx_);
    for (uint32_t i = 0; i < kSlots; ++i)
      for (ObjectRef node = get(array_, element(i)); node; node = get(node, kLeft)) ASSERT_TRUE(isNode(node)) << i;
  }

  static constexpr uint64_t kMagic = uint64_t(0x5EED) << 32;
  ObjectRef array_ = kNullRef;
  bool isContested_ = false;  ///< every second access goes to one of a few slots
};

TEST_F(ConcurrentStress, MutatorsCutAndJoinWhileTheHeapsThreadMarks) {
  HeapOptions options;
  options.limitBytes = 96 << 20;
  runMutators(options, 1500000);
  EXPECT_GT(heap_->stats().collections, 5u);
}

TEST_F(ConcurrentStress, TheSameWithCollectionsInTurn) {
  HeapOptions options;
  options.collectEvery = 2000;
  runMutators(options, 20000);
  HeapStats stats = heap_->stats();
  EXPECT_GT(stats.cycles, 0u);
  EXPECT_GT(stats.fullCollections, 0u);
  EXPECT_GT(stats.collections, stats.cycles + stats.fullCollections);
}

/// Stores to the same place race, two barriers before two stores, while references go to and from such places. One
/// cycle follows another.
TEST_F(ConcurrentStress, MutatorsRaceForFewPlacesWhileTheHeapsThreadMarks) {
  isContested_ = true;
  HeapOptions options;
  options.limitBytes = 96 << 20;
  runMutators(options, 1500000, [this] {
    heap_->stepCycle(nullptr, Step::Begin);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  EXPECT_GT(heap_->stats().cycles, 0u);
}

/// Old objects die one by one: only a full marking finds them.
TEST_F(ConcurrentStress, OldGarbageStartsCyclesByItself) {
  constexpr uint32_t kLength = 1 << 20;
  open({});
  ObjectRef array = newArray(objects_, kLength);
  heap_->addRoots([&](const auto& visit) { visit(array); });
  std::mt19937 random(1);
  for (int i = 0; i < 20000000; ++i) {
    if (i % 65536 == 0 && heap_->stats().cycles >= 2) break;
    uint32_t slot = random() % kLength;
    ObjectRef node = newNode();
    put(node, kValue, slot);
    put(array, element(slot), node);
    if (ctx_.pollLimit.load(std::memory_order_relaxed) == kPollRequested) {
      ctx_.pollLimit.store(0, std::memory_order_relaxed);
      world_->safepoint(ctx_);
    }
  }
  EXPECT_GE(heap_->stats().cycles, 2u);
  for (uint32_t slot = 0; slot < kLength; ++slot) {
    ObjectRef node = get(array, element(slot));
    if (node) {
      ASSERT_EQ(get(node, kValue), slot) << slot;
    }
  }
}

}  // namespace
}  // namespace jvmc::rt
