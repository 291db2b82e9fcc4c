#include "cluster/objects/refresher.h"

#include <map>
#include <random>

namespace jvmc::cluster {

namespace {

/// The object that a thread waits for goes ahead with as many of the others at most.
constexpr int kSentAhead = 16;
/// What a message may bring back, about. More than 64 KiB would take another connection.
constexpr size_t kAnswerBytes = 16 << 10;
constexpr size_t kAnswerHeadBytes = 18;
/// What was used together is asked for together up to so many bytes, each of which both sides have to look at.
constexpr uint64_t kTogetherBytes = 256 << 10;

}  // namespace

Refresher::Refresher(SpaceCore& core, Copies& copies, ObjectLoans& loans)
    : core_(core),
      copies_(copies),
      loans_(loans),
      secret_(uint64_t(std::random_device{}()) << 32 | std::random_device{}()) {}

void Refresher::refresh(const Wanted& wanted, uint64_t epoch, const Others& others) {
  const CopyUnit& unit = wanted.unit;
  // A new seed each time: contents that collide once do not collide for ever.
  const Question question{wanted.stamp, secret_ ^ wanted.stamp ^ (unit.base() * 0x9E37'79B9'7F4A'7C15ull), unit,
                          wanted.thread};
  std::map<NodeId, Batch> batches;
  const auto enqueue = [&](const CopyUnit& each) {
    const NodeId home = core_.homes.homeOf(each.object);
    Batch& batch = batches[home];
    add(batch, each, question);
    if (batch.answerBytes >= kAnswerBytes) send(home, std::exchange(batch, {}), question);
  };
  const auto sendAll = [&] {
    for (auto& [home, batch] : batches)
      if (!batch.units.empty()) send(home, std::exchange(batch, {}), question);
  };
  enqueue(unit);
  for (uint32_t chunk = unit.chunk + 1; chunk <= others.lastChunk; ++chunk)
    if (beginAhead(CopyUnit(unit.object, chunk), epoch)) enqueue(CopyUnit(unit.object, chunk));
  int examined = 0;
  uint64_t bytes = 0;
  for (const CopyUnit& other : others.together) {
    if (other != unit && beginMember(other, epoch, others.group)) {
      enqueue(other);
      bytes += core_.shapeOf(other).dataBytes();
    }
    if (bytes > kTogetherBytes) break;
    if (++examined == kSentAhead) sendAll();
  }
  sendAll();
}

/// Makes the copy busy if it may be asked for without anybody waiting for it.
bool Refresher::beginMember(const CopyUnit& unit, uint64_t epoch, ReadGroups::Number group) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  if (!core_.isCopied(unit)) return false;  // groups remember what has died since: nothing need begin there
  const uint64_t word = core_.epochWord(unit).load(std::memory_order_relaxed);
  if (rt::stampOf(word) == rt::kEpochInvalid || rt::stampOf(word) >= epoch) return false;
  const BlockHome home = core_.homes.at(unit.object);
  if (home.state != HomeState::Settled || home.node == core_.self) return false;
  if (core_.groupWord(unit).load(std::memory_order_relaxed) != group) return false;
  if (core_.copiesGo && core_.isTracing() && !core_.trace->isMarked(unit.object)) return false;
  if (core_.options.fault == Fault::AheadWithoutTransaction) return true;
  Entry& entry = shard.entries[unit];
  if (entry.busy) return false;
  entry.busy = true;
  return true;
}

/// The same of a chunk of which there may be no copy yet.
bool Refresher::beginAhead(const CopyUnit& chunk, uint64_t epoch) {
  EntryTable::Shard& shard = core_.table.shard(chunk);
  std::lock_guard lock(shard.mutex);
  if (rt::stampOf(core_.epochWord(chunk).load(std::memory_order_relaxed)) >= epoch) return false;
  const BlockHome home = core_.homes.at(chunk.object);
  if (home.state != HomeState::Settled || home.node == core_.self) return false;
  Entry& entry = shard.entries[chunk];
  if (entry.busy) return false;
  entry.busy = true;
  return true;
}

void Refresher::add(Batch& batch, const CopyUnit& unit, const Question& question) {
  if (batch.units.empty()) {
    batch.asked.put(uint8_t(ObjectMessage::Refresh));
    batch.asked.put(question.seed);
    batch.asked.put(uint32_t(0));
  }
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const ObjectShape shape = core_.shapeOf(unit);
  const auto entry = shard.entries.find(unit);
  // What threads here have written and not flushed is not the home's: its content, as known here, is the twin.
  const bool written = entry != shard.entries.end() && entry->second.hasTwin;
  const void* content = written ? static_cast<const void*>(entry->second.twin.data())
                                : reinterpret_cast<const void*>(unit.base() + shape.begin());
  // Of a chunk that was never here not even a look at its memory, which would make pages of it.
  const bool holds = core_.epochWord(unit).load(std::memory_order_relaxed) != rt::kEpochInvalid;
  putUnit(batch.asked, unit);
  batch.asked.put(holds ? contentHash({static_cast<const uint8_t*>(content), shape.dataBytes()}, question.seed)
                        : kHoldsNothing);
  batch.units.push_back(unit);
  batch.answerBytes += kAnswerHeadBytes + shape.dataBytes();
}

void Refresher::send(NodeId home, Batch&& batch, const Question& question) {
  batch.asked.patch(kRefreshCountAt, uint32_t(batch.units.size()));
  core_.stats.refreshMessages++;
  core_.stats.refreshedObjects += batch.units.size();
  const int64_t sent = core_.net.now();
  core_.traffic.begin(question.thread);  // may bring copies that were not here, see FetchedCopies
  core_.net.request(
      home, Channel::Objects, batch.asked.take(),
      [this, home, question, sent, units = std::move(batch.units)](Result<Bytes> reply) {
        const bool awaited = units.front() == question.wanted;
        const int64_t waited = awaited ? core_.net.now() - sent : 0;
        if (awaited) core_.stats.fetchNanos.add(waited);
        core_.remoteUse.note(question.thread, home, reply.ok() ? reply->size() : 0, waited);
        if (!reply.ok())
          return core_.host.fatal(
              std::move(reply).error().withContext(fmt::format("reading from node {}", home.value)));
        bool sound = false;
        core_.host.accessGuest([&] {
          sound = onReply(units, question, *reply);
          core_.traffic.end(question.thread);
        });
        if (!sound) core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} sent no valid object", home.value)});
      });
}

