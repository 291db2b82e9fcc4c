#include "runtime/heap/allocator.h"

#include <algorithm>
#include <cstring>

namespace jvmc::rt {
namespace {

constexpr uint64_t kPieceBytes = 8u << 10;  ///< zeroed at a time
constexpr uint64_t kSentinelBytes = 8;      ///< the zero word behind the last object
constexpr uint32_t kMinHoleLines = 2;       ///< a shorter hole is not worth the lock
constexpr uint64_t kMinReturnedBytes = 512;

void zero(uint64_t begin, uint64_t end) {
  std::memset(reinterpret_cast<void*>(begin), 0, end - begin);
}

/// Zeroes [from, limit) and a sentinel behind it, as far as the area reaches, and makes that the context's limit.
void zeroPiece(ThreadContext& ctx, uint64_t from, uint64_t limit) {
  uint64_t end = std::min(ctx.allocAreaEnd, limit + kSentinelBytes);
  zero(from, end);
  ctx.allocLimit = end == ctx.allocAreaEnd ? end : end - kSentinelBytes;
}

}  // namespace

bool Allocator::extend(ThreadContext& ctx, uint64_t bytes) {
  uint64_t needed = ctx.allocCursor + bytes;
  if (needed <= ctx.allocLimit) return true;
  if (needed > ctx.allocAreaEnd) return false;
  zeroPiece(ctx, ctx.allocLimit + kSentinelBytes, std::max(needed, ctx.allocLimit + kPieceBytes));
  return needed <= ctx.allocLimit;
}

BlockSpace::Refusal Allocator::takeArea(ThreadContext& ctx, uint64_t bytes) {
  Area area;
  if (!takeReturned(bytes, area) && !takeHole(bytes, area)) {
    BlockSpace::Blocks block = space_.takeBlock();
    if (!block.address) return block.refusal;
    area = {.begin = block.address, .end = block.address + kBlockBytes, .zeroed = block.zeroed, .starts = {}};
  }
  record(area);
  ctx.allocCursor = area.begin;
  ctx.allocAreaEnd = area.end;
  if (area.zeroed)
    ctx.allocLimit = area.end;
  else
    zeroPiece(ctx, area.begin, area.begin + std::max(bytes, kPieceBytes));
  return BlockSpace::Refusal::None;
}

void Allocator::returnArea(ThreadContext& ctx) {
  if (ctx.allocAreaEnd - ctx.allocCursor >= kMinReturnedBytes) {
    returned_.push_back({.begin = ctx.allocCursor, .end = ctx.allocAreaEnd, .starts = {}});
    bytesSinceReset_ -= ctx.allocAreaEnd - ctx.allocCursor;
  }
  ctx.allocCursor = ctx.allocLimit = ctx.allocAreaEnd = 0;
}

bool Allocator::takeReturned(uint64_t bytes, Area& area) {
  if (returned_.empty() || returned_.back().end - returned_.back().begin < bytes) return false;
  area = returned_.back();
  returned_.pop_back();
  return true;
}

bool Allocator::takeHole(uint64_t bytes, Area& area) {
  for (;;) {
    if (holeLine_ == kLinesPerBlock) {
      if (recyclableNext_ == recyclable_.size()) return false;
      holeBlock_ = recyclable_[recyclableNext_++];
      holeLine_ = 0;
    }
    const LineMap& lines = space_.regionOf(holeBlock_)->blockOf(holeBlock_).lines;
    uint32_t first = lines.nextFree(holeLine_);
    uint32_t end = first == kLinesPerBlock ? first : lines.nextMarked(first);
    holeLine_ = end;
    if (end - first < kMinHoleLines || uint64_t(end - first) << kLineShift < bytes) continue;
    area = {.begin = holeBlock_ + (uint64_t(first) << kLineShift),
            .end = holeBlock_ + (uint64_t(end) << kLineShift),
            .starts = {}};
    return true;
  }
}

BlockSpace::Blocks Allocator::takeShared(uint64_t bytes, bool reserve, bool holes) {
  if (shared_.end - shared_.begin < bytes) {
    if (!holes || !takeHole(bytes, shared_)) {
      BlockSpace::Blocks block = space_.takeBlock(reserve);
      if (!block.address) return block;
      shared_ = {.begin = block.address, .end = block.address + kBlockBytes, .zeroed = block.zeroed, .starts = {}};
    }
    record(shared_);
  }
  uint64_t address = shared_.begin;
  shared_.begin += bytes;
  if (!shared_.zeroed) zero(address, std::min(shared_.end, shared_.begin + kSentinelBytes));
  return {address, true, BlockSpace::Refusal::None};
}

BlockSpace::Blocks Allocator::takeLarge(uint64_t bytes, bool reserve) {
  uint64_t blocks = (bytes + kBlockBytes - 1) >> kBlockShift;
  if (blocks > (uint64_t(1) << space_.plan().regionShift >> kBlockShift))  // an object lies in one region
    return {.refusal = BlockSpace::Refusal::OverLimit};
  BlockSpace::Blocks taken = space_.takeRun(uint32_t(blocks), reserve);
  if (!taken.address) return taken;
  youngLarge_.push_back(taken.address);
  bytesSinceReset_ += blocks << kBlockShift;
  return taken;
}

void Allocator::record(const Area& area) {
  areas_.push_back(area);
  bytesSinceReset_ += area.end - area.begin;
}

void Allocator::beginCollection() {
  std::sort(areas_.begin(), areas_.end(), [](const Area& a, const Area& b) { return a.begin < b.begin; });
  // A rest that was handed out again lies inside the area it was left from; a walk of that one goes on into it.
  size_t kept = 0;
  for (size_t i = 0; i < areas_.size(); ++i) {
    if (kept > 0 && areas_[i].begin < areas_[kept - 1].end) continue;
    if (kept != i) areas_[kept] = std::move(areas_[i]);
    ++kept;
  }
  areas_.resize(kept);
}

Allocator::Area* Allocator::areaAround(uint64_t address) {
  auto after = std::upper_bound(areas_.begin(), areas_.end(), address,
                                [](uint64_t at, const Area& area) { return at < area.begin; });
  return after != areas_.begin() && address < std::prev(after)->end ? &*std::prev(after) : nullptr;
}

ObjectRef Allocator::youngObjectAt(uint64_t address) {
  Area* area = areaAround(address);
  if (!area) return kNullRef;
  walk(*area);
  auto after = std::upper_bound(area->starts.begin(), area->starts.end(), uint32_t(address - area->begin));
  if (after == area->starts.begin()) return kNullRef;
  ObjectRef start = area->begin + *std::prev(after);
  return address < start + model_.bytes(start) ? start : kNullRef;
}

void Allocator::walk(Area& area) {
  if (area.walked) return;
  area.walked = true;
  for (uint64_t at = area.begin; at < area.end && header(at)->epochWord.load(std::memory_order_relaxed) != 0;
       at += model_.bytes(at))
    area.starts.push_back(uint32_t(at - area.begin));
}

void Allocator::withdraw(uint64_t begin, uint64_t end) {
  const auto inside = [&](uint64_t address) { return address >= begin && address < end; };
  for (const Area& area : areas_) JVMC_CHECK(!inside(area.begin), area.begin);
  std::erase_if(recyclable_, inside);
}

void Allocator::endCollection(bool keepHoles) {
  areas_.clear();
  returned_.clear();
  youngLarge_.clear();
  shared_ = {};
  bytesSinceReset_ = 0;
  if (keepHoles) {
    // The block under way goes to the end of the list: some of its holes are areas now, and areas may be holes again.
    recyclable_.erase(recyclable_.begin(), recyclable_.begin() + ptrdiff_t(recyclableNext_));
  } else {
    recyclable_.clear();
  }
  recyclableNext_ = 0;
  holeLine_ = kLinesPerBlock;
}

}  // namespace jvmc::rt
