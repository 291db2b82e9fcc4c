#include "runtime/heap/block_groups.h"

namespace jvmc::rt {
namespace {

void addExported(Region& region, uint32_t block, const ObjectStarts& objects) {
  auto* exported = &region.exported[size_t(block) * kBitmapWordsPerBlock];
  for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w)
    if (objects.words[w] != 0) exported[w].fetch_or(objects.words[w], std::memory_order_relaxed);
  region.blocks[block].hasExported.store(true, std::memory_order_relaxed);
}

}  // namespace

void BlockGroups::exportObject(ObjectRef ref) {
  Region* region = space_.homeRegionOf(ref);
  if (!region) return;
  if (collector_.trace().isActive()) collector_.trace().grey(ref);
  std::atomic<uint32_t>& word = header(ref)->classWord;
  if (word.load(std::memory_order_relaxed) & kFlagExported) return;
  if (word.fetch_or(kFlagExported, std::memory_order_relaxed) & kFlagExported) return;
  bytesExported_.fetch_add(ObjectModel::bytes(*classes_[classIndexOf(ref)], ref), std::memory_order_relaxed);
  Region::set(region->exported, region->place(ref));
  region->blockOf(ref).hasExported.store(true, std::memory_order_relaxed);
  collector_.objectExported(ref);
}

std::vector<BlockGroup> BlockGroups::withdraw(uint64_t bytes, const std::set<uint64_t>& only) {
  std::vector<BlockGroup> groups = choose(bytes, only);
  for (const BlockGroup& group : groups) {
    allocator_.withdraw(group.address, group.end());
    exportAll(group);
  }
  return groups;
}

void BlockGroups::restore(const BlockGroup& group) {
  space_.regionOf(group.address)->blockOf(group.address).leaving = false;
}

ObjectStarts BlockGroups::objectsOf(const BlockGroup& group) const {
  Region& region = *space_.regionOf(group.address);
  const MarkWords* words = region.blockMarks(region.blockIndex(group.address));
  ObjectStarts objects;
  for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w)
    objects.words[w] = words[w].side[space_.oldSide()].load(std::memory_order_relaxed);
  return objects;
}

void BlockGroups::giveAway(const BlockGroup& group) {
  Region& region = *space_.regionOf(group.address);
  collector_.blocksLeave(region, region.blockIndex(group.address));
  space_.giveAway(region, region.blockIndex(group.address), group.blocks);
}

void BlockGroups::adopt(const BlockGroup& group, const ObjectStarts& objects, const std::vector<ObjectRef>& written) {
  const bool statics = layout_.isInStaticsBlock(group.address);
  Region& region = space_.adopt(group.address, group.blocks,
                                statics ? BlockKind::Statics : (group.large ? BlockKind::LargeHead : BlockKind::Small));
  const uint32_t block = region.blockIndex(group.address);
  addExported(region, block, objects);
  bytesExported_.fetch_add(group.bytes(), std::memory_order_relaxed);
  collector_.adopt(region, block, objects, written);
  if (statics) objects.forEach([&](uint64_t offset) { collector_.addStatics(group.address + offset); });
  collector_.blocksHaveCome(region, block);
}

/// exportObject() for all objects of the group, which are old. World stopped.
void BlockGroups::exportAll(const BlockGroup& group) {
  Region& region = *space_.regionOf(group.address);
  const uint32_t block = region.blockIndex(group.address);
  const auto* exported = &region.exported[size_t(block) * kBitmapWordsPerBlock];
  const ObjectStarts objects = objectsOf(group);
  ObjectStarts news = objects;
  for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w) news.words[w] &= ~exported[w].load(std::memory_order_relaxed);
  // Their share of the group, roughly: to look at each object would take longer than all else.
  if (const uint64_t all = objects.count(); all > 0)
    bytesExported_.fetch_add(group.bytes() * news.count() / all, std::memory_order_relaxed);
  if (Trace& trace = collector_.trace(); trace.isActive())
    objects.forEach([&](uint64_t offset) { trace.grey(group.address + offset); });
  addExported(region, block, objects);
}

/// Groups in use, in turn, and marks them as leaving: the search goes on behind the block at which the last one ended.
std::vector<BlockGroup> BlockGroups::choose(uint64_t bytes, const std::set<uint64_t>& only) {
  std::vector<BlockGroup> groups;
  uint64_t chosen = 0;
  const auto& regions = space_.regions();
  for (size_t n = 0; n <= regions.size() && chosen < bytes; ++n) {
    if (next_.region >= regions.size()) next_ = {};
    Region& region = *regions[next_.region];
    for (uint32_t& i = next_.block; i < region.highWater && chosen < bytes; ++i) {
      BlockInfo& info = region.blocks[i];
      const bool isHead =
          info.kind == BlockKind::LargeHead || info.kind == BlockKind::Small || info.kind == BlockKind::Statics;
      if (info.leaving || !isHead) continue;
      const BlockGroup group{region.blockAddress(i), info.run, info.kind == BlockKind::LargeHead || info.run > 1};
      if (!only.empty() && !only.contains(group.address)) continue;
      if (!groups.empty() && chosen + group.bytes() > bytes) return groups;
      info.leaving = true;
      groups.push_back(group);
      chosen += group.bytes();
    }
    if (chosen < bytes) next_ = {next_.region + 1, 0};
  }
  return groups;
}

}  // namespace jvmc::rt
