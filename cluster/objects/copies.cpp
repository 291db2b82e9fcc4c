#include "cluster/objects/copies.h"

#include <cstring>

namespace jvmc::cluster {

bool Copies::use(rt::ThreadContext& ctx, const CopyUnit& unit) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  std::atomic<uint64_t>& epochWord = core_.epochWord(unit);
  const uint64_t word = epochWord.load(std::memory_order_relaxed);
  const bool neverAges =
      core_.options.fault == Fault::UnusedNeverAges && !(word & rt::kEpochUsed) && word > rt::kWriterMask;
  if (rt::stampOf(word) < ctx.epoch && !neverAges) return false;
  if (rt::stampOf(word) > rt::kEpochMaxStamp) return true;
  // A block that comes here brings the headers of its objects. Its state changes, and each lock of the table is taken
  // once after that, before anything of it is brought in.
  const BlockHome home = core_.homes.at(unit.object);
  if (home.state != HomeState::Settled || home.node == core_.self) return true;
  epochWord.store(word | rt::kEpochUsed, std::memory_order_release);
  rt::ReadInterval& reads = ctx.thread->reads;
  std::atomic<uint32_t>& group = core_.groupWord(unit);
  const bool known = reads.epoch == ctx.epoch && group.load(std::memory_order_relaxed) == reads.group;
  if (!known) group.store(groups_.add(reads, ctx.epoch, unit), std::memory_order_relaxed);
  return true;
}

bool Copies::isSound(const CopyUnit& unit, const ObjectImage& image) {
  const rt::ClassInfo* info = core_.host.classInfo(image.classIndex);
  if (!info || !agreesWithCopy(unit.object, image)) return false;
  const ObjectShape whole(*info, image.length, core_.forcedGranularity());
  if (!core_.homes.valid(unit.object + whole.end() - 8) || unit.chunk > whole.chunksOf(unit.object)) return false;
  const ObjectShape shape = whole.forUnit(unit);
  return image.data.size() == shape.dataBytes() && referencesAcceptable(shape, image.data);
}

/// Class and length of an object never change; a copy that is here already must agree.
bool Copies::agreesWithCopy(ObjectRef object, const ObjectImage& image) const {
  const rt::ClassInfo* info = core_.host.classInfo(image.classIndex);
  const uint32_t present = rt::classIndexOf(object);
  const bool array = info->shape != rt::ObjectShape::Instance;
  if (image.length > uint32_t(INT32_MAX) || (!array && image.length != 0)) return false;
  if (rt::header(object)->epochWord.load(std::memory_order_relaxed) == rt::kEpochInvalid) return true;
  return present == image.classIndex && (!array || uint32_t(rt::arrayLength(object)) == image.length);
}

bool Copies::referencesAcceptable(const ObjectShape& shape, std::span<const uint8_t> data) {
  bool acceptable = true;
  shape.forEachReference([&](uint64_t offset) {
    ObjectRef reference;
    std::memcpy(&reference, data.data() + (offset - shape.begin()), 8);
    acceptable = acceptable && core_.acceptable(reference);
  });
  return acceptable;
}

bool Copies::store(const CopyUnit& unit, const ObjectImage& image, uint64_t stamp, Entry* entry) {
  const ObjectRef object = unit.object;
  const ObjectShape whole(*core_.host.classInfo(image.classIndex), image.length, core_.forcedGranularity());
  const ObjectShape shape = whole.forUnit(unit);
  if (unit.chunk != 0 && !hasHead(unit)) return false;
  const uint64_t before = core_.epochWord(unit).load(std::memory_order_relaxed);
  const bool isNew = before <= (rt::kEpochGivenUp | rt::kWriterMask);
  if (before != rt::kEpochInvalid) core_.contentChanges(object);
  if (unit.chunk == 0) {
    rt::header(object)->classWord.store(image.classIndex | (image.isFrozen() ? uint32_t(rt::kFlagFrozen) : 0),
                                        std::memory_order_relaxed);
    if (shape.isArray()) rt::storeGuest<uint32_t>(object + rt::kArrayLengthOffset, image.length);
    if (whole.chunksOf(object) != 0) stamp = rt::kEpochChunked;
  }
  const bool written = entry && entry->hasTwin;
  const bool merge = written && core_.options.fault != Fault::RefreshOverwrites;
  mergeFresh(unit.base(), shape, image.data, merge ? &entry->twin : nullptr);
  if (written && !merge) entry->twin = makeTwin(unit.base(), shape);
  note(unit, shape);
  freshen(unit, stamp, entry);
  return isNew && (rt::stampOf(stamp) <= rt::kEpochMaxStamp || stamp == rt::kEpochLeased);
}

