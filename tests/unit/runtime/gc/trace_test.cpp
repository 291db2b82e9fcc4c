// One node's part of a cluster-wide collection, without others: what its own roots, and what other nodes say they have
// hold of, lead to.
#include "runtime/gc/trace.h"

#include "../heap/heap_fixture.h"

namespace jvmc::rt {
namespace {

bool isAlive(ObjectRef ref) {
  return header(ref)->epochWord.load() == kEpochHome;
}

/// All homes but this node's own lie elsewhere; no copies are here, unless a test makes one.
class Alone final : public TraceHost {
 public:
  explicit Alone(const Heap* const& heap) : heap_(heap) {}
  bool isElsewhere(ObjectRef address) const override { return !heap_->isLocal(address); }
  bool isCopy(ObjectRef address) const override { return address == copy && copy != kNullRef; }
  ObjectRef copyAround(uint64_t) const override { return kNullRef; }
  ObjectRef copy = kNullRef;

 private:
  const Heap* const& heap_;
};

class TraceTest : public HeapFixture {
 protected:
  void SetUp() override {
    HeapOptions options;
    options.collectEvery = uint64_t(1) << 40;  // poison and checks, but collections only by hand
    options.background = false;
    open(options);
    heap = heap_.get();
    heap_->addRoots([this](const auto& visit) {
      for (ObjectRef ref : roots_) visit(ref);
    });
  }
  /// Runs `body` as a runtime thread does it: outside guest code.
  template <class Body>
  void outside(Body body) {
    world_->leave(ctx_);
    body();
    world_->enter(ctx_);
  }
  void begin() {
    outside([&] { ASSERT_TRUE(heap_->beginTrace(host_, [](Trace&) {})); });
  }
  TraceResult end() {
    while (!heap_->traceSome()) continue;
    TraceResult result;
    outside([&] { result = heap_->endTrace(true); });
    return result;
  }
  /// Two exported nodes that refer to each other.
  void makeExportedCycle() {
    a_ = newNode(), b_ = newNode();
    put(a_, kLeft, b_);
    put(b_, kLeft, a_);
    heap_->exportObject(a_);
    heap_->exportObject(b_);
  }

  std::vector<ObjectRef> roots_;
  ObjectRef a_ = kNullRef, b_ = kNullRef;
  const Heap* heap = nullptr;
  Alone host_{heap};
};

TEST_F(TraceTest, AnExportedCycleThatNobodyHasHoldOfIsBuried) {
  makeExportedCycle();
  heap_->collect(&ctx_);
  EXPECT_TRUE(isAlive(a_)) << "a root of local collections";
  begin();
  EXPECT_EQ(end().objects, 2u);
  EXPECT_FALSE(isAlive(a_));
  EXPECT_FALSE(isAlive(b_));
}

TEST_F(TraceTest, WhatARootLeadsToStays) {
  makeExportedCycle();
  roots_ = {b_};
  begin();
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(a_));
}

TEST_F(TraceTest, WhatAnotherNodeHasHoldOfStaysWithAllThatItRefersTo) {
  makeExportedCycle();
  const ObjectRef unexported = newNode();
  put(b_, kRight, unexported);
  begin();
  heap_->greyIfExported(a_);
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(b_));
  EXPECT_TRUE(isAlive(unexported));
}

TEST_F(TraceTest, WordsThatAreNoExportedObjectsAreNotBelieved) {
  const ObjectRef unexported = newNode();
  makeExportedCycle();
  roots_ = {unexported};
  begin();
  roots_.clear();
  heap_->greyIfExported(a_ + 8);
  heap_->greyIfExported(a_ + 1);
  heap_->greyIfExported(12345);
  EXPECT_EQ(end().objects, 2u) << "the cycle; the other one was a root at the snapshot";
}

TEST_F(TraceTest, WhatAStoreOverwritesStays) {
  makeExportedCycle();
  const ObjectRef root = newNode();
  put(root, kLeft, a_);
  roots_ = {root};
  begin();
  put(root, kLeft, kNullRef);  // not looked at yet: only the barrier knows of a now
  roots_.push_back(a_);        // and the program still has it
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(a_));
}

TEST_F(TraceTest, WhatIsMadeMeanwhileStaysThoughNobodyLooksAtIt) {
  begin();
  makeExportedCycle();
  const ObjectRef other = newNode();
  roots_ = {other};
  heap_->collectYoung(&ctx_);
  roots_.clear();
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(a_));
  begin();
  EXPECT_EQ(end().objects, 3u) << "the next round knows better";
}

TEST_F(TraceTest, WhatArrivesAndWhatLeavesStays) {
  makeExportedCycle();
  begin();
  heap_->trace().setArrivals(Trace::Arrivals::Local);
  heap_->trace().arrived(a_);
  EXPECT_EQ(end().objects, 0u);
  begin();
  heap_->exportObject(b_);
  EXPECT_EQ(end().objects, 0u);
}

TEST_F(TraceTest, HomesHearOfForeignObjectsOnce) {
  const ObjectRef foreign = plan_.regionBase(40) + 4096;
  const ObjectRef array = newArray(objects_, 10000);  // looked at in pieces
  for (uint32_t i = 0; i < 10000; ++i) put(array, element(i), foreign + 64 * (i % 3));
  roots_ = {array};
  begin();
  while (!heap_->traceSome()) continue;
  EXPECT_EQ(heap_->trace().takeForeign().size(), 3u);
  heap_->trace().arrived(foreign);
  EXPECT_TRUE(heap_->trace().takeForeign().empty());
  end();
}

