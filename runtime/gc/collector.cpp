#include "runtime/gc/collector.h"

#include <cstring>

namespace jvmc::rt {
namespace {

/// Stands out in a debugger and is not a canonical address.
constexpr unsigned char kPoisonByte = 0xDB;

template <class Visit>
void forEachBlock(BlockSpace& space, Visit visit) {
  for (auto& region : space.regions())
    for (uint32_t i = 0; i < region->highWater; ++i) visit(*region, i, region->blocks[i]);
}

/// Calls `visit(ObjectRef)` for each bit of a block's bitmap that `select(word index)` leaves.
template <class Select, class Visit>
void forEachBit(Region& region, uint32_t block, Select select, Visit visit) {
  for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w)
    for (uint64_t word = select(w); word; word &= word - 1)
      visit(region.blockAddress(block) + (uint64_t(w * 64 + std::countr_zero(word)) << kGranuleShift));
}

/// Reads another fiber's stack: red zones between its variables are none of the sanitizer's business here.
[[gnu::no_sanitize("address", "thread")]] void scanWords(Marker& marker, const volatile uint64_t* low,
                                                         const volatile uint64_t* high) {
  for (const volatile uint64_t* word = low; word < high; ++word) marker.markConservative(*word);
}

}  // namespace

CollectionResult Collector::collect(const std::vector<RootSource>& roots) {
  CollectionResult result;
  allocator_.beginCollection();
  if (poison_) allocator_.publishAllStarts();
  Marker marker(space_, allocator_, model_, poison_);
  clearMarks();
  markRoots(marker, roots);
  marker.drain();
  result.liveObjects = marker.objectCount();
  sweep(result);
  allocator_.reset(std::move(recyclable_));
  recyclable_ = {};
  space_.returnMemory();
  return result;
}

void Collector::clearMarks() {
  forEachBlock(space_, [](Region& region, uint32_t i, BlockInfo& info) {
    if (info.kind == BlockKind::Free || info.kind == BlockKind::LargeTail || info.kind == BlockKind::Away) return;
    info.lines.clear();
    size_t words = info.kind == BlockKind::LargeHead ? 1 : kBitmapWordsPerBlock;  // a large object starts at its block
    std::memset(region.blockBits(region.marks, i), 0, words * sizeof(uint64_t));
  });
}

void Collector::markRoots(Marker& marker, const std::vector<RootSource>& roots) {
  for (const RootSource& source : roots) source([&](ObjectRef ref) { marker.markPrecise(ref); });
  markExported(marker);
  markStatics(marker);
  markStacks(marker);
}

void Collector::markExported(Marker& marker) {
  forEachBlock(space_, [&](Region& region, uint32_t i, BlockInfo& info) {
    if (!info.hasExported.load(std::memory_order_relaxed)) return;
    const auto* bits = &region.exported[size_t(i) * kBitmapWordsPerBlock];
    forEachBit(
        region, i, [&](uint32_t w) { return bits[w].load(std::memory_order_relaxed); },
        [&](ObjectRef ref) { marker.markPrecise(ref); });
  });
}

void Collector::markStatics(Marker& marker) {
  forEachBlock(space_, [&](Region& region, uint32_t i, BlockInfo& info) {
    if (info.kind != BlockKind::Statics) return;
    const uint64_t* bits = region.blockBits(region.starts, i);
    forEachBit(region, i, [&](uint32_t w) { return bits[w]; }, [&](ObjectRef ref) { marker.markPrecise(ref); });
  });
}

void Collector::markStacks(Marker& marker) {
  world_.forEachStack([&](const uint64_t* low, const uint64_t* high) { scanWords(marker, low, high); });
}

void Collector::sweep(CollectionResult& result) {
  forEachBlock(space_, [&](Region& region, uint32_t i, BlockInfo& info) {
    if (info.kind == BlockKind::Small) sweepSmall(region, i, result);
    if (info.kind == BlockKind::LargeHead) sweepLarge(region, i, result);
  });
}

void Collector::sweepSmall(Region& region, uint32_t block, CollectionResult& result) {
  if (poison_) poisonDead(region, block);
  uint64_t* starts = region.blockBits(region.starts, block);
  BlockInfo& info = region.blocks[block];
  LineMap& lines = info.lines;
  if (lines.empty()) {
    std::memset(starts, 0, kBitmapWordsPerBlock * sizeof(uint64_t));
    space_.release(region, block, 1);
    return;
  }
  std::memcpy(starts, region.blockBits(region.marks, block), kBitmapWordsPerBlock * sizeof(uint64_t));
  uint32_t live = lines.count();
  result.liveBytes += uint64_t(live) << kLineShift;
  if (live < kLinesPerBlock && !info.leaving) recyclable_.push_back(region.blockAddress(block));
}

void Collector::sweepLarge(Region& region, uint32_t block, CollectionResult& result) {
  ObjectRef ref = region.blockAddress(block);
  uint32_t blocks = region.blocks[block].run;
  if (region.test(region.marks, ref)) {
    result.liveBytes += uint64_t(blocks) << kBlockShift;
    return;
  }
  if (poison_) {
    std::memset(reinterpret_cast<void*>(ref), kPoisonByte, model_.bytes(ref));
    header(ref)->epochWord.store(kEpochInvalid, std::memory_order_relaxed);
  }
  region.starts[region.granule(ref) / 64] = 0;
  space_.release(region, block, blocks);
}

void Collector::poisonDead(Region& region, uint32_t block) {
  const uint64_t* starts = region.blockBits(region.starts, block);
  const uint64_t* marks = region.blockBits(region.marks, block);
  forEachBit(
      region, block, [&](uint32_t w) { return starts[w] & ~marks[w]; },
      [&](ObjectRef ref) {
        std::memset(reinterpret_cast<void*>(ref), kPoisonByte, model_.bytes(ref));
        header(ref)->epochWord.store(kEpochInvalid, std::memory_order_relaxed);
      });
}

}  // namespace jvmc::rt
