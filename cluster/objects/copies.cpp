#include "cluster/objects/copies.h"

#include <cstring>

namespace jvmc::cluster {

bool Copies::use(rt::ThreadContext& ctx, ObjectRef object) {
  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  rt::ObjectHeader& header = *rt::header(object);
  const uint64_t word = header.epochWord.load(std::memory_order_relaxed);
  const bool neverAges =
      core_.options.fault == Fault::UnusedNeverAges && !(word & rt::kEpochUsed) && word > rt::kWriterMask;
  if (rt::stampOf(word) < ctx.epoch && !neverAges) return false;
  if (word >= rt::kEpochLease) return true;
  // A block that comes here brings the headers of its objects. Its state changes, and each lock of the table is taken
  // once after that, before anything of it is brought in.
  const BlockHome home = core_.homes.at(object);
  if (home.state != HomeState::Settled || home.node == core_.self) return true;
  header.epochWord.store(word | rt::kEpochUsed, std::memory_order_release);
  rt::ReadInterval& reads = ctx.thread->reads;
  const bool known = reads.epoch == ctx.epoch && header.lockWord.load(std::memory_order_relaxed) == reads.group;
  if (!known) header.lockWord.store(groups_.add(reads, ctx.epoch, object), std::memory_order_relaxed);
  return true;
}

bool Copies::isSound(ObjectRef object, const ObjectImage& image) {
  const rt::ClassInfo* info = core_.host.classInfo(image.classIndex);
  if (!info || !agreesWithCopy(object, image)) return false;
  const ObjectShape shape(*info, image.length, core_.forcedGranularity());
  if (image.data.size() != shape.dataBytes() || !core_.homes.valid(object + shape.end() - 8)) return false;
  return referencesAcceptable(shape, image.data);
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

bool Copies::store(ObjectRef object, const ObjectImage& image, uint64_t stamp, Entry* entry) {
  const ObjectShape shape(*core_.host.classInfo(image.classIndex), image.length, core_.forcedGranularity());
  rt::ObjectHeader& header = *rt::header(object);
  const uint64_t before = header.epochWord.load(std::memory_order_relaxed);
  const bool isNew = before <= (rt::kEpochGivenUp | rt::kWriterMask);
  if (before != rt::kEpochInvalid) core_.contentChanges(object);
  header.classWord.store(image.classIndex | (image.frozen ? uint32_t(rt::kFlagFrozen) : 0), std::memory_order_relaxed);
  if (shape.isArray()) rt::storeGuest<uint32_t>(object + rt::kArrayLengthOffset, image.length);
  const bool written = entry && entry->hasTwin;
  const bool merge = written && core_.options.fault != Fault::RefreshOverwrites;
  mergeFresh(object, shape, image.data, merge ? &entry->twin : nullptr);
  if (written && !merge) entry->twin = makeTwin(object, shape);
  core_.copyMap.note(object, shape.end());
  freshen(object, stamp, entry);
  return isNew;
}

void Copies::freshen(ObjectRef object, uint64_t stamp, const Entry* entry) {
  if (entry && entry->givenUp && stamp != rt::kEpochImmutable) stamp = rt::kEpochGivenUp;
  std::atomic<uint64_t>& epochWord = rt::header(object)->epochWord;
  const uint64_t old = epochWord.load(std::memory_order_relaxed);
  const uint64_t writer = old == rt::kEpochInvalid ? kNoWriter : old & rt::kWriterMask;
  const uint64_t freshest = rt::stampOf(old) >= rt::stampOf(stamp) ? old & ~rt::kWriterMask : stamp;
  epochWord.store(freshest | writer, std::memory_order_release);
}

void Copies::giveUp(ObjectRef object) {
  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  const BlockHome home = core_.homes.at(object);
  if (home.state != HomeState::Settled || home.node == core_.self) return;
  if (!core_.copyMap.isNoted(object)) return;  // it may have died, and another object lie across its place
  rt::ObjectHeader& header = *rt::header(object);
  const uint64_t word = header.epochWord.load(std::memory_order_relaxed);
  if (word <= (rt::kEpochGivenUp | rt::kWriterMask) || word >= rt::kEpochLease) return;
  const auto entry = shard.entries.find(object);
  if (entry != shard.entries.end()) {
    if (!entry->second.writers.empty()) return;
    entry->second.givenUp = entry->second.busy;
  }
  // No group: nobody who asks for others asks for this one as well.
  header.lockWord.store(0, std::memory_order_relaxed);
  header.epochWord.store(rt::kEpochGivenUp | kNoWriter, std::memory_order_release);
  core_.stats.givenUp++;
}

void Copies::endTransaction(ObjectRef object) {
  std::vector<std::function<void()>> waiters;
  EntryTable::Shard& shard = core_.table.shard(object);
  {
    std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(object);
    if (found == shard.entries.end()) return;  // only with a fault, see Flusher::acknowledged
    found->second.endTransaction(waiters);
    shard.dropIfIdle(object);
  }
  for (const auto& waiter : waiters) waiter();
}

}  // namespace jvmc::cluster
