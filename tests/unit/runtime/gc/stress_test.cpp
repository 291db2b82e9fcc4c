// Random mutation of an object graph beside a shadow model in ordinary C++ memory, and threads that build and check
// trees while others collect. The seed is in the test's name; a failure repeats.
#include <random>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "../heap/heap_fixture.h"

namespace jvmc::rt {
namespace {

/// What a graph should look like: nodes with two references, reference arrays, and 40 roots.
class ShadowedGraph {
 public:
  struct Shadow {
    std::vector<ObjectRef> references;  // left and right, or the elements
    uint64_t value = 0;
    bool isArray = false;
  };
  std::vector<ObjectRef> roots = std::vector<ObjectRef>(40, kNullRef);
  std::unordered_map<ObjectRef, Shadow> objects;  // what was ever stored here and may still be reachable

  std::unordered_set<ObjectRef> reachable() const {
    std::unordered_set<ObjectRef> seen;
    std::vector<ObjectRef> todo(roots);
    while (!todo.empty()) {
      ObjectRef ref = todo.back();
      todo.pop_back();
      if (!ref || !seen.insert(ref).second) continue;
      for (ObjectRef child : objects.at(ref).references) todo.push_back(child);
    }
    return seen;
  }
};

struct StressCase {
  uint32_t seed;
  uint64_t collectEvery;
};

class GraphStress : public HeapFixture, public ::testing::WithParamInterface<StressCase> {
 protected:
  uint32_t random(uint32_t bound) { return uint32_t(prng_() % bound); }

  /// A random reachable object: a root, or a few steps from one.
  ObjectRef pick() {
    ObjectRef at = graph_.roots[random(uint32_t(graph_.roots.size()))];
    for (uint32_t steps = random(6); at && steps > 0; --steps) {
      const auto& references = graph_.objects.at(at).references;
      if (references.empty()) break;
      ObjectRef next = references[random(uint32_t(references.size()))];
      if (!next) break;
      at = next;
    }
    return at;
  }

  static uint32_t offsetOf(const ShadowedGraph::Shadow& shadow, uint32_t i) {
    if (shadow.isArray) return element(i);
    return i == 0 ? kLeft : kRight;
  }

  void allocate() {
    bool isArray = random(4) == 0;
    uint32_t length = random(10) == 0 ? random(8000) : random(20);  // some above the large object threshold
    ObjectRef ref = isArray ? newArray(objects_, length) : newNode();
    ASSERT_NE(ref, kNullRef);
    auto& shadow = graph_.objects[ref] = {std::vector<ObjectRef>(isArray ? length : 2), prng_(), isArray};
    if (!isArray) put(ref, kValue, shadow.value);
    graph_.roots[random(uint32_t(graph_.roots.size()))] = ref;
  }

  void link() {
    ObjectRef from = pick(), to = random(5) == 0 ? kNullRef : pick();
    if (!from) return;
    auto& shadow = graph_.objects.at(from);
    if (shadow.references.empty()) return;
    uint32_t i = random(uint32_t(shadow.references.size()));
    shadow.references[i] = to;
    put(from, offsetOf(shadow, i), to);
  }

  void verify() {
    auto live = graph_.reachable();
    for (ObjectRef ref : live) {
      const auto& shadow = graph_.objects.at(ref);
      ASSERT_EQ(header(ref)->epochWord.load(), kEpochHome);
      if (shadow.isArray) {
        ASSERT_EQ(arrayLength(ref), int32_t(shadow.references.size()));
      } else {
        ASSERT_EQ(get(ref, kValue), shadow.value);
      }
      for (uint32_t i = 0; i < shadow.references.size(); ++i)
        ASSERT_EQ(get(ref, offsetOf(shadow, i)), shadow.references[i]);
    }
    std::erase_if(graph_.objects, [&](const auto& entry) { return !live.contains(entry.first); });
  }

