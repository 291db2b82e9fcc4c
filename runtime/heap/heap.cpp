// The heap's front: allocation fast and slow paths, when to collect, and what other parts ask about objects. Memory
// comes from Allocator and BlockSpace under `mutex_`; Collector works inside World::stop, and between pauses on the
// heap's own thread.
//
// When to collect: as CollectionPolicy says, and when the limit is reached. An allocation that fails right after a full
// collection fails for good: null, and the caller throws.
#include "runtime/heap/heap.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>
#include <optional>

#include "runtime/gc/background.h"
#include "runtime/gc/collector.h"
#include "runtime/gc/pause_log.h"
#include "runtime/gc/policy.h"
#include "runtime/heap/allocator.h"
#include "runtime/heap/block_groups.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

/// An object larger than this does not make its context give up a partly used area.
constexpr uint64_t kMediumBytes = 2u << 10;
/// Blocks that forEachSurvivor visits under one lock.
constexpr uint32_t kSurvivorStep = 16;
/// A slice of marking, which delays a pause: well below a millisecond.
constexpr uint64_t kMarkSlice = 8192;
/// What is allocated for each object that allocation marks: a heap of small objects is marked before it has doubled.
constexpr uint64_t kBytesPerMark = 16;
/// What the pause that ends a cycle may mark; if more is left, marking goes on without a pause. Each trial marks so
/// much of what was alive when the cycle began, so there is a last one.
constexpr uint64_t kFinishBudget = 50'000;
constexpr uint32_t kSweepSlice = 64;
constexpr uint64_t kUnbounded = ~uint64_t(0);

/// Of the calling thread: what a pause costs, however busy the machine is.
uint64_t threadCpuNanos() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return uint64_t(now.tv_sec) * 1'000'000'000 + uint64_t(now.tv_nsec);
}

using Pause = HeapPhase;

