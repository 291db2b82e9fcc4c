#include "cluster/objects/evictor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace jvmc::cluster {

namespace {

/// What the world is stopped for at a time: to look at 8 blocks full of small objects takes half a millisecond.
constexpr size_t kBlocksAtOnce = 8;

constexpr uint64_t pageOf(uint64_t address) {
  return address & ~(CopyMap::kPageBytes - 1);
}

}  // namespace

uint64_t Evictor::evict(uint64_t bytes) {
  uint64_t freed = 0;
  std::set<uint64_t> seen;
  for (bool more = true; more && freed < bytes && !stopped_;) {
    std::vector<uint64_t> blocks = core_.copyMap.nextBlocks(kBlocksAtOnce);
    more = !blocks.empty();
    for (uint64_t block : blocks) more = seen.insert(block).second && more;
    if (!blocks.empty()) freed += evictSome(blocks);
  }
  return freed;
}

uint64_t Evictor::evictSome(const std::vector<uint64_t>& blocks) {
  uint64_t freed = 0;
  host_.stopWorld([&] {
    collectPinned(blocks);
    for (uint64_t block : blocks)
      if (isCopyBlock(block))
        freed += evictBlock(block, [&](const CopyUnit& unit) {
          if (isPinned(unit)) return true;
          core_.contentChanges(unit.object);
          return false;
        });
  });
  core_.stats.evictedBytes += freed;
  return freed;
}

bool Evictor::dropCopies(uint64_t block, const std::function<bool(ObjectRef)>& drop) {
  bool all = true;
  core_.stats.evictedBytes += evictBlock(block, [&](const CopyUnit& unit) {
    if (!drop(unit.object)) return true;
    EntryTable::Shard& shard = core_.table.shard(unit);
    std::lock_guard lock(shard.mutex);
    const bool isFree = !shard.entries.contains(unit);
    all = all && isFree;
    return !isFree;
  });
  return all;
}

/// All copies but those that stay become invalid (epoch 0); pages with nothing else on them go back to the system.
uint64_t Evictor::evictBlock(uint64_t block, const std::function<bool(const CopyUnit& unit)>& stays) {
  std::vector<uint64_t> pages;  // that may go; ascending, as the copies come
  uint64_t keptEnd = 0;         // of the last page that stays
  core_.copyMap.forEachCopy(block, [&](uint64_t begin) {
    const CopyUnit unit = core_.chunks.unitAt(begin);
    const uint64_t end = endOf(unit);
    if (stays(unit)) {
      while (!pages.empty() && pages.back() >= pageOf(begin)) pages.pop_back();
      keptEnd = pageOf(end - 1) + CopyMap::kPageBytes;
      return;
    }
    // All of it becomes zero: another object may begin in the middle some day, when this one is dead. Pages that hold
    // nothing else do so below.
    const uint64_t headEnd = std::min(end, pageOf(begin) + CopyMap::kPageBytes);
    const uint64_t tail = std::max(headEnd, pageOf(end - 1));
    std::memset(reinterpret_cast<void*>(begin), 0, headEnd - begin);
    std::memset(reinterpret_cast<void*>(tail), 0, end - tail);
    core_.copyMap.drop(begin);
    if (unit.chunk != 0) core_.chunks.drop(unit);
    core_.stats.evictedObjects++;
    const uint64_t fresh = pages.empty() ? keptEnd : std::max(keptEnd, pages.back() + CopyMap::kPageBytes);
    for (uint64_t page = std::max(pageOf(begin), fresh); page < end; page += CopyMap::kPageBytes) pages.push_back(page);
  });
  for (uint64_t page : pages) {
    madvise(reinterpret_cast<void*>(page), CopyMap::kPageBytes, MADV_DONTNEED);
    core_.copyMap.dropPage(page);
  }
  return pages.size() * CopyMap::kPageBytes;
}

/// The block's home is elsewhere, and nothing is going on with it.
bool Evictor::isCopyBlock(uint64_t block) const {
  const BlockHome home = core_.homes.at(block);
  return home.state == HomeState::Settled && home.node != core_.self;
}

void Evictor::collectPinned(const std::vector<uint64_t>& blocks) {
  pinned_.clear();
  held_ = core_.options.fault == Fault::HoldNothing ? std::set<uint64_t>() : host_.heldBlocks();
  core_.table.forEach([&](const CopyUnit& unit, const Entry& entry) {
    const uint64_t block = unit.base() & ~uint64_t(rt::kBlockBytes - 1);
    const bool concerned = std::find(blocks.begin(), blocks.end(), block) != blocks.end();
    if (concerned && (entry.hasTwin || !entry.idle())) pinned_.insert(unit);
  });
}

/// Busy or dirty, or of an object that a thread may rely on, anywhere in it. The head of an array stays as long as it
/// may have chunks: it says what they are.
bool Evictor::isPinned(const CopyUnit& unit) {
  const ObjectShape whole = core_.shapeOf(unit.object);
  if (unit.chunk == 0 && whole.chunksOf(unit.object) != 0) return true;
  const auto held = held_.lower_bound(unit.object & ~uint64_t(rt::kBlockBytes - 1));
  return pinned_.contains(unit) || (held != held_.end() && *held < unit.object + whole.end());
}

/// The header of an object is there as long as the copy is noted. Behind the last chunk of an array there is nothing.
uint64_t Evictor::endOf(const CopyUnit& unit) {
  return unit.base() + (unit.chunk != 0 ? kArrayChunkBytes : core_.shapeOf(unit).end());
}

}  // namespace jvmc::cluster
