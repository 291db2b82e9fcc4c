#include "runtime/gc/marker.h"

namespace jvmc::rt {

ObjectRef findObject(Region& region, const ObjectModel& model, uint64_t address) {
  uint32_t block = region.blockIndex(address);
  const BlockInfo& info = region.blocks[block];
  if (info.kind == BlockKind::LargeTail) block -= info.run;
  if (info.kind == BlockKind::LargeHead || info.kind == BlockKind::LargeTail) {
    ObjectRef head = region.blockAddress(block);
    return address < head + model.bytes(head) ? head : kNullRef;
  }
  if (info.kind != BlockKind::Small) return kNullRef;
  // The last start bit at or before the address, within the block.
  const uint64_t* words = region.blockBits(region.starts, block);
  uint32_t granule = uint32_t((address & (kBlockBytes - 1)) >> kGranuleShift);
  uint64_t word = words[granule / 64] << (63 - granule % 64) >> (63 - granule % 64);
  uint32_t index = granule / 64;
  while (!word && index > 0) word = words[--index];
  if (!word) return kNullRef;
  ObjectRef start = region.blockAddress(block) + (uint64_t(index * 64 + 63 - std::countl_zero(word)) << kGranuleShift);
  return address < start + model.bytes(start) ? start : kNullRef;
}

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
  if (checked_) JVMC_CHECK(region->test(region->starts, ref), ref);
  stack_.push_back(ref);
}

void Marker::markConservative(uint64_t word) {
  // A word that points to an object's start may instead have come from running to the end of the one before it.
  markContaining(word);
  markContaining(word - 1);
}

void Marker::markContaining(uint64_t address) {
  Region* region = regionOf(address);
  if (!region) return;
  allocator_.publishStartsAround(address);
  if (ObjectRef found = findObject(*region, model_, address)) stack_.push_back(found);
}

void Marker::drain() {
  size_t next = 0, waiting = 0;
  while (waiting > 0 || !stack_.empty()) {
    ObjectRef incoming = kNullRef;
    if (!stack_.empty()) {
      incoming = stack_.back();
      stack_.pop_back();
      Region& region = *regionOf(incoming);
      __builtin_prefetch(reinterpret_cast<const void*>(incoming));
      __builtin_prefetch(&region.marks[region.granule(incoming) / 64], 1);
      ++waiting;
    }
    ObjectRef ready = queue_[next];
    queue_[next] = incoming;
    next = (next + 1) % kPrefetched;
    if (!ready) continue;
    --waiting;
    visit(ready);
  }
}

void Marker::visit(ObjectRef ref) {
  Region& region = *regionOf(ref);
  if (region.isAway(ref)) return;
  size_t granule = region.granule(ref);
  uint64_t& word = region.marks[granule / 64];
  uint64_t bit = uint64_t(1) << (granule % 64);
  if (word & bit) return;
  word |= bit;
  ++objects_;
  const ClassInfo& info = model_.classOf(ref);
  markLines(region, ref, ObjectModel::bytes(info, ref));
  ObjectModel::forEachReference(info, ref, [&](ObjectRef target) {
    if (target == kNullRef) return;
    Region* targetRegion = regionOf(target);
    if (!targetRegion) return;  // homed elsewhere
    if (checked_)
      JVMC_CHECK(targetRegion->isAway(target) || targetRegion->test(targetRegion->starts, target), ref, target);
    stack_.push_back(target);
  });
}

void Marker::markLines(Region& region, ObjectRef ref, uint64_t bytes) {
  BlockInfo& block = region.blockOf(ref);
  if (block.kind != BlockKind::Small) return;
  uint32_t offset = uint32_t(ref & (kBlockBytes - 1));
  block.lines.mark(offset >> kLineShift, uint32_t(offset + bytes - 1) >> kLineShift);
}

}  // namespace jvmc::rt
