// Cost of an object's life, and of the fibers that threads run on.
//
//   AllocateMalloc      32 bytes from the C library, freed 1000 objects later: a yardstick in the same run
//   AllocateHelper      32-byte objects through the heap's virtual call, as helpers and the interpreter do; all garbage
//   AllocateInline      the same by bump and header stores, as compiled code does
//   BinaryTrees         build a tree and drop it, collections included
//   Collect             one full collection with a tree of N live nodes of 40 bytes
//   FiberSwitch         resume and suspend: two switches
#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>

#include "runtime/abi/guest_memory.h"
#include "runtime/class_table.h"
#include "runtime/fiber/fiber.h"
#include "runtime/heap/heap.h"

namespace jvmc::rt {
namespace {

class OwnRegions final : public RegionSource {
 public:
  std::optional<uint32_t> lease() override { return ++last_; }

 private:
  uint32_t last_ = 0;
};

/// A heap with one context in guest code, and two classes: Pair {a, b: f64} and Node {left, right: Object, value: i64}.
class HeapBench {
 public:
  HeapBench() {
    ir::TypeId object = module_.types.ref(ir::builtin::kObject);
    pair_ = addClass("Pair", {{"a", ir::kF64, false, false, {}}, {"b", ir::kF64, false, false, {}}});
    node_ = addClass("Node", {{"left", object, false, false, {}},
                              {"right", object, false, false, {}},
                              {"value", ir::kI64, false, false, {}}});
    layout_ = std::make_unique<ModuleLayout>(module_, AddressPlan());
    table_ = std::make_unique<ClassTable>(*layout_);
    heap_ = Heap::create(*layout_, table_->infos(), *world_, regions_, {}, true);
    heap_->addRoots([this](const auto& visit) { visit(root); });
    ctx.stackTop = uint64_t(__builtin_frame_address(0)) + 4096;
    world_->enter(ctx);
  }
  ~HeapBench() {
    heap_->retire(ctx);
    world_->leave(ctx);
    world_->remove(ctx);
  }

  ObjectRef newPair() { return heap_->allocateObject(ctx, pair_.value); }
  ObjectRef newNode() { return heap_->allocateObject(ctx, node_.value); }
  ObjectRef newPairInline() {
    uint64_t address = ctx.allocCursor, end = address + 32;
    if (end > ctx.allocLimit) [[unlikely]]
      return newPair();
    ctx.allocCursor = end;
    header(address)->epochWord.store(kEpochHome, std::memory_order_relaxed);
    header(address)->classWord.store(pair_.value, std::memory_order_relaxed);
    return address;
  }

  ObjectRef buildTree(int depth) {
    ObjectRef left = depth ? buildTree(depth - 1) : kNullRef;
    ObjectRef right = depth ? buildTree(depth - 1) : kNullRef;
    ObjectRef node = newNode();
    storeGuest(node + 16, left);
    storeGuest(node + 24, right);
    return node;
  }

  Heap& heap() { return *heap_; }

  ThreadContext ctx;
  ObjectRef root = kNullRef;

 private:
  ir::ClassId addClass(const char* name, std::vector<ir::FieldDecl> fields) {
    ir::ClassDecl decl;
    decl.name = name;
    decl.super = ir::builtin::kObject;
    decl.fields = std::move(fields);
    return module_.addClass(std::move(decl));
  }

  ir::Module module_;
  ir::ClassId pair_, node_;
  OwnRegions regions_;
  std::unique_ptr<ModuleLayout> layout_;
  std::unique_ptr<ClassTable> table_;
  std::unique_ptr<World> world_ = World::create();
  std::unique_ptr<Heap> heap_;
};

void AllocateMalloc(benchmark::State& state) {
  std::array<void*, 1000> ring{};
  size_t next = 0;
  for (auto _ : state) {
    std::free(ring[next]);
    benchmark::DoNotOptimize(ring[next] = std::calloc(1, 32));
    next = (next + 1) % ring.size();
  }
  for (void* p : ring) std::free(p);
}
BENCHMARK(AllocateMalloc);

void AllocateHelper(benchmark::State& state) {
  HeapBench bench;
  for (auto _ : state) benchmark::DoNotOptimize(bench.newPair());
}
BENCHMARK(AllocateHelper);

void AllocateInline(benchmark::State& state) {
  HeapBench bench;
  for (auto _ : state) benchmark::DoNotOptimize(bench.newPairInline());
}
BENCHMARK(AllocateInline);

void BinaryTrees(benchmark::State& state) {
  HeapBench bench;
  int depth = int(state.range(0));
  for (auto _ : state) {
    bench.root = kNullRef;
    bench.root = bench.buildTree(depth);
  }
  HeapStats stats = bench.heap().stats();
  state.SetItemsProcessed(state.iterations() * ((int64_t(2) << depth) - 1));
  state.counters["gc_ms"] = double(stats.pauseNanosTotal) / 1e6;
  state.counters["pause_ms_max"] = double(stats.pauseNanosMax) / 1e6;
}
BENCHMARK(BinaryTrees)->Arg(10)->Arg(16)->Arg(19)->Unit(benchmark::kMicrosecond);

void Collect(benchmark::State& state) {
  HeapBench bench;
  bench.root = bench.buildTree(int(state.range(0)));
  for (auto _ : state) bench.heap().collect(&bench.ctx);
  state.SetItemsProcessed(state.iterations() * ((int64_t(2) << state.range(0)) - 1));
  state.SetBytesProcessed(state.items_processed() * 40);
}
BENCHMARK(Collect)->Arg(0)->Arg(12)->Arg(16)->Arg(20)->Unit(benchmark::kMicrosecond);

void FiberSwitch(benchmark::State& state) {
  auto pool = FiberPool::create({});
  Fiber* fiber = pool->acquire();
  bool stop = false;
  fiber->start([&] {
    while (!stop) fiber->suspend();
  });
  for (auto _ : state) fiber->resume();
  stop = true;
  fiber->resume();
  pool->release(fiber);
}
BENCHMARK(FiberSwitch);

}  // namespace
}  // namespace jvmc::rt
