// How long a program stands still: a heap of small objects of 32 to 64 bytes that live, and a mutator that replaces
// some of them and stores references between the others all the time.
//
//     gc_pauses [--live MIB] [--seconds S] [--full] [--limit MIB]
//
// --full: every collection is a full one that stops the world (what young and concurrent collections are compared
// with). Prints one line: the collector's own account of its pauses, the longest time between two steps of the mutator
// as the mutator saw it (other programs on the machine included), and steps a second.
#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <random>

#include "runtime/abi/guest_memory.h"
#include "runtime/class_table.h"
#include "runtime/heap/heap.h"
#include "runtime/helpers/access.h"

namespace jvmc::rt {
namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
  uint64_t liveMiB = 1024, limitMiB = 0;
  double seconds = 10;
  bool full = false;
};

class OwnRegions final : public RegionSource {
 public:
  std::optional<uint32_t> lease() override { return ++last_; }

 private:
  uint32_t last_ = 0;
};

/// Objects of 32, 40, 48, 56 and 64 bytes with two references each. A table of arrays refers to all of them.
class Population {
 public:
  explicit Population(const Flags& flags) {
    ir::TypeId object = module_.types.ref(ir::builtin::kObject);
    objects_ = module_.types.array(object);
    for (int extra = 0; extra < kSizes; ++extra) {
      ir::ClassDecl decl;
      decl.name = fmt::format("Node{}", extra);
      decl.super = ir::builtin::kObject;
      decl.fields = {{"left", object, false, false, {}}, {"right", object, false, false, {}}};
      for (int i = 0; i < extra; ++i) decl.fields.push_back({fmt::format("f{}", i), ir::kI64, false, false, {}});
      classes_.push_back(module_.addClass(std::move(decl)));
    }
    layout_ = std::make_unique<ModuleLayout>(module_, AddressPlan());
    table_ = std::make_unique<ClassTable>(*layout_);
    HeapOptions options;
    options.limitBytes = (flags.limitMiB ? flags.limitMiB : flags.liveMiB * 3 + 64) << 20;
    options.young = !flags.full;
    heap_ = Heap::create(*layout_, table_->infos(), *world_, regions_, options, true);
    heap_->addRoots([this](const auto& visit) {
      for (ObjectRef chunk : chunks_) visit(chunk);
    });
    ctx_.stackTop = uint64_t(__builtin_frame_address(0));  // no frame above holds references
    world_->enter(ctx_);
    fill(flags.liveMiB << 20);
  }
  ~Population() {
    heap_->retire(ctx_);
    world_->leave(ctx_);
    world_->remove(ctx_);
  }

  /// One step: half of them store a reference between two old objects, half put a new object into the place of another.
  void step() {
    uint64_t from = random_() % count_, to = random_() % count_;
    if (random_() & 1) {
      store(at(from), kLeft, at(to));
    } else {
      // The old object may live on in others' fields; it must not hold still more.
      store(at(from), kLeft, kNullRef);
      store(at(from), kRight, kNullRef);
      ObjectRef node = newNode();
      store(node, kRight, at(to));
      store(chunks_[from / kChunk], kArrayElementsOffset + 8 * (from % kChunk), node);
    }
    if (ctx_.pollLimit.load(std::memory_order_relaxed) == kPollRequested) {
      ctx_.pollLimit.store(0, std::memory_order_relaxed);
      world_->safepoint(ctx_);
    }
  }

  HeapStats stats() const { return heap_->stats(); }
  uint64_t count() const { return count_; }

 private:
  static constexpr int kSizes = 5;
  static constexpr uint64_t kChunk = 4000;
  static constexpr uint32_t kLeft = 16, kRight = 24;

  void fill(uint64_t bytes) {
    // Replaced objects that others still refer to are live too: in the steady state about a third of all.
    for (uint64_t made = 0; made < bytes * 2 / 3; ++count_) {
      if (count_ % kChunk == 0)
        chunks_.push_back(heap_->allocateArray(ctx_, layout_->arrayIndex(objects_), uint32_t(kChunk)));
      ObjectRef node = newNode();
      made += (*layout_)[classes_[count_ % kSizes]].instanceBytes + 8;
      store(chunks_.back(), kArrayElementsOffset + 8 * (count_ % kChunk), node);
    }
  }

  ObjectRef newNode() { return heap_->allocateObject(ctx_, classes_[next_++ % kSizes].value); }
  ObjectRef at(uint64_t i) const {
    return loadGuest<uint64_t>(chunks_[i / kChunk] + kArrayElementsOffset + 8 * (i % kChunk));
  }
  void store(ObjectRef object, uint64_t offset, ObjectRef value) {
    if (needsBarrier(&ctx_, object)) heap_->onBarrier(&ctx_, object, offset, value);
    storeGuest<uint64_t>(object + offset, value, std::memory_order_release);
  }

  ir::Module module_;
  ir::TypeId objects_;
  std::vector<ir::ClassId> classes_;
  OwnRegions regions_;
  std::unique_ptr<ModuleLayout> layout_;
  std::unique_ptr<ClassTable> table_;
  std::unique_ptr<World> world_ = World::create();
  std::unique_ptr<Heap> heap_;
  ThreadContext ctx_;
  std::vector<ObjectRef> chunks_;
  uint64_t count_ = 0, next_ = 0;
  std::minstd_rand random_{1};
};

double ms(uint64_t nanos) {
  return double(nanos) / 1e6;
}

void run(const Flags& flags) {
  Population population(flags);
  const HeapStats before = population.stats();
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(flags.seconds));
  uint64_t steps = 0;
  Clock::duration longest{};
  auto last = begin;
  while (last < end) {
    population.step();
    ++steps;
    auto now = Clock::now();
    longest = std::max(longest, now - last);
    last = now;
  }
  const HeapStats after = population.stats();
  fmt::print(
      "{}: {} objects, live {} MiB, {} collections ({} full, {} cycles); pauses p50 {:.2f} p99 {:.2f} max {:.2f} ms, "
      "CPU p50 {:.2f} p99 {:.2f} max {:.2f} ms; {:.1f} % of the time; longest step {:.2f} ms; {:.2f} M steps/s\n",
      flags.full ? "full" : "young and concurrent", population.count(), after.liveBytesAfterLast >> 20,
      after.collections - before.collections, after.fullCollections - before.fullCollections,
      after.cycles - before.cycles, ms(after.pauseNanosP50), ms(after.pauseNanosP99), ms(after.pauseNanosMax),
      ms(after.pauseCpuNanosP50), ms(after.pauseCpuNanosP99), ms(after.pauseCpuNanosMax),
      100 * double(after.pauseNanosTotal - before.pauseNanosTotal) / double((last - begin).count()),
      ms(uint64_t(longest.count())), double(steps) / std::chrono::duration<double>(last - begin).count() / 1e6);
}

int main(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    if (flag == "--full") {
      flags.full = true;
    } else if (i + 1 < argc && flag == "--live") {
      flags.liveMiB = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && flag == "--limit") {
      flags.limitMiB = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && flag == "--seconds") {
      flags.seconds = std::strtod(argv[++i], nullptr);
    } else {
      fmt::print(stderr, "usage: gc_pauses [--live MIB] [--seconds S] [--full] [--limit MIB]\n");
      return 1;
    }
  }
  run(flags);
  return 0;
}

}  // namespace
}  // namespace jvmc::rt

int main(int argc, char** argv) {
  return jvmc::rt::main(argc, argv);
}