/// A chunk is nothing without it. Only of arrays of which nobody here has hold any more it may be gone.
bool Copies::hasHead(const CopyUnit& chunk) {
  return rt::header(chunk.object)->epochWord.load(std::memory_order_relaxed) != rt::kEpochInvalid;
}

/// There is a copy of the unit now.
void Copies::note(const CopyUnit& unit, const ObjectShape& shape) {
  if (unit.chunk != 0) core_.chunks.of(unit).number.store(unit.chunk, std::memory_order_relaxed);
  const uint64_t address = SpaceCore::copyAddress(unit);
  core_.copyMap.note(address, unit.base() + shape.end() - address);
}

void Copies::freshen(const CopyUnit& unit, uint64_t stamp, const Entry* entry) {
  if (entry && entry->givenUp && rt::stampOf(stamp) <= rt::kEpochMaxStamp) stamp = rt::kEpochGivenUp;
  std::atomic<uint64_t>& epochWord = core_.epochWord(unit);
  const uint64_t old = epochWord.load(std::memory_order_relaxed);
  const uint64_t writer = old == rt::kEpochInvalid ? kNoWriter : old & rt::kWriterMask;
  const uint64_t freshest = rt::stampOf(old) >= rt::stampOf(stamp) ? old & ~rt::kWriterMask : stamp;
  epochWord.store(freshest | writer, std::memory_order_release);
}

void Copies::giveUp(const CopyUnit& unit) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const BlockHome home = core_.homes.at(unit.object);
  if (home.state != HomeState::Settled || home.node == core_.self) return;
  if (!core_.isCopied(unit)) return;  // it may have died, and another object lie across its place
  std::atomic<uint64_t>& epochWord = core_.epochWord(unit);
  const uint64_t word = epochWord.load(std::memory_order_relaxed);
  const bool ages = rt::stampOf(word) <= rt::kEpochMaxStamp || rt::stampOf(word) == rt::kEpochLeased;
  if (word <= (rt::kEpochGivenUp | rt::kWriterMask) || !ages) return;
  const auto entry = shard.entries.find(unit);
  if (entry != shard.entries.end()) {
    if (!entry->second.writers.empty()) return;
    entry->second.givenUp = entry->second.busy;
  }
  // No group: nobody who asks for others asks for this one as well.
  core_.groupWord(unit).store(0, std::memory_order_relaxed);
  epochWord.store(rt::kEpochGivenUp | kNoWriter, std::memory_order_release);
  core_.stats.givenUp++;
}

uint64_t Copies::stampFor(Holds holds, uint64_t stamp, const Entry* entry) const {
  if (holds == Holds::ForEver) return rt::kEpochImmutable;
  if (holds != Holds::UntilRecalled) return stamp;
  if (!entry) return rt::kEpochLeased;
  const bool isOver = entry->recalled && core_.options.fault != Fault::OvertakenRecallLost;
  return isOver || entry->givenUp || entry->hasTwin || !entry->writers.empty() ? stamp : rt::kEpochLeased;
}

void Copies::endLease(ObjectRef object) {
  endLeaseOf(object);
  if (!core_.isCopied(object)) return;
  const uint32_t chunks = core_.shapeOf(object).chunksOf(object);
  for (uint32_t chunk = 1; chunk <= chunks; ++chunk) endLeaseOf(CopyUnit(object, chunk));
}

/// The copy stays in its group: who asks for others of it may ask for this one as well.
void Copies::endLeaseOf(const CopyUnit& unit) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const auto entry = shard.entries.find(unit);
  if (entry != shard.entries.end()) entry->second.recalled = entry->second.busy;
  const BlockHome home = core_.homes.at(unit.object);
  if (home.state != HomeState::Settled || home.node == core_.self || !core_.isCopied(unit)) return;
  std::atomic<uint64_t>& epochWord = core_.epochWord(unit);
  if (rt::stampOf(epochWord.load(std::memory_order_relaxed)) != rt::kEpochLeased) return;
  epochWord.store(rt::kEpochGivenUp | kNoWriter, std::memory_order_release);
  core_.stats.recalledCopies++;
}

void Copies::endTransaction(const CopyUnit& unit) {
  std::vector<std::function<void()>> waiters;
  EntryTable::Shard& shard = core_.table.shard(unit);
  {
    std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(unit);
    if (found == shard.entries.end()) return;  // only with a fault, see Flusher::acknowledged
    found->second.endTransaction(waiters);
    shard.dropIfIdle(unit);
  }
  for (const auto& waiter : waiters) waiter();
}

}  // namespace jvmc::cluster
