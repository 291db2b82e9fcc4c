#include "runtime/heap/block_space.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace jvmc::rt {
namespace {

/// What objects of the runtime (exceptions while memory is out, objects that capture rebuilds) may take beyond the
/// limit.
constexpr uint64_t kReserveBlocks = 64;

std::string explainRefusal(const AddressPlan& plan, int error) {
  std::string why = fmt::format("cannot reserve {} GiB of addresses at {:#x}: {}", plan.bytes() >> 30, plan.base,
                                std::strerror(error));
  rlimit limit{};
  if (error == EEXIST) return why + " (another mapping lies in this range)";
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < plan.bytes())
    return why + " (the address space is limited: see `ulimit -v`)";
  if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur < plan.bytes())
    return why + " (data memory is limited: see `ulimit -d`)";
  return why + " (is vm.overcommit_memory 2? Choose a smaller address plan)";
}

/// The first of `count` adjacent free blocks, or blockCount() if there is no such run.
uint32_t findRun(const Region& region, uint32_t count) {
  uint32_t begin = region.freeHint;
  for (uint32_t i = begin; i < region.highWater && i - begin < count; ++i)
    if (region.blocks[i].kind != BlockKind::Free) begin = i + 1;
  return region.blockCount() - begin >= count ? begin : region.blockCount();
}

}  // namespace

BlockSpace::BlockSpace(const AddressPlan& plan, uint64_t limitBytes)
    : plan_(plan),
      planBytes_(plan.bytes()),
      limitBlocks_(std::max<uint64_t>(1, limitBytes >> kBlockShift)),
      table_(std::make_unique<std::atomic<Region*>[]>(plan.regionCount)) {}

BlockSpace::~BlockSpace() {
  if (mapped_) munmap(reinterpret_cast<void*>(plan_.base), planBytes_);
}

bool BlockSpace::map(std::string& error) {
  void* wanted = reinterpret_cast<void*>(plan_.base);
  void* got = mmap(wanted, planBytes_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != wanted) {
    error = explainRefusal(plan_, got == MAP_FAILED ? errno : EEXIST);
    if (got != MAP_FAILED) munmap(got, planBytes_);
    return false;
  }
  mapped_ = true;
  // A cached copy alone in 2 MiB must not cost 2 MiB; core dumps and children need none of it.
  madvise(got, planBytes_, MADV_NOHUGEPAGE);
  madvise(got, planBytes_, MADV_DONTDUMP);
  madvise(got, planBytes_, MADV_DONTFORK);
  return true;
}

void BlockSpace::addRegion(uint32_t index) {
  ensureRegion(index, /*foreign=*/false);
}

Region& BlockSpace::ensureRegion(uint32_t index, bool foreign) {
  JVMC_CHECK(index < plan_.regionCount, index);
  if (Region* known = table_[index].load(std::memory_order_relaxed)) return *known;
  auto region = std::make_unique<Region>(plan_.regionBase(index), plan_.regionShift);
  if (foreign) {
    region->freeHint = region->blockCount();
    for (uint32_t i = 0; i < region->blockCount(); ++i) region->blocks[i].kind = BlockKind::Away;
  }
  regions_.push_back(std::move(region));
  table_[index].store(regions_.back().get(), std::memory_order_release);
  return *regions_.back();
}

void BlockSpace::giveAway(Region& region, uint32_t first, uint32_t count) {
  for (uint32_t i = first; i < first + count; ++i) {
    BlockInfo& info = region.blocks[i];
    const bool hasBits = info.kind != BlockKind::LargeTail;
    info.kind = BlockKind::Away;
    info.used = info.leaving = false;
    info.hasExported.store(false, std::memory_order_relaxed);
    info.run = 0;
    info.lines.clear();
    info.marked.clear();
    if (!hasBits) continue;
    region.clearMarks(0, i);
    region.clearMarks(1, i);
    auto* exported = &region.exported[size_t(i) * kBitmapWordsPerBlock];
    for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w) exported[w].store(0, std::memory_order_relaxed);
  }
  madvise(reinterpret_cast<void*>(region.blockAddress(first)), uint64_t(count) << kBlockShift, MADV_DONTNEED);
  usedBlocks_ -= count;
}

