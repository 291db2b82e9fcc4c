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
    area = {block.address, block.address + kBlockBytes, block.zeroed};
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
    returned_.push_back({ctx.allocCursor, ctx.allocAreaEnd, false});
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
    area = {holeBlock_ + (uint64_t(first) << kLineShift), holeBlock_ + (uint64_t(end) << kLineShift), false};
    return true;
  }
}

BlockSpace::Blocks Allocator::takeShared(uint64_t bytes, bool reserve, bool holes) {
  if (shared_.end - shared_.begin < bytes) {
    if (!holes || !takeHole(bytes, shared_)) {
      BlockSpace::Blocks block = space_.takeBlock(reserve);
      if (!block.address) return block;
      shared_ = {block.address, block.address + kBlockBytes, block.zeroed};
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
  Region& region = *space_.regionOf(taken.address);
  region.set(region.starts, taken.address);
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
  for (const Area& area : areas_)
    if (kept == 0 || area.begin >= areas_[kept - 1].end) areas_[kept++] = area;
  areas_.resize(kept);
}

void Allocator::publishStartsAround(uint64_t address) {
  auto after = std::upper_bound(areas_.begin(), areas_.end(), address,
                                [](uint64_t at, const Area& area) { return at < area.begin; });
  if (after != areas_.begin() && address < std::prev(after)->end) walk(*std::prev(after));
}

void Allocator::publishAllStarts() {
  for (Area& area : areas_) walk(area);
}

void Allocator::walk(Area& area) {
  if (area.walked) return;
  area.walked = true;
  Region& region = *space_.regionOf(area.begin);
  for (uint64_t at = area.begin; at < area.end && header(at)->epochWord.load(std::memory_order_relaxed) != 0;
       at += model_.bytes(at))
    region.set(region.starts, at);
}

void Allocator::withdraw(uint64_t begin, uint64_t end) {
  const auto inside = [&](uint64_t address) { return address >= begin && address < end; };
  for (Area& area : areas_) {
    if (!inside(area.begin)) continue;
    walk(area);
    area.walked = false;
  }
  std::erase_if(areas_, [&](const Area& area) { return inside(area.begin); });
  std::erase_if(returned_, [&](const Area& area) { return inside(area.begin); });
  if (inside(shared_.begin) || inside(shared_.end - 1)) shared_ = {};
  if (holeLine_ != kLinesPerBlock && inside(holeBlock_)) holeLine_ = kLinesPerBlock;
  recyclable_.erase(std::remove_if(recyclable_.begin() + ptrdiff_t(recyclableNext_), recyclable_.end(), inside),
                    recyclable_.end());
}

void Allocator::reset(std::vector<uint64_t> recyclable) {
  areas_.clear();
  returned_.clear();
  shared_ = {};
  recyclable_ = std::move(recyclable);
  recyclableNext_ = 0;
  holeLine_ = kLinesPerBlock;
  bytesSinceReset_ = 0;
}

}  // namespace jvmc::rt