int64_t nanosOf(std::chrono::steady_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

uint64_t nanosSince(std::chrono::steady_clock::time_point begin) {
  return uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
}

class RegionHeap final : public Heap {
 public:
  RegionHeap(const ModuleLayout& layout, const ClassInfo* const* classes, World& world, RegionSource& regions,
             HeapOptions options)
      : layout_(layout),
        classes_(classes),
        world_(world),
        regionSource_(regions),
        options_(options),
        space_(layout.plan(), options.limitBytes),
        allocator_(space_, ObjectModel(classes)),
        collector_(space_, allocator_, ObjectModel(classes), world, options.collectEvery != 0,
                   options.collectEvery != 0 || options.poison, [this] { background_.wake(); }),
        groups_(layout, classes, space_, allocator_, collector_),
        policy_(options.limitBytes) {}

  ~RegionHeap() override { stopThread(); }

  bool open(bool isFirstNode, std::string& error) {
    if (!space_.map(error)) return false;
    if (isFirstNode) createStatics();
    setBarriers();
    if (options_.background) background_.start();
    return true;
  }

  ObjectRef allocateObject(ThreadContext& ctx, ClassIndex index) override {
    return allocate(ctx, index, classes_[index]->instanceBytes, 0);
  }

  ObjectRef allocateArray(ThreadContext& ctx, ClassIndex index, uint32_t length) override {
    return allocate(ctx, index, ObjectModel::arrayBytes(*classes_[index], length), length);
  }

  ObjectRef allocateDetached(ClassIndex index, uint64_t bytes, uint32_t length) override {
    for (bool leased = false;;) {
      std::unique_lock lock(mutex_);
      BlockSpace::Blocks memory =
          bytes > kLargeBytes ? allocator_.takeLarge(bytes, true) : allocator_.takeShared(bytes, true);
      if (memory.address) {
        if (!memory.zeroed) std::memset(reinterpret_cast<void*>(memory.address), 0, bytes);
        return initialise(memory.address, index, length);
      }
      lock.unlock();
      if (leased || memory.refusal != BlockSpace::Refusal::NoRegion || !leaseRegion()) return kNullRef;
      leased = true;
    }
  }

  void retire(ThreadContext& ctx) override {
    collector_.retire(ctx);
    std::scoped_lock lock(mutex_);
    allocator_.returnArea(ctx);
  }

  void addRoots(RootSource source) override { collector_.addRoots(std::move(source)); }
  void addWords(RootSource source) override { collector_.addWords(std::move(source)); }

  void collect(ThreadContext* self) override { pause(self, Pause::Full); }
  void collectYoung(ThreadContext* self) override { pause(self, Pause::Young); }

  void stepCycle(ThreadContext* self, CycleStep step) override {
    if (step == CycleStep::Begin) pause(self, Pause::BeginCycle);
    if (step == CycleStep::Finish) pause(self, Pause::FinishCycle);
    if (step != CycleStep::Mark) return;
    World::GuestAccess access(world_);
    while (collector_.phase() == Collector::Phase::Marking && !collector_.mark(kMarkSlice)) continue;
  }

  void stopThread() override { background_.stop(); }

  void exportObject(ObjectRef ref) override { groups_.exportObject(ref); }

  void onBarrier(ThreadContext* ctx, ObjectRef object, uint64_t offset, ObjectRef value) override {
    uint32_t flags = barrierFlags_.load(std::memory_order_relaxed);
    if (flags & kBarrierCount) barrierCalls_.fetch_add(1, std::memory_order_relaxed);
    collector_.beforeStore(ctx, flags, object, offset, value);
  }

  bool plausible(ObjectRef ref) const override {
    if (ref % kObjectAlignment != 0 || !layout_.plan().contains(ref)) return false;
    Region* region = space_.homeRegionOf(ref);
    if (!region) return true;
    if (Region::test(region->exported, region->place(ref)) || space_.isOld(*region, ref)) return true;
    if (noneYoung_.load(std::memory_order_relaxed)) return false;  // asked within a pause, which holds the lock
    std::scoped_lock lock(mutex_);
    return looksLikeYoungObject(*region, ref);
  }

  bool isLocal(ObjectRef ref) const override { return space_.homeRegionOf(ref) != nullptr; }

  std::vector<BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only) override {
    std::scoped_lock lock(mutex_);
    if (storesAreLogged()) {
      collector_.makeAllOld();
    } else {
      collector_.collectFull();
      markingDone();
    }
    setBarriers();
    return groups_.withdraw(bytes, only);
  }

  void restore(const BlockGroup& group) override {
    std::scoped_lock lock(mutex_);
    groups_.restore(group);
  }

  ObjectStarts objectsOf(const BlockGroup& group) override { return groups_.objectsOf(group); }

  void giveAway(const BlockGroup& group) override {
    std::scoped_lock lock(sliceMutex_, mutex_);
    groups_.giveAway(group);
    stats_.liveBytesAfterLast -= std::min(stats_.liveBytesAfterLast, group.bytes());
  }

  void adopt(const BlockGroup& group, const ObjectStarts& objects, const std::vector<ObjectRef>& written) override {
    std::scoped_lock lock(sliceMutex_, mutex_);
    groups_.adopt(group, objects, written);
    stats_.liveBytesAfterLast += group.bytes();
  }

  bool beginTrace(const TraceHost& host, const std::function<void(Trace&)>& moreRoots) override {
    if (!options_.young) return false;
    sweepAll();  // not in the pause
    pause(
        nullptr, [] { return std::optional(Pause::Young); },
        [&] {
          collector_.beginTrace(host);
          moreRoots(collector_.trace());
        });
    return true;
  }

  Trace& trace() override { return collector_.trace(); }

  bool traceSome() override {
    World::GuestAccess access(world_);
    std::scoped_lock lock(sliceMutex_);
    return collector_.trace().work(kMarkSlice);
  }

  void greyIfExported(uint64_t address) override {
    Region* region = address % kObjectAlignment == 0 ? space_.homeRegionOf(address) : nullptr;
    if (region && Region::test(region->exported, region->place(address))) collector_.trace().grey(address);
  }

  TraceResult endTrace(bool isComplete) override {
    TraceResult result;
    sweepAll();
    pause(
        nullptr, [] { return std::optional(Pause::Young); },
        [&] {
          result = collector_.endTrace(isComplete);
          if (!isComplete) return;
          groups_.forgetBytesExported();
          const bool beside = isGenerational() && options_.background && !zeal();
          if (result.bytes > 0) collectStopped(beside ? Pause::BeginCycle : Pause::Full);
        });
    return result;
  }

  uint64_t bytesExported() const override { return groups_.bytesExported(); }

  MarkedLive lastMarking() const override {
    std::scoped_lock lock(mutex_);
    return marked_;
  }

  bool hasRoomFor(uint64_t bytes) const override {
    std::scoped_lock lock(mutex_);
    return space_.usedBytes() + bytes <= space_.limitBytes();
  }

  MemoryUse use() const override {
    std::scoped_lock lock(mutex_);
    const bool everCollected = stats_.collections > 0;
    return {.live = everCollected ? std::min(stats_.liveBytesAfterLast, space_.usedBytes()) : space_.usedBytes(),
            .used = space_.usedBytes(),
            .resident = space_.usedBytes() + space_.keptBytes(),
            .limit = space_.limitBytes()};
  }

  void trim() override {
    std::scoped_lock lock(mutex_);
    space_.returnMemory(/*idleCollections=*/0);
  }

  HeapStats stats() const override {
    std::scoped_lock lock(mutex_);
    HeapStats stats = stats_;
    stats.allocatedBytes += allocator_.bytesSinceReset();
    stats.reservedBytes = space_.reservedBytes();
    stats.barrierCalls = barrierCalls_.load(std::memory_order_relaxed);
    stats.pauseNanosTotal = pauses_.total();
    stats.pauseNanosMax = pauses_.max();
    stats.pauseNanosP50 = pauses_.percentile(50);
    stats.pauseNanosP99 = pauses_.percentile(99);
    stats.pauseCpuNanosP50 = pausesCpu_.percentile(50);
    stats.pauseCpuNanosP99 = pausesCpu_.percentile(99);
    stats.pauseCpuNanosMax = pausesCpu_.max();
    return stats;
  }

  void forEachSurvivor(const std::function<void(ClassIndex, uint64_t bytes)>& visit) override {
    for (size_t region = 0, count = 1; region < count; ++region) {
      for (uint32_t block = 0, end = 1; block < end; block += kSurvivorStep) {
        World::GuestAccess access(world_);
        std::scoped_lock lock(mutex_);
        count = space_.regions().size();
        if (region >= count) return;
        end = space_.regions()[region]->highWater;
        for (uint32_t i = block; i < std::min(block + kSurvivorStep, end); ++i)
          visitOld(*space_.regions()[region], i, visit);
      }
    }
  }

 private:
  void visitOld(Region& region, uint32_t block, const std::function<void(ClassIndex, uint64_t bytes)>& visit) {
    const BlockKind kind = region.blocks[block].kind;
    if (kind != BlockKind::Small && kind != BlockKind::LargeHead) return;
    forEachOld(region, block, [&](ObjectRef ref) {
      const ClassIndex index = classIndexOf(ref);
      visit(index, ObjectModel::bytes(*classes_[index], ref));
    });
  }

  /// Calls visit(ObjectRef) for the objects of a block that have survived a collection.
  template <class Visit>
  void forEachOld(Region& region, uint32_t block, Visit visit) {
    const MarkWords* words = region.blockMarks(block);
    forEachBit(
        region, block, [&](uint32_t w) { return words[w].side[space_.oldSide()].load(std::memory_order_relaxed); },
        visit);
  }

  ObjectRef initialise(uint64_t address, ClassIndex index, uint32_t length) {
    header(address)->classWord.store(index, std::memory_order_relaxed);
    if (classes_[index]->shape != ObjectShape::Instance) storeGuest(address + kArrayLengthOffset, length);
    header(address)->epochWord.store(kEpochHome, std::memory_order_relaxed);
    return address;
  }

  ObjectRef allocate(ThreadContext& ctx, ClassIndex index, uint64_t bytes, uint32_t length) {
    if (ctx.allocLimit - ctx.allocCursor < bytes) [[unlikely]]
      return allocateSlowly(ctx, index, bytes, length);
    return initialise(bump(ctx, bytes), index, length);
  }

  static uint64_t bump(ThreadContext& ctx, uint64_t bytes) {
    uint64_t address = ctx.allocCursor;
    ctx.allocCursor += bytes;
    return address;
  }

  [[gnu::noinline]] ObjectRef allocateSlowly(ThreadContext& ctx, ClassIndex index, uint64_t bytes, uint32_t length) {
    const ObjectRef object = allocateMore(ctx, index, bytes, length);
    if (ctx.vm && ctx.vm->profiler().wants(SampleKind::Alloc)) [[unlikely]]
      ctx.vm->profiler().noteAllocation(ctx, index, std::max(bytes, ctx.allocLimit - ctx.allocCursor));
    return object;
  }

  ObjectRef allocateMore(ThreadContext& ctx, ClassIndex index, uint64_t bytes, uint32_t length) {
    world_.safepoint(ctx);
    if (!zeal() && Allocator::extend(ctx, bytes)) return initialise(bump(ctx, bytes), index, length);
    if (zeal())
      collectInTurn(ctx);
    else if (collectionIsDue(bytes))
      collectAsDue(ctx);
    uint64_t address = takeMemory(ctx, bytes);
    if (!address) address = takeMemoryAtLimit(ctx, bytes);
    if (marksBesideProgram()) helpToMark(std::max(bytes, ctx.allocAreaEnd - ctx.allocCursor));
    return address ? initialise(address, index, length) : kNullRef;
  }

  /// Zeroed memory, or 0 if there is none without a collection.
  uint64_t takeMemory(ThreadContext& ctx, uint64_t bytes) {
    for (bool leased = false;;) {
      BlockSpace::Blocks memory = tryTakeMemory(ctx, bytes);
      if (memory.address) {
        if (!memory.zeroed) std::memset(reinterpret_cast<void*>(memory.address), 0, bytes);
        return memory.address;
      }
      if (leased || memory.refusal != BlockSpace::Refusal::NoRegion || !leaseRegion()) return 0;
      leased = true;
    }
  }

  BlockSpace::Blocks tryTakeMemory(ThreadContext& ctx, uint64_t bytes) {
    std::scoped_lock lock(mutex_);
    if (!allocator_.hasHoles()) sweepLocked(kSweepSlice);
    if (bytes > kLargeBytes) return allocator_.takeLarge(bytes, false);
    if (zeal()) return allocator_.takeShared(bytes, false, /*holes=*/true);
    if (bytes > kMediumBytes) return allocator_.takeShared(bytes, false);
    BlockSpace::Refusal refusal = allocator_.takeArea(ctx, bytes);
    if (refusal != BlockSpace::Refusal::None) return {.refusal = refusal};
    return {bump(ctx, bytes), true, BlockSpace::Refusal::None};
  }

  /// Asks for a region. Outside the lock: it may take a round trip.
  bool leaseRegion() {
    std::optional<uint32_t> index = regionSource_.lease();
    if (!index) return false;
    std::scoped_lock lock(mutex_);
    space_.addRegion(*index);
    return true;
  }

  bool zeal() const { return options_.collectEvery != 0; }

  bool isGenerational() const { return options_.young && policy_.isGenerational(); }

  bool collectionIsDue(uint64_t bytes) const {
    std::scoped_lock lock(mutex_);
    return allocator_.bytesSinceReset() + bytes >= policy_.interval(isGenerational()) &&
           allocator_.bytesSinceReset() > 0;
  }

  /// Collects, unless another thread has done so while this one waited for its turn.
  void collectAsDue(ThreadContext& ctx) {
    uint64_t seen = collections_.load(std::memory_order_relaxed);
    sweepAll();  // not in the pause
    pause(&ctx, [&]() -> std::optional<Pause> {
      if (collections_.load(std::memory_order_relaxed) != seen) return std::nullopt;
      if (!isGenerational()) return Pause::Full;
      return youngOrCycle();
    });
  }

  /// A cycle marks, and not step by step for a test.
  bool marksBesideProgram() const {
    return collector_.phase() == Collector::Phase::Marking && options_.background && !zeal();
  }

  /// Who allocates marks in proportion: else a program that allocates faster than the heap's thread marks, on a machine
  /// that gives that thread little, would fill the heap before the cycle frees anything.
  void helpToMark(uint64_t allocated) {
    std::unique_lock lock(sliceMutex_, std::try_to_lock);
    if (lock && collector_.mark(std::min(allocated / kBytesPerMark, kMarkSlice))) isMarked_ = true;
  }

  Pause youngOrCycle() const {
    if (marksBesideProgram() && isMarked_) return Pause::FinishCycle;
    bool begins = collector_.phase() == Collector::Phase::Idle && policy_.cycleIsDue(collector_.liveBytes());
    return begins && options_.background ? Pause::BeginCycle : Pause::Young;
  }

  /// The heap is full: waits for what a cycle may still free, then collects at once.
  uint64_t takeMemoryAtLimit(ThreadContext& ctx, uint64_t bytes) {
    sweepAll();
    uint64_t seen = fullCollections_.load(std::memory_order_relaxed);
    uint64_t address = takeMemory(ctx, bytes);
    if (address) return address;
    pause(&ctx, [&]() -> std::optional<Pause> {
      if (fullCollections_.load(std::memory_order_relaxed) != seen) return std::nullopt;
      return Pause::Full;
    });
    return takeMemory(ctx, bytes);
  }

  /// Zeal: every K-th call collects, each time in another way.
  void collectInTurn(ThreadContext& ctx) {
    uint64_t count = slowAllocations_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (count % options_.collectEvery != 0) return;
    static constexpr Pause kTurns[] = {Pause::Young, Pause::BeginCycle, Pause::Young, Pause::FinishCycle, Pause::Full};
    pause(&ctx, kTurns[count / options_.collectEvery % std::size(kTurns)]);
  }

  void pause(ThreadContext* self, Pause what) {
    pause(self, [&] { return std::optional(what); });
  }

  /// Stops the world and does what `decide` says then, and `afterwards`.
  void pause(ThreadContext* self, const std::function<std::optional<Pause>()>& decide,
             const std::function<void()>& afterwards = {}) {
    auto begin = std::chrono::steady_clock::now();
    bool begun = false;
    world_.stop(self, [&] {
      std::scoped_lock lock(mutex_);
      std::optional<Pause> what = decide();
      if (!what) return;
      stats_.allocatedBytes += allocator_.bytesSinceReset();
      uint64_t cpuBegin = threadCpuNanos();
      const Collector::Phase before = collector_.phase();
      Pause done = collectStopped(*what);
      if (afterwards) {
        noneYoung_.store(true, std::memory_order_relaxed);
        afterwards();
        noneYoung_.store(false, std::memory_order_relaxed);
      }
      begun = collector_.phase() != Collector::Phase::Idle;
      const uint64_t cpu = threadCpuNanos() - cpuBegin;
      if (done == Pause::Young && *what == Pause::Young && !afterwards) policy_.youngDone(cpu);
      setBarriers();
      if (collector_.phase() != Collector::Phase::Sweeping) stats_.liveBytesAfterLast = collector_.liveBytes();
      stats_.collections = collections_.fetch_add(1, std::memory_order_relaxed) + 1;
      ++stats_.pauses;
      pauses_.add(nanosSince(begin));
      pausesCpu_.add(cpu);
      const int64_t end = nanosOf(std::chrono::steady_clock::now());
      tellPhase(done, nanosOf(begin), end);
      if (before != collector_.phase()) changePhase(before, nanosOf(begin), end);
    });
    if (begun) background_.wake();
  }

  void tellPhase(HeapPhase phase, int64_t begin, int64_t end) const {
    if (options_.phaseOver) options_.phaseOver(phase, begin, end);
  }

  /// The phase between pauses that was `before` has ended at `end`, and another one begins at `begin`.
  void changePhase(Collector::Phase before, int64_t end, int64_t begin) {
    if (before == Collector::Phase::Marking) tellPhase(HeapPhase::Marking, phaseBegan_, end);
    if (before == Collector::Phase::Sweeping) tellPhase(HeapPhase::Sweeping, phaseBegan_, end);
    phaseBegan_ = begin;
  }

  /// Young objects may be collected by themselves: every place in an old one that refers to one of them is logged.
  bool storesAreLogged() const { return (barrierFlags_.load(std::memory_order_relaxed) & kBarrierYoung) != 0; }

  /// World stopped, lock held. Returns what was done in fact.
  Pause collectStopped(Pause what) {
    if (!storesAreLogged()) what = Pause::Full;
    const bool isMarking = collector_.phase() == Collector::Phase::Marking;
    if (what == Pause::FinishCycle && isMarking) return finishCycleStopped();
    if (what == Pause::BeginCycle && !isMarking) {
      collector_.beginCycle();
      isMarked_ = false;
      return what;
    }
    if (what == Pause::Full) {
      collector_.collectFull();
      markingDone();
      stats_.fullCollections = fullCollections_.fetch_add(1, std::memory_order_relaxed) + 1;
      return what;
    }
    collector_.collectYoung();
    return Pause::Young;
  }

  /// In zeal a cycle ends when it is told to.
  Pause finishCycleStopped() {
    bool mustEnd = zeal() || !options_.background;
    isMarked_ = false;
    if (!collector_.finishCycle(mustEnd ? kUnbounded : kFinishBudget)) return Pause::Young;
    ++stats_.cycles;
    return Pause::FinishCycle;
  }

  /// All is swept: what lives is known.
  void markingDone() {
    stats_.liveBytesAfterLast = collector_.liveBytes();
    policy_.fullDone(collector_.liveBytes());
    marked_ = {marked_.number + 1, collector_.liveBytes()};
  }

  void sweepLocked(uint32_t blocks) {
    if (collector_.phase() != Collector::Phase::Sweeping || !collector_.sweep(blocks)) return;
    const int64_t now = nanosOf(std::chrono::steady_clock::now());
    changePhase(Collector::Phase::Sweeping, now, now);
    markingDone();
  }

  void sweepAll() {
    for (bool done = false; !done;) {
      std::scoped_lock lock(mutex_);
      sweepLocked(kSweepSlice);
      done = collector_.phase() != Collector::Phase::Sweeping;
    }
  }

  /// The heap's thread: carries a cycle on. False: nothing to do.
  bool continueCycle() {
    if (collector_.logIsFull()) return collectLogged();
    switch (collector_.phase()) {
      case Collector::Phase::Idle:
        return false;
      case Collector::Phase::Marking: {
        World::GuestAccess access(world_);
        std::scoped_lock lock(sliceMutex_);
        if (collector_.phase() == Collector::Phase::Marking && collector_.mark(kMarkSlice)) isMarked_ = true;
        break;
      }
      case Collector::Phase::Sweeping: {
        std::scoped_lock lock(mutex_);
        sweepLocked(kSweepSlice);
        break;
      }
    }
    if (finishIfMarked()) pause(nullptr, [&] { return finishIfMarked(); });
    return true;
  }

  /// The allocations to come are few, or the stores many.
  bool collectLogged() {
    sweepAll();  // not in the pause
    pause(nullptr, [&] { return collector_.logIsFull() ? std::optional(youngOrCycle()) : std::nullopt; });
    return true;
  }

  std::optional<Pause> finishIfMarked() const {
    if (collector_.phase() != Collector::Phase::Marking || !isMarked_) return std::nullopt;
    return Pause::FinishCycle;
  }

  /// World stopped, or before guest code runs.
  void setBarriers() {
    uint32_t flags = options_.countBarriers ? kBarrierCount : 0;
    if (isGenerational() || (options_.young && zeal())) flags |= kBarrierYoung;
    if (collector_.phase() == Collector::Phase::Marking) flags |= kBarrierMarking | kBarrierYoung;
    if (collector_.trace().isActive()) flags |= kBarrierTrace | kBarrierYoung;
    if (barrierFlags_.exchange(flags, std::memory_order_relaxed) != flags) world_.setBarrierFlags(flags);
  }

  void createStatics() {
    space_.openStaticsRegion();
    for (uint32_t i = 0; i < layout_.module().classes.size(); ++i) {
      ObjectRef ref = layout_[ir::ClassId(i)].staticsAddress;
      space_.placeStatics(ref, layout_[ir::ClassId(i)].staticsBytes);
      initialise(ref, layout_.staticsIndex(ir::ClassId(i)), 0);
      collector_.addStatics(ref);
    }
  }

  bool looksLikeYoungObject(Region& region, ObjectRef ref) const {
    const BlockInfo& block = region.blockOf(ref);
    if (block.kind == BlockKind::LargeHead) return ref % kBlockBytes == 0;
    const uint64_t epochWord = header(ref)->epochWord.load(std::memory_order_relaxed);
    if (block.kind != BlockKind::Small || (!isHomeEpoch(epochWord) && !isLentEpoch(epochWord))) return false;
    uint32_t index = classIndexOf(ref);
    if (index >= layout_.indexCount() || classes_[index]->instanceBytes == 0) return false;
    return (ref & (kBlockBytes - 1)) + ObjectModel::bytes(*classes_[index], ref) <= kBlockBytes;
  }

  const ModuleLayout& layout_;
  const ClassInfo* const* classes_;
  World& world_;
  RegionSource& regionSource_;
  const HeapOptions options_;

  mutable std::mutex mutex_;  // guards space_, allocator_, groups_, policy_, stats_, pauses_, phaseBegan_ and sweeping
  /// Held while a slice is marked, and by who gives blocks away or adopts them. Before mutex_.
  std::mutex sliceMutex_;
  BlockSpace space_;
  Allocator allocator_;
  Collector collector_;
  BlockGroups groups_;
  CollectionPolicy policy_;
  HeapStats stats_;
  PauseLog pauses_, pausesCpu_;
  int64_t phaseBegan_ = 0;  // of what goes on between pauses

  std::atomic<bool> isMarked_{false};  // a cycle's marking has come to its end, or nearly
  std::atomic<uint32_t> barrierFlags_{0};
  std::atomic<uint64_t> collections_{0}, fullCollections_{0};
  std::atomic<uint64_t> slowAllocations_{0};
  std::atomic<uint64_t> barrierCalls_{0};
  MarkedLive marked_;                                          // guarded by mutex_
  std::atomic<bool> noneYoung_{false};                         // in a pause, after its collection
  Background background_{[this] { return continueCycle(); }};  // last: it uses all of the above
};

}  // namespace

Result<std::unique_ptr<Heap>> Heap::tryCreate(const ModuleLayout& layout, const ClassInfo* const* classes, World& world,
                                              RegionSource& regions, HeapOptions options, bool isFirstNode) {
  auto heap = std::make_unique<RegionHeap>(layout, classes, world, regions, options);
  std::string error;
  if (!heap->open(isFirstNode, error)) return Error{ErrorCode::kUnavailable, error};
  return std::unique_ptr<Heap>(std::move(heap));
}

std::unique_ptr<Heap> Heap::create(const ModuleLayout& layout, const ClassInfo* const* classes, World& world,
                                   RegionSource& regions, HeapOptions options, bool isFirstNode) {
  auto heap = tryCreate(layout, classes, world, regions, options, isFirstNode);
  if (heap.ok()) return std::move(heap).value();
  std::fprintf(stderr, "jvmcluster: %s\n", heap.error().message.c_str());
  std::exit(1);
}

}  // namespace jvmc::rt
