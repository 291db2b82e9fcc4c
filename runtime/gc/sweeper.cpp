#include "runtime/gc/sweeper.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace jvmc::rt {
namespace {

/// Stands out in a debugger and is not a canonical address.
constexpr unsigned char kPoisonByte = 0xDB;

}  // namespace

// ---------------------------------------------------------------- after a young marking

void Sweeper::sweepYoung(uint64_t newLines) {
  liveLines_ += newLines;
  allocator_.forEachYoungBlock([&](uint64_t address) {
    Region& region = *space_.regionOf(address);
    const BlockInfo& info = region.blockOf(address);
    const LineMap& lines = info.lines;
    if (lines.empty())
      space_.release(region, region.blockIndex(address), 1);
    else if (lines.count() < kLinesPerBlock && !info.leaving)
      holes_.push_back(address);
  });
  for (ObjectRef large : allocator_.youngLarge()) {
    Region& region = *space_.regionOf(large);
    uint32_t block = region.blockIndex(large), blocks = region.blocks[block].run;
    if (space_.isOld(region, large))
      liveLargeBlocks_ += blocks;
    else
      space_.release(region, block, blocks);
  }
}

void Sweeper::publishHoles() {
  for (uint64_t block : std::exchange(holes_, {})) allocator_.addRecyclable(block);
}

void Sweeper::poisonYoung(int side) {
  if (!poison_) return;
  auto poisonUnlessMarked = [&](ObjectRef ref) {
    if (!space_.regionOf(ref)->isMarked(side, ref)) poisonObject(ref);
  };
  allocator_.forEachYoungObject(poisonUnlessMarked);
  for (ObjectRef large : allocator_.youngLarge()) poisonUnlessMarked(large);
}

// ---------------------------------------------------------------- after a full marking

void Sweeper::begin() {
  regionIndex_ = 0;
  block_ = 0;
  liveLines_ = liveLargeBlocks_ = 0;
}

bool Sweeper::sweep(uint32_t blocks) {
  if (isDone()) return true;
  for (; regionIndex_ < space_.regions().size(); ++regionIndex_, block_ = 0) {
    Region& region = *space_.regions()[regionIndex_];
    for (; block_ < region.highWater; ++block_) {
      if (blocks-- == 0) return false;
      sweepBlock(region, block_);
    }
  }
  regionIndex_ = kDone;
  space_.returnMemory();
  return true;
}

void Sweeper::sweepBlock(Region& region, uint32_t block) {
  BlockInfo& info = region.blocks[block];
  if (info.sweptIn == space_.sweepNumber()) return;
  info.sweptIn = space_.sweepNumber();
  if (info.kind == BlockKind::Small) sweepSmall(region, block);
  if (info.kind == BlockKind::LargeHead) sweepLarge(region, block);
  if (info.kind == BlockKind::Statics) region.clearMarks(space_.newSide(), block);
}

void Sweeper::sweepSmall(Region& region, uint32_t block) {
  if (poison_) {
    const MarkWords* words = region.blockMarks(block);
    auto dead = [&](uint32_t w) {
      return words[w].side[space_.newSide()].load(std::memory_order_relaxed) &
             ~words[w].side[space_.oldSide()].load(std::memory_order_relaxed);
    };
    forEachBit(region, block, dead, [&](ObjectRef ref) { poisonObject(ref); });
  }
  region.clearMarks(space_.newSide(), block);
  BlockInfo& info = region.blocks[block];
  info.lines = std::exchange(info.marked, {});
  uint32_t live = info.lines.count();
  liveLines_ += live;
  if (info.leaving) return;  // a block of which all are dead is one too: nobody else may allocate here
  if (live == 0)
    space_.release(region, block, 1);
  else if (live < kLinesPerBlock)
    allocator_.addRecyclable(region.blockAddress(block));
}

void Sweeper::sweepLarge(Region& region, uint32_t block) {
  ObjectRef ref = region.blockAddress(block);
  uint32_t blocks = region.blocks[block].run;
  bool wasOld = region.isMarked(space_.newSide(), ref);
  if (wasOld) region.clearMarks(space_.newSide(), block);
  if (space_.isOld(region, ref)) {
    liveLargeBlocks_ += blocks;
    return;
  }
  if (poison_ && wasOld) poisonObject(ref);
  space_.release(region, block, blocks);
}

void Sweeper::releaseLarge(Region& region, uint32_t block) {
  const uint32_t blocks = region.blocks[block].run;
  liveLargeBlocks_ -= std::min<uint64_t>(liveLargeBlocks_, blocks);
  space_.release(region, block, blocks);
}

// ---------------------------------------------------------------- homes that move

void Sweeper::blocksLeave(const Region& region, uint32_t first) {
  const BlockInfo& info = region.blocks[first];
  if (!isDone() && info.sweptIn != space_.sweepNumber()) return;  // not counted yet
  if (info.kind == BlockKind::Small) liveLines_ -= std::min<uint64_t>(liveLines_, info.lines.count());
  if (info.kind == BlockKind::LargeHead) liveLargeBlocks_ -= std::min<uint64_t>(liveLargeBlocks_, info.run);
}

void Sweeper::blocksHaveCome(const Region& region, uint32_t first) {
  const BlockInfo& info = region.blocks[first];  // the sweep under way passes it over
  if (info.kind == BlockKind::Small) liveLines_ += info.lines.count();
  if (info.kind == BlockKind::LargeHead) liveLargeBlocks_ += info.run;
}

void Sweeper::poisonObject(ObjectRef ref) {
  std::memset(reinterpret_cast<void*>(ref), kPoisonByte, model_.bytes(ref));
  header(ref)->epochWord.store(kEpochInvalid, std::memory_order_relaxed);
}

}  // namespace jvmc::rt
