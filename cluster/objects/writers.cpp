#include "cluster/objects/writers.h"

namespace jvmc::cluster {

bool Writers::join(rt::ThreadContext& ctx, const CopyUnit& unit) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const uint64_t head = rt::header(unit.object)->epochWord.load(std::memory_order_acquire);
  const bool isHome =
      rt::isWritableHomeEpoch(head) || (rt::isHomeEpoch(head) && core_.options.fault == Fault::SharedIsWritten);
  if (isHome || (unit.chunk == 0 && rt::isChunkedEpoch(head))) return true;
  std::atomic<uint64_t>& epochWord = core_.epochWord(unit);
  uint64_t word = epochWord.load(std::memory_order_acquire);
  // Without caching every copy looks stale.
  if (word < ctx.epoch && !core_.options.noCache) return false;
  const BlockHome home = core_.homes.at(unit.object);
  if (home.state != HomeState::Settled || home.node == core_.self) return false;

  // A lease holds what its home has. From now on it is a copy as if it had been asked for just now.
  if (rt::stampOf(word) == rt::kEpochLeased) {
    word = core_.clock.load() | (word & rt::kWriterMask);
    epochWord.store(word, std::memory_order_release);
  }
  core_.contentChanges(unit.object);
  Entry& entry = shard.entries[unit];
  keepTwin(unit, entry);
  enter(ctx, unit, entry);
  const WriteSet& set = writeSetOf(ctx);
  if (set.slot != kNoSlot) epochWord.store((word & ~rt::kWriterMask) | set.slot, std::memory_order_release);
  return true;
}

void Writers::keepTwin(const CopyUnit& unit, Entry& entry) {
  if (entry.hasTwin) return;
  entry.twin = makeTwin(unit.base(), core_.shapeOf(unit));
  entry.hasTwin = true;
  core_.stats.twinBytes += entry.twin.size() * 8;
}

void Writers::enter(rt::ThreadContext& ctx, const CopyUnit& unit, Entry& entry) {
  WriteSet& set = writeSetOf(ctx);
  if (entry.hasWriter(&set)) return;
  entry.writers.push_back(&set);
  set.units.push_back(unit);
  const uint64_t bytes = core_.writtenBytesOf(core_.shapeOf(unit));
  set.bytes += bytes;
  core_.writtenBytes += bytes;
  core_.stats.joins++;
}

WriteSet& Writers::writeSetOf(rt::ThreadContext& ctx) {
  rt::GuestThread& thread = *ctx.thread;
  if (!thread.writeSet) {
    auto* set = new WriteSet;  // owned by the thread until Flusher::start takes it
    set->slot = core_.slots.lease();
    thread.writeSet = set;
    thread.writerSlot = ctx.writerSlot = set->slot != kNoSlot ? set->slot : kDirtyWithoutSlot;
  }
  return *static_cast<WriteSet*>(thread.writeSet);
}

}  // namespace jvmc::cluster