  std::mt19937_64 prng_;
  ShadowedGraph graph_;
};

TEST_P(GraphStress, GraphEqualsItsShadow) {
  prng_.seed(GetParam().seed);
  HeapOptions options;
  options.limitBytes = 256 << 20;
  options.collectEvery = GetParam().collectEvery;
  open(options);
  heap_->addRoots([&](const auto& visit) {
    for (ObjectRef ref : graph_.roots) visit(ref);
  });
  const int steps = GetParam().collectEvery ? 3000 : 60000;
  for (int step = 0; step < steps; ++step) {
    random(3) == 0 ? allocate() : link();
    if (random(50) == 0) graph_.roots[random(uint32_t(graph_.roots.size()))] = kNullRef;
    if (random(2000) == 0) heap_->collect(&ctx_);
    if (step % 500 == 0) verify();
    if (HasFatalFailure()) return;
  }
  verify();
  EXPECT_GT(heap_->stats().collections, 5u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, GraphStress,
                         ::testing::Values(StressCase{1, 0}, StressCase{2, 0}, StressCase{3, 0}, StressCase{4, 1},
                                           StressCase{5, 7}, StressCase{6, 50}),
                         [](const auto& info) {
                           return "Seed" + std::to_string(info.param.seed) + "CollectEvery" +
                                  std::to_string(info.param.collectEvery);
                         });

// ---------------------------------------------------------------- threads

/// A guest thread played by C++: its references live on its own native stack only.
class TreeMutator {
 public:
  TreeMutator(World& world, Heap& heap, ClassIndex node) : world_(world), heap_(heap), node_(node) {}

  void run(int rounds) {
    ctx_.stackTop = uint64_t(__builtin_frame_address(0));
    world_.enter(ctx_);
    work(rounds);
    heap_.retire(ctx_);
    world_.leave(ctx_);
    world_.remove(ctx_);
  }

  bool correct = true;

 private:
  static constexpr uint32_t kLeft = 16, kValue = 24, kRight = 32;

  [[gnu::noinline]] void work(int rounds) {
    ObjectRef longLived = build(12, 1);
    for (int i = 0; i < rounds; ++i) {
      ObjectRef tree = build(8, uint64_t(i));
      correct &= count(tree, uint64_t(i)) == (1u << 9) - 1;
      poll();
    }
    correct &= count(longLived, 1) == (1u << 13) - 1;
  }

  [[gnu::noinline]] ObjectRef build(int depth, uint64_t value) {
    ObjectRef left = depth ? build(depth - 1, value) : kNullRef;
    ObjectRef right = depth ? build(depth - 1, value) : kNullRef;
    ObjectRef node = heap_.allocateObject(ctx_, node_);
    if (!node) std::abort();
    storeGuest(node + kLeft, left);
    storeGuest(node + kRight, right);
    storeGuest(node + kValue, value);
    return node;
  }

  uint64_t count(ObjectRef node, uint64_t value) {
    if (!node) return 0;
    correct &= header(node)->epochWord.load() == kEpochHome && loadGuest<uint64_t>(node + kValue) == value;
    return 1 + count(loadGuest<uint64_t>(node + kLeft), value) + count(loadGuest<uint64_t>(node + kRight), value);
  }

  void poll() {
    if (ctx_.pollLimit.load(std::memory_order_relaxed) != kPollRequested) return;
    ctx_.pollLimit.store(0, std::memory_order_relaxed);
    world_.safepoint(ctx_);
  }

  World& world_;
  Heap& heap_;
  ClassIndex node_;
  ThreadContext ctx_;
};

class MutatorStress : public HeapFixture {
 protected:
  void runThreads(HeapOptions options, int threads, int rounds) {
    open(options);
    std::vector<std::unique_ptr<TreeMutator>> mutators;
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i)
      mutators.push_back(std::make_unique<TreeMutator>(*world_, *heap_, layout_->classIndex(node_)));
    world_->leave(ctx_);  // this thread only waits
    for (auto& m : mutators) running.emplace_back([&m, rounds] { m->run(rounds); });
    for (auto& t : running) t.join();
    world_->enter(ctx_);
    for (auto& m : mutators) EXPECT_TRUE(m->correct);
    EXPECT_GT(heap_->stats().collections, 0u);
  }
};

TEST_F(MutatorStress, ThreadsBuildTreesWhileOthersCollect) {
  HeapOptions options;
  options.limitBytes = 24 << 20;  // a collection every 6 MiB
  runThreads(options, 4, 1000);
}

TEST_F(MutatorStress, ThreadsBuildTreesUnderZeal) {
  HeapOptions options;
  options.collectEvery = 300;
  runThreads(options, 3, 40);
}

}  // namespace
}  // namespace jvmc::rt
