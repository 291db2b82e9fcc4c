#include "cluster/objects/refresher.h"

#include <map>
#include <random>

namespace jvmc::cluster {

namespace {

/// The object that a thread waits for goes ahead with as many of the others at most.
constexpr int kSentAhead = 16;
/// What a message may bring back, about. More than 64 KiB would take another connection.
constexpr size_t kAnswerBytes = 16 << 10;
/// Larger copies are not asked for before they are needed.
constexpr size_t kObjectBytesMax = 32 << 10;
constexpr size_t kAnswerHeadBytes = 18;

}  // namespace

Refresher::Refresher(SpaceCore& core, Copies& copies)
    : core_(core), copies_(copies), secret_(uint64_t(std::random_device{}()) << 32 | std::random_device{}()) {}

void Refresher::refresh(const Wanted& wanted, uint64_t epoch, ReadGroups::Number group,
                        std::span<const ObjectRef> others) {
  const ObjectRef object = wanted.object;
  // A new seed each time: contents that collide once do not collide for ever.
  const Question question{wanted.stamp, secret_ ^ wanted.stamp ^ (object * 0x9E37'79B9'7F4A'7C15ull), object,
                          wanted.thread};
  std::map<NodeId, Batch> batches;
  const auto enqueue = [&](ObjectRef each) {
    const NodeId home = core_.homes.homeOf(each);
    Batch& batch = batches[home];
    add(batch, each, question);
    if (batch.answerBytes >= kAnswerBytes) send(home, std::exchange(batch, {}), question);
  };
  const auto sendAll = [&] {
    for (auto& [home, batch] : batches)
      if (!batch.objects.empty()) send(home, std::exchange(batch, {}), question);
  };
  enqueue(object);
  int examined = 0;
  for (ObjectRef other : others) {
    if (other != object && begin(other, epoch, group)) enqueue(other);
    if (++examined == kSentAhead) sendAll();
  }
  sendAll();
}

/// Makes the copy busy if it may be asked for without anybody waiting for it.
bool Refresher::begin(ObjectRef object, uint64_t epoch, ReadGroups::Number group) {
  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  if (!core_.copyMap.isNoted(object)) return false;  // groups remember what has died since: nothing need begin there
  const rt::ObjectHeader& header = *rt::header(object);
  const uint64_t word = header.epochWord.load(std::memory_order_relaxed);
  if (rt::stampOf(word) == rt::kEpochInvalid || rt::stampOf(word) >= epoch) return false;
  const BlockHome home = core_.homes.at(object);
  if (home.state != HomeState::Settled || home.node == core_.self) return false;
  if (header.lockWord.load(std::memory_order_relaxed) != group) return false;
  if (core_.shapeOf(object).dataBytes() > kObjectBytesMax) return false;
  if (core_.copiesGo && core_.isTracing() && !core_.trace->isMarked(object)) return false;
  if (core_.options.fault == Fault::AheadWithoutTransaction) return true;
  Entry& entry = shard.entries[object];
  if (entry.busy) return false;
  entry.busy = true;
  return true;
}

void Refresher::add(Batch& batch, ObjectRef object, const Question& question) {
  if (batch.objects.empty()) {
    batch.asked.put(uint8_t(ObjectMessage::Refresh));
    batch.asked.put(question.seed);
    batch.asked.put(uint32_t(0));
  }
  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  const ObjectShape shape = core_.shapeOf(object);
  const auto entry = shard.entries.find(object);
  // What threads here have written and not flushed is not the home's: its content, as known here, is the twin.
  const bool written = entry != shard.entries.end() && entry->second.hasTwin;
  const void* content = written ? static_cast<const void*>(entry->second.twin.data())
                                : reinterpret_cast<const void*>(object + shape.begin());
  batch.asked.put(object);
  batch.asked.put(contentHash({static_cast<const uint8_t*>(content), shape.dataBytes()}, question.seed));
  batch.objects.push_back(object);
  batch.answerBytes += kAnswerHeadBytes + shape.dataBytes();
}

void Refresher::send(NodeId home, Batch&& batch, const Question& question) {
  batch.asked.patch(kRefreshCountAt, uint32_t(batch.objects.size()));
  core_.stats.refreshMessages++;
  core_.stats.refreshedObjects += batch.objects.size();
  const int64_t sent = core_.net.now();
  core_.net.request(
      home, Channel::Objects, batch.asked.take(),
      [this, home, question, sent, objects = std::move(batch.objects)](Result<Bytes> reply) {
        const bool awaited = objects.front() == question.wanted;
        const int64_t waited = awaited ? core_.net.now() - sent : 0;
        if (awaited) core_.stats.fetchNanos.add(waited);
        core_.remoteUse.note(question.thread, home, reply.ok() ? reply->size() : 0, waited);
        if (!reply.ok())
          return core_.host.fatal(
              std::move(reply).error().withContext(fmt::format("reading from node {}", home.value)));
        bool sound = false;
        core_.host.accessGuest([&] { sound = onReply(objects, question, *reply); });
        if (!sound) core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} sent no valid object", home.value)});
      });
}

/// I/O thread. False if the reply makes no sense; then the program ends, and who waits is never woken.
bool Refresher::onReply(std::span<const ObjectRef> objects, const Question& question, std::span<const uint8_t> reply) {
  ByteReader in(reply);
  if (in.getEnum(ReplyStatus::Moved) != ReplyStatus::Done) return false;
  for (ObjectRef object : objects)
    if (!install(object, question, in)) return false;
  if (!in.finished()) return false;
  for (ObjectRef object : objects) copies_.endTransaction(object);
  return true;
}

bool Refresher::install(ObjectRef object, const Question& question, ByteReader& in) {
  const RefreshOutcome outcome = in.getEnum(RefreshOutcome::Unanswered);
  ObjectImage image;
  if (outcome == RefreshOutcome::Changed) {
    image = getImage(in);
    if (!in.ok() || !copies_.isSound(object, image)) return false;
  }
  if (!in.ok()) return false;
  uint64_t stamp = core_.options.fault == Fault::StampAtReply ? core_.clock.load() : question.stamp;
  if (object != question.wanted) stamp &= ~rt::kEpochUsed;

  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(object);
  Entry* entry = found != shard.entries.end() ? &found->second : nullptr;
  if (outcome == RefreshOutcome::Changed) {
    core_.stats.fetchBytes += image.data.size();
    copies_.store(object, image, image.frozen ? rt::kEpochImmutable : stamp, entry);
  } else if (outcome == RefreshOutcome::Same) {
    core_.stats.refreshedSame++;
    // Not a copy that is no more: it holds nothing.
    if (rt::header(object)->epochWord.load(std::memory_order_relaxed) != rt::kEpochInvalid)
      copies_.freshen(object, stamp, entry);
  } else {
    rt::header(object)->lockWord.store(0, std::memory_order_relaxed);  // who needs it next asks for it alone
  }
  return true;
}

}  // namespace jvmc::cluster