TEST_F(TraceTest, AReferenceThatItsSenderAnswersForIsNotToldToItsHome) {
  const ObjectRef foreign = plan_.regionBase(40) + 4096;
  begin();
  while (!heap_->traceSome()) continue;
  heap_->trace().setArrivals(Trace::Arrivals::Local);
  heap_->trace().arrived(foreign);
  EXPECT_TRUE(heap_->trace().isIdle()) << "and nothing of it is here";
  end();
}

TEST_F(TraceTest, ACopyIsLookedAtBeforeItIsReplaced) {
  makeExportedCycle();
  const ObjectRef copy = plan_.regionBase(40) + 4096;
  header(copy)->classWord.store(classIndexOf(a_));
  storeGuest<uint64_t>(copy + kLeft, a_);
  host_.copy = copy;
  begin();
  heap_->trace().keepContent(copy);
  storeGuest<uint64_t>(copy + kLeft, kNullRef);
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(a_));
}

TEST_F(TraceTest, ACopyIsTracedWhereItIs) {
  makeExportedCycle();
  const ObjectRef copy = plan_.regionBase(40) + 4096;
  header(copy)->classWord.store(classIndexOf(a_));
  storeGuest<uint64_t>(copy + kLeft, a_);  // its home may have replaced this long ago
  host_.copy = copy;
  roots_ = {copy};
  begin();
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(a_));
}

/// One object, at the begin of its block.
ObjectStarts beginsBlock() {
  ObjectStarts objects;
  objects.add(0);
  return objects;
}

TEST_F(TraceTest, WhatGetsItsHomeHereIsNotBuriedInTheSameRound) {
  const ClassIndex index = classIndexOf(newNode());
  const ObjectRef arriving = plan_.regionBase(40) + 2 * kBlockBytes;
  begin();
  header(arriving)->classWord.store(index | kFlagExported);
  header(arriving)->epochWord.store(kEpochHome);
  heap_->adopt({arriving, 1, false}, beginsBlock(), {});
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(arriving));
  begin();
  EXPECT_EQ(end().objects, 1u);
}

TEST_F(TraceTest, AWordIntoABlockThatComesLaterIsNoObject) {
  const ClassIndex index = classIndexOf(newNode());
  const ObjectRef arriving = plan_.regionBase(40) + 2 * kBlockBytes;
  heap_->addWords([&](const auto& visit) { visit(arriving + 8); });
  begin();
  header(arriving)->classWord.store(index | kFlagExported);
  header(arriving)->epochWord.store(kEpochHome);
  heap_->adopt({arriving, 1, false}, beginsBlock(), {});
  heap_->collectYoung(&ctx_);
  EXPECT_EQ(end().objects, 0u);
  heap_->collect(&ctx_);
  EXPECT_TRUE(isAlive(arriving));
}

TEST_F(TraceTest, ARoundThatIsBrokenOffBuriesNothing) {
  makeExportedCycle();
  begin();
  outside([&] { heap_->endTrace(false); });
  EXPECT_TRUE(isAlive(a_));
  EXPECT_EQ(ctx_.barrierFlags.load(), kBarrierYoung);
  begin();
  EXPECT_EQ(end().objects, 2u);
}

TEST_F(TraceTest, LocalCollectionsOfAllKindsMayComeInBetween) {
  makeExportedCycle();
  const ObjectRef root = newNode();
  roots_ = {root};
  begin();
  heap_->stepCycle(&ctx_, Heap::CycleStep::Begin);
  heap_->greyIfExported(a_);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Mark);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Finish);
  heap_->collectYoung(&ctx_);
  heap_->collect(&ctx_);
  EXPECT_EQ(end().objects, 0u);
  EXPECT_TRUE(isAlive(a_));
  EXPECT_TRUE(isAlive(root));
  begin();
  heap_->stepCycle(&ctx_, Heap::CycleStep::Begin);
  EXPECT_EQ(end().objects, 2u);
  EXPECT_TRUE(isAlive(root));
}

// The head of a large object's block says that an object is there, whatever the marks say.
TEST_F(TraceTest, ABuriedLargeObjectIsNoObjectAnyMore) {
  const ObjectRef large = newArray(longs_, 1 << 16);
  heap_->exportObject(large);
  begin();
  EXPECT_EQ(end().objects, 1u);
  EXPECT_FALSE(heap_->plausible(large));
}

TEST_F(TraceTest, WhatASweepUnderWayHasNotFreedYetIsNotFoundAgain) {
  const ObjectRef large = newArray(longs_, 1 << 16);
  heap_->collectYoung(&ctx_);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Begin);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Mark);
  heap_->stepCycle(&ctx_, Heap::CycleStep::Finish);  // dead, and not swept
  heap_->addWords([&](const auto& visit) { visit(large); });
  begin();
  EXPECT_FALSE(heap_->trace().isMarked(large));
  end();
}

TEST_F(TraceTest, BuriedMemoryIsUsedAgain) {
  const ObjectRef large = newArray(longs_, 1 << 16);
  heap_->exportObject(large);
  heap_->collect(&ctx_);
  const uint64_t before = heap_->use().used;
  begin();
  EXPECT_EQ(end().objects, 1u);
  heap_->collect(&ctx_);
  EXPECT_LE(heap_->use().used + (1 << 19), before);
}

}  // namespace
}  // namespace jvmc::rt
