// The heap's front: allocation fast and slow paths, when to collect, and what other parts ask about objects. Memory
// comes from Allocator and BlockSpace under `mutex_`; Collector works inside World::stop.
//
// When to collect: after as many bytes as were live after the last collection, at least kMinGrowth, and when the limit
// is reached. An allocation that fails right after a collection fails for good: null, and the caller throws.
#include "runtime/heap/heap.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>

#include "runtime/gc/collector.h"
#include "runtime/heap/allocator.h"

namespace jvmc::rt {
namespace {

constexpr uint64_t kMinGrowth = 32u << 20;
/// An object larger than this does not make its context give up a partly used area.
constexpr uint64_t kMediumBytes = 2u << 10;
/// Blocks that forEachSurvivor visits under one lock.
constexpr uint32_t kSurvivorStep = 16;

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
        collector_(space_, allocator_, ObjectModel(classes), world, options.collectEvery != 0),
        trigger_(firstTrigger()) {}

  bool open(bool isFirstNode, std::string& error) {
    if (!space_.map(error)) return false;
    if (isFirstNode) createStatics();
    if (options_.countBarriers) world_.setBarrierFlags(kBarrierCount);
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
    std::scoped_lock lock(mutex_);
    allocator_.returnArea(ctx);
  }

  void addRoots(RootSource source) override { roots_.push_back(std::move(source)); }

  void collect(ThreadContext* self) override {
    world_.stop(self, [&] { collectStopped(); });
  }

  void exportObject(ObjectRef ref) override {
    Region* region = space_.homeRegionOf(ref);
    if (!region) return;
    uint32_t flags = header(ref)->classWord.fetch_or(kFlagExported, std::memory_order_relaxed);
    if (flags & kFlagExported) return;
    size_t granule = region->granule(ref);
    region->exported[granule / 64].fetch_or(uint64_t(1) << (granule % 64), std::memory_order_relaxed);
    region->blockOf(ref).hasExported.store(true, std::memory_order_relaxed);
  }

  void onBarrier(ObjectRef, uint64_t, ObjectRef) override {
    if (!options_.countBarriers) return;
    barrierCalls_.fetch_add(1, std::memory_order_relaxed);
  }

  bool plausible(ObjectRef ref) const override {
    if (ref % kObjectAlignment != 0 || !layout_.plan().contains(ref)) return false;
    Region* region = space_.homeRegionOf(ref);
    if (!region) return true;
    size_t granule = region->granule(ref);
    if (region->exported[granule / 64].load(std::memory_order_relaxed) >> (granule % 64) & 1) return true;
    std::scoped_lock lock(mutex_);
    return region->test(region->starts, ref) || looksLikeYoungObject(*region, ref);
  }

  bool isLocal(ObjectRef ref) const override { return space_.homeRegionOf(ref) != nullptr; }

  std::vector<BlockGroup> withdraw(uint64_t bytes) override {
    std::scoped_lock lock(mutex_);
    world_.forEachContext([&](ThreadContext& ctx) { allocator_.returnArea(ctx); });
    std::vector<BlockGroup> groups = chooseGroups(bytes);
    for (const BlockGroup& group : groups) {
      allocator_.withdraw(group.address, group.end());
      forEachObject(group, [&](ObjectRef ref) { exportObject(ref); });
    }
    return groups;
  }

  void restore(const BlockGroup& group) override {
    std::scoped_lock lock(mutex_);
    space_.regionOf(group.address)->blockOf(group.address).leaving = false;
  }

  void forEachObject(const BlockGroup& group, const std::function<void(ObjectRef)>& visit) override {
    Region& region = *space_.regionOf(group.address);
    const uint64_t* starts = region.blockBits(region.starts, region.blockIndex(group.address));
    for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w)
      for (uint64_t word = starts[w]; word; word &= word - 1)
        visit(group.address + (uint64_t(w * 64 + std::countr_zero(word)) << kGranuleShift));
  }

  void giveAway(const BlockGroup& group) override {
    std::scoped_lock lock(mutex_);
    Region& region = *space_.regionOf(group.address);
    space_.giveAway(region, region.blockIndex(group.address), group.blocks);
    stats_.liveBytesAfterLast -= std::min(stats_.liveBytesAfterLast, group.bytes());
  }

