#include "runtime/gc/marker.h"

#include <algorithm>

#include "ir/support/fault.h"
#include "runtime/gc/trace.h"

namespace jvmc::rt {
namespace {

/// The old object of a small block that contains `address`.
ObjectRef findOld(const BlockSpace& space, const ObjectModel& model, Region& region, uint64_t address) {
  const MarkWords* words = region.blockMarks(region.blockIndex(address));
  auto wordAt = [&](uint32_t i) { return words[i].side[space.oldSide()].load(std::memory_order_relaxed); };
  // The last bit at or before the address, within the block.
  uint32_t granule = uint32_t((address & (kBlockBytes - 1)) >> kGranuleShift);
  uint32_t index = granule / 64;
  uint64_t word = wordAt(index) << (63 - granule % 64) >> (63 - granule % 64);
  while (!word && index > 0) word = wordAt(--index);
  if (!word) return kNullRef;
  ObjectRef start = region.blockAddress(region.blockIndex(address)) +
                    (uint64_t(index * 64 + 63 - std::countl_zero(word)) << kGranuleShift);
  return address < start + model.bytes(start) ? start : kNullRef;
}

}  // namespace

ObjectRef findObject(const BlockSpace& space, Allocator& allocator, const ObjectModel& model, Region& region,
                     uint64_t address) {
  uint32_t block = region.blockIndex(address);
  const BlockInfo& info = region.blocks[block];
  if (info.kind == BlockKind::LargeTail) block -= info.run;
  if (info.kind == BlockKind::LargeHead || info.kind == BlockKind::LargeTail) {
    ObjectRef head = region.blockAddress(block);
    return address < head + model.bytes(head) ? head : kNullRef;
  }
  if (info.kind != BlockKind::Small) return kNullRef;
  if (ObjectRef young = allocator.youngObjectAt(address)) return young;
  return findOld(space, model, region, address);
}

Marker::Marker(BlockSpace& space, Allocator& allocator, ObjectModel model, MarkScope scope, bool checked, Trace* trace)
    : space_(space),
      allocator_(allocator),
      model_(model),
      scope_(scope),
      checked_(checked),
      trace_(trace),
      regionBytes_(uint64_t(1) << space.plan().regionShift) {}

Region* Marker::regionOfSlowly(uint64_t address) {
  Region* region = space_.regionOf(address);
  if (region) {
    lastRegion_ = region;
    lastBase_ = region->base();
  }
  return region;
}

void Marker::markPrecise(ObjectRef ref) {
  Region* region = regionOf(ref);
  if (!region || region->isAway(ref)) return;
  if (checked_) JVMC_CHECK(isObject(*region, ref), ref);
  found(ref);
}

void Marker::markConservative(uint64_t word) {
  // A word that points to an object's start may instead have come from running to the end of the one before it.
  markContaining(word);
  markContaining(word - 1);
}

void Marker::markContaining(uint64_t address) {
  Region* region = regionOf(address);
  if (!region) return;
  if (ObjectRef object = findObject(space_, allocator_, model_, *region, address)) found(object);
}

void Marker::found(ObjectRef ref) {
  stack_.push_back(ref);
  if (copy_) copy_->push_back(ref);
}

bool Marker::isObject(Region& region, ObjectRef ref) {
  const BlockInfo& block = region.blockOf(ref);
  if (block.kind == BlockKind::Away) return true;
  if (block.kind == BlockKind::LargeHead) return ref % kBlockBytes == 0;
  return region.isMarked(space_.oldSide(), ref) || allocator_.youngObjectAt(ref) == ref;
}

bool Marker::work(uint64_t budget) {
  uint64_t done = 0;
  while (waiting_ > 0 || !stack_.empty() || !arrays_.empty()) {
    if (done >= budget) return false;
    if (waiting_ == 0 && stack_.empty()) {
      ArrayRest rest = arrays_.back();
      arrays_.pop_back();
      done += scanElements(rest.array, rest.next);
      continue;
    }
    ObjectRef incoming = kNullRef;
    if (!stack_.empty()) {
      incoming = stack_.back();
      stack_.pop_back();
      Region& region = *regionOf(incoming);
      __builtin_prefetch(reinterpret_cast<const void*>(incoming));
      __builtin_prefetch(&region.marks[region.place(incoming).word], 1);
      ++waiting_;
    }
    ObjectRef ready = queue_[next_];
    queue_[next_] = incoming;
    next_ = (next_ + 1) % kPrefetched;
    if (!ready) continue;
    --waiting_;
    done += visit(ready);
  }
  return true;
}

bool Marker::claim(Region& region, ObjectRef ref) {
  Region::Place at = region.place(ref);
  MarkWords& words = region.marks[at.word];
  std::atomic<uint64_t>& old = words.side[space_.oldSide()];
  std::atomic<uint64_t>& fresh = words.side[space_.newSide()];
  bool isYoungScope = scope_ <= MarkScope::YoungInCycle;
  std::atomic<uint64_t>& target = isYoungScope ? old : fresh;
  uint64_t word = target.load(std::memory_order_relaxed);
  if (word & at.bit) return false;
  if (scope_ == MarkScope::Old && !(old.load(std::memory_order_relaxed) & at.bit)) return false;
  if (region.isAway(ref)) return false;  // a cached copy: its home keeps it
  if (trace_ && !(old.load(std::memory_order_relaxed) & at.bit)) trace_->blacken(ref);
  target.store(word | at.bit, std::memory_order_relaxed);
  if (scope_ == MarkScope::YoungInCycle && !JVMC_FAULT("young-objects-are-white-while-marking"))
    fresh.store(fresh.load(std::memory_order_relaxed) | at.bit, std::memory_order_relaxed);
  return true;
}

uint64_t Marker::visit(ObjectRef ref) {
  Region& region = *regionOf(ref);
  if (!claim(region, ref)) return 1;
  ++objects_;
  if (scope_ != MarkScope::Old && !ObjectModel::isFlaggedOld(ref)) ObjectModel::flagOld(ref);
  const ClassInfo& info = model_.classOf(ref);
  markLines(region, ref, ObjectModel::bytes(info, ref));
  if (info.shape == ObjectShape::ReferenceArray) return 1 + scanElements(ref, 0);
  if (info.shape != ObjectShape::Instance) return 1;
  for (uint32_t i = 0; i < info.refCount; ++i) push(loadGuest<uint64_t>(ref + info.refOffsets[i]));
  return 1 + info.refCount;
}

uint64_t Marker::scanElements(ObjectRef array, uint32_t from) {
  // It left between two slices: what it refers to was exported.
  if (regionOf(array)->isAway(array)) return 0;
  uint32_t length = uint32_t(arrayLength(array));
  uint32_t end = length - from > kPieceElements ? from + kPieceElements : length;
  for (uint32_t i = from; i < end; ++i) push(loadGuest<uint64_t>(array + kArrayElementsOffset + 8 * uint64_t(i)));
  if (end < length) arrays_.push_back({array, end});
  return end - from;
}

void Marker::push(ObjectRef target) {
  if (target == kNullRef) return;
  Region* region = regionOf(target);
  if (!region) return;  // homed elsewhere
  if (checked_) JVMC_CHECK(isObject(*region, target), target);
  stack_.push_back(target);
}

void Marker::markLines(Region& region, ObjectRef ref, uint64_t bytes) {
  BlockInfo& block = region.blockOf(ref);
  if (block.kind != BlockKind::Small) return;
  uint32_t offset = uint32_t(ref & (kBlockBytes - 1));
  uint32_t first = offset >> kLineShift, last = uint32_t(offset + bytes - 1) >> kLineShift;
  if (scope_ <= MarkScope::YoungInCycle) lines_ += block.lines.mark(first, last);
  if (scope_ != MarkScope::Young) block.marked.mark(first, last);
}

}  // namespace jvmc::rt