Region& BlockSpace::adopt(uint64_t address, uint32_t count, BlockKind kind) {
  Region& region = ensureRegion(plan_.regionOf(address), /*foreign=*/true);
  const uint32_t first = region.blockIndex(address);
  for (uint32_t i = first; i < first + count; ++i) JVMC_CHECK(region.blocks[i].kind == BlockKind::Away, address);
  occupy(region, first, count);
  setKind(region, first, count, kind);
  return region;
}

void BlockSpace::setKind(Region& region, uint32_t first, uint32_t count, BlockKind kind) {
  region.blocks[first].kind = kind;
  region.blocks[first].run = count;
  for (uint32_t i = 1; i < count; ++i) {
    region.blocks[first + i].kind = BlockKind::LargeTail;
    region.blocks[first + i].run = i;
  }
}

void BlockSpace::openStaticsRegion() {
  addRegion(0);
  Region& region = *table_[0].load(std::memory_order_relaxed);
  region.blocks[0].kind = BlockKind::Reserved;
  region.highWater = 1;
}

void BlockSpace::placeStatics(ObjectRef object, uint64_t bytes) {
  Region& region = *table_[0].load(std::memory_order_relaxed);
  const uint32_t first = region.blockIndex(object);
  const uint32_t count = region.blockIndex(object + bytes - 1) + 1 - first;
  if (region.blocks[first].kind == BlockKind::Statics) return;
  occupy(region, first, count);
  setKind(region, first, count, BlockKind::Statics);
}

bool BlockSpace::overLimit(uint64_t count, bool reserve) const {
  return usedBlocks_ + count > limitBlocks_ + (reserve ? kReserveBlocks : 0);
}

BlockSpace::Blocks BlockSpace::takeBlock(bool reserve) {
  if (overLimit(1, reserve)) return {.refusal = Refusal::OverLimit};
  for (auto& region : regions_) {
    while (region->freeHint < region->blockCount() && region->blocks[region->freeHint].kind != BlockKind::Free)
      ++region->freeHint;
    if (region->freeHint == region->blockCount()) continue;
    Blocks taken = occupy(*region, region->freeHint, 1);
    setKind(*region, region->freeHint, 1, BlockKind::Small);
    return taken;
  }
  return {.refusal = Refusal::NoRegion};
}

BlockSpace::Blocks BlockSpace::takeRun(uint32_t count, bool reserve) {
  if (overLimit(count, reserve)) return {.refusal = Refusal::OverLimit};
  for (auto& region : regions_) {
    uint32_t first = findRun(*region, count);
    if (first == region->blockCount()) continue;
    Blocks taken = occupy(*region, first, count);
    setKind(*region, first, count, BlockKind::LargeHead);
    return taken;
  }
  return {.refusal = Refusal::NoRegion};
}

BlockSpace::Blocks BlockSpace::occupy(Region& region, uint32_t first, uint32_t count) {
  bool zeroed = true;
  for (uint32_t i = first; i < first + count; ++i) {
    zeroed &= !region.blocks[i].used;
    keptBlocks_ -= region.blocks[i].used;
    region.blocks[i].used = true;
    region.blocks[i].sweptIn = sweepNumber_;
    region.blocks[i].lines.clear();
  }
  region.highWater = std::max(region.highWater, first + count);
  usedBlocks_ += count;
  return {region.blockAddress(first), zeroed, Refusal::None};
}

void BlockSpace::release(Region& region, uint32_t first, uint32_t count) {
  for (uint32_t i = first; i < first + count; ++i) {
    region.blocks[i].kind = BlockKind::Free;
    region.blocks[i].collectionsFree = 0;
  }
  region.freeHint = std::min(region.freeHint, first);
  usedBlocks_ -= count;
  keptBlocks_ += count;
}

void BlockSpace::returnMemory(uint8_t idleCollections) {
  for (auto& region : regions_) {
    uint32_t begin = 0;  // of the idle blocks that end at i
    for (uint32_t i = 0; i <= region->highWater; ++i) {
      BlockInfo* info = i < region->highWater ? &region->blocks[i] : nullptr;
      if (info && info->kind == BlockKind::Free && info->used && info->collectionsFree++ >= idleCollections) {
        info->used = false;
        --keptBlocks_;
        continue;
      }
      if (begin < i)
        madvise(reinterpret_cast<void*>(region->blockAddress(begin)), uint64_t(i - begin) << kBlockShift,
                MADV_DONTNEED);
      begin = i + 1;
    }
  }
}

}  // namespace jvmc::rt