  void adopt(const BlockGroup& group, const std::vector<ObjectRef>& objects) override {
    std::scoped_lock lock(mutex_);
    Region& region = space_.adopt(group.address, group.blocks, group.large ? BlockKind::LargeHead : BlockKind::Small);
    for (ObjectRef ref : objects) {
      region.set(region.starts, ref);
      const size_t granule = region.granule(ref);
      region.exported[granule / 64].fetch_or(uint64_t(1) << (granule % 64), std::memory_order_relaxed);
    }
    region.blockOf(group.address).hasExported.store(true, std::memory_order_relaxed);
    stats_.liveBytesAfterLast += group.bytes();
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
          visitStarts(*space_.regions()[region], i, visit);
      }
    }
  }

 private:
  void visitStarts(Region& region, uint32_t block, const std::function<void(ClassIndex, uint64_t bytes)>& visit) {
    const BlockKind kind = region.blocks[block].kind;
    if (kind != BlockKind::Small && kind != BlockKind::LargeHead) return;
    const uint64_t* starts = region.blockBits(region.starts, block);
    for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w) {
      for (uint64_t word = starts[w]; word; word &= word - 1) {
        const ObjectRef ref = region.blockAddress(block) + (uint64_t(w * 64 + std::countr_zero(word)) << kGranuleShift);
        const ClassIndex index = classIndexOf(ref);
        visit(index, ObjectModel::bytes(*classes_[index], ref));
      }
    }
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
    world_.safepoint(ctx);
    if (!zeal() && Allocator::extend(ctx, bytes)) return initialise(bump(ctx, bytes), index, length);
    if (zeal() && (slowAllocations_.fetch_add(1, std::memory_order_relaxed) + 1) % options_.collectEvery == 0)
      collect(&ctx);
    else if (collectionIsDue(bytes))
      collectUnlessDone(ctx);
    uint64_t address = takeMemory(ctx, bytes);
    if (!address) {
      collectUnlessDone(ctx);
      address = takeMemory(ctx, bytes);
    }
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

  uint64_t firstTrigger() const {
    return std::max<uint64_t>(kBlockBytes, std::min(kMinGrowth, options_.limitBytes / 4));
  }

  bool collectionIsDue(uint64_t bytes) const {
    std::scoped_lock lock(mutex_);
    return allocator_.bytesSinceReset() + bytes >= trigger_ && allocator_.bytesSinceReset() > 0;
  }

  /// Collects, unless another thread has done so while this one waited for its turn.
  void collectUnlessDone(ThreadContext& ctx) {
    uint64_t seen = collections_.load(std::memory_order_relaxed);
    world_.stop(&ctx, [&] {
      if (collections_.load(std::memory_order_relaxed) == seen) collectStopped();
    });
  }

  void collectStopped() {
    auto begin = std::chrono::steady_clock::now();
    std::scoped_lock lock(mutex_);
    world_.forEachContext([&](ThreadContext& ctx) { allocator_.returnArea(ctx); });
    stats_.allocatedBytes += allocator_.bytesSinceReset();
    CollectionResult result = collector_.collect(roots_);
    trigger_ = std::max(firstTrigger(), std::min(result.liveBytes, options_.limitBytes / 2));
    stats_.liveBytesAfterLast = result.liveBytes;
    stats_.collections = collections_.fetch_add(1, std::memory_order_relaxed) + 1;
    uint64_t nanos = uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
    stats_.pauseNanosTotal += nanos;
    stats_.pauseNanosMax = std::max(stats_.pauseNanosMax, nanos);
  }

  void createStatics() {
    space_.placeStatics(layout_.staticsEnd());
    Region& region = *space_.regionOf(layout_.plan().base);
    for (uint32_t i = 0; i < layout_.module().classes.size(); ++i) {
      ObjectRef ref = layout_[ir::ClassId(i)].staticsAddress;
      initialise(ref, layout_.staticsIndex(ir::ClassId(i)), 0);
      region.set(region.starts, ref);
    }
  }

  /// Groups in use, in turn, and marks them as leaving: the search goes on behind the block at which the last one
  /// ended.
  std::vector<BlockGroup> chooseGroups(uint64_t bytes) {
    std::vector<BlockGroup> groups;
    uint64_t chosen = 0;
    const auto& regions = space_.regions();
    for (size_t n = 0; n <= regions.size() && chosen < bytes; ++n) {
      if (nextLeaving_.region >= regions.size()) nextLeaving_ = {};
      Region& region = *regions[nextLeaving_.region];
      for (uint32_t& i = nextLeaving_.block; i < region.highWater && chosen < bytes; ++i) {
        BlockInfo& info = region.blocks[i];
        const bool large = info.kind == BlockKind::LargeHead;
        if (info.leaving || (!large && info.kind != BlockKind::Small)) continue;
        const BlockGroup group{region.blockAddress(i), large ? info.run : 1, large};
        if (!groups.empty() && chosen + group.bytes() > bytes) return groups;
        info.leaving = true;
        groups.push_back(group);
        chosen += group.bytes();
      }
      if (chosen < bytes) nextLeaving_ = {nextLeaving_.region + 1, 0};
    }
    return groups;
  }

  bool looksLikeYoungObject(Region& region, ObjectRef ref) const {
    const BlockInfo& block = region.blockOf(ref);
    if (block.kind != BlockKind::Small || !isHomeEpoch(header(ref)->epochWord.load(std::memory_order_relaxed)))
      return false;
    uint32_t index = classIndexOf(ref);
    if (index >= layout_.indexCount() || classes_[index]->instanceBytes == 0) return false;
    return (ref & (kBlockBytes - 1)) + ObjectModel::bytes(*classes_[index], ref) <= kBlockBytes;
  }

  const ModuleLayout& layout_;
  const ClassInfo* const* classes_;
  World& world_;
  RegionSource& regionSource_;
  const HeapOptions options_;

  struct Place {
    size_t region = 0;
    uint32_t block = 0;
  };

  mutable std::mutex mutex_;  // guards space_, allocator_, stats_, trigger_, nextLeaving_
  Place nextLeaving_;
  BlockSpace space_;
  Allocator allocator_;
  Collector collector_;
  uint64_t trigger_;
  HeapStats stats_;

  std::vector<RootSource> roots_;
  std::atomic<uint64_t> collections_{0};
  std::atomic<uint64_t> slowAllocations_{0};
  std::atomic<uint64_t> barrierCalls_{0};
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