/// I/O thread. False if the reply makes no sense; then the program ends, and who waits is never woken.
bool Refresher::onReply(std::span<const CopyUnit> units, const Question& question, std::span<const uint8_t> reply) {
  ByteReader in(reply);
  if (in.getEnum(ReplyStatus::Moved) != ReplyStatus::Done) return false;
  for (const CopyUnit& unit : units)
    if (!install(unit, question, in)) return false;
  if (!in.finished()) return false;
  for (const CopyUnit& unit : units) copies_.endTransaction(unit);
  return true;
}

bool Refresher::install(const CopyUnit& unit, const Question& question, ByteReader& in) {
  const RefreshOutcome outcome = in.getEnum(RefreshOutcome::SameLent);
  ObjectImage image;
  if (outcome == RefreshOutcome::Changed) {
    image = getImage(in);
    if (!in.ok() || !copies_.isSound(unit, image)) return false;
  }
  if (!in.ok()) return false;
  const Holds holds = outcome == RefreshOutcome::SameLent     ? Holds::OnLoan
                      : outcome == RefreshOutcome::SameLeased ? Holds::UntilRecalled
                                                              : image.holds;
  if (holds == Holds::OnLoan && unit.chunk != 0) return false;
  uint64_t stamp = core_.options.fault == Fault::StampAtReply ? core_.clock.load() : question.stamp;
  if (unit != question.wanted) stamp &= ~rt::kEpochUsed;

  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(unit);
  Entry* entry = found != shard.entries.end() ? &found->second : nullptr;
  bool isNew = false;
  if (outcome == RefreshOutcome::Changed) {
    core_.stats.fetchBytes += image.data.size();
    isNew = copies_.store(unit, image, copies_.stampFor(image.holds, stamp, entry), entry);
  } else if (outcome != RefreshOutcome::Unanswered) {
    core_.stats.refreshedSame++;
    // Else it is a copy no more, and holds nothing.
    if (core_.epochWord(unit).load(std::memory_order_relaxed) != rt::kEpochInvalid)
      copies_.freshen(unit, copies_.stampFor(holds, stamp, entry), entry);
  } else {
    core_.groupWord(unit).store(0, std::memory_order_relaxed);  // who needs it next asks for it alone
  }
  if (holds == Holds::OnLoan && entry) loans_.borrow(unit, *entry);
  if (isNew) core_.fetched.note(question.thread, {&unit, 1});
  return true;
}

}  // namespace jvmc::cluster
