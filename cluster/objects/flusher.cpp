#include "cluster/objects/flusher.h"

#include <map>

#include "cluster/objects/messages.h"
#include "ir/support/check.h"

namespace jvmc::cluster {

/// A release on its way. `pending` counts what it waits for: messages, busy objects, an earlier job of the thread, and
/// the code that starts it. Whoever takes it to zero finishes the job.
struct Flusher::Job {
  rt::ThreadId thread = 0;
  std::unique_ptr<WriteSet> set;
  std::function<void()> done;
  std::atomic<int> pending{1};
  std::vector<JobPtr> successors;  ///< later releases of the same thread; under Flusher::mutex_
};

/// Collects diffs by home; sends a batch early when it has grown large.
class Flusher::Batches {
 public:
  static constexpr size_t kBytesMax = 1 << 20;

  Batches(Flusher& flusher, const JobPtr& job) : flusher_(flusher), job_(job) {}

  Batch& of(NodeId home) { return byHome_[home]; }
  void sendLarge() {
    std::erase_if(byHome_, [&](auto& entry) {
      if (entry.second.bytes < kBytesMax) return false;
      flusher_.send(job_, entry.first, std::move(entry.second));
      return true;
    });
  }
  void sendAll() {
    for (auto& [home, batch] : byHome_) {
      if (!batch.objects.empty()) flusher_.send(job_, home, std::move(batch));
    }
  }

 private:
  Flusher& flusher_;
  const JobPtr& job_;
  std::map<NodeId, Batch> byHome_;
};

bool Flusher::release(rt::ThreadContext& ctx, std::function<void()> done) {
  std::unique_ptr<WriteSet> set(static_cast<WriteSet*>(ctx.thread->writeSet));
  ctx.thread->writeSet = nullptr;
  ctx.thread->writerSlot = kNoSlot;
  ctx.writerSlot = kNoSlot;
  return carryOut(ctx.thread->ref.id, std::move(set), std::move(done));
}

bool Flusher::publish(rt::ThreadContext& ctx, std::function<void()> done) {
  const auto* own = static_cast<const WriteSet*>(ctx.thread->writeSet);
  // The job's set is no writer and has no slot: taking it from the writers changes nothing.
  auto set = own ? std::make_unique<WriteSet>(WriteSet{.objects = own->objects}) : nullptr;
  return carryOut(ctx.thread->ref.id, std::move(set), std::move(done));
}

bool Flusher::carryOut(rt::ThreadId thread, std::unique_ptr<WriteSet> set, std::function<void()> done) {
  const JobPtr job = start(thread, std::move(set), std::move(done));
  if (!job) return true;
  flushObjects(job, job->set->objects);
  if (job->pending.fetch_sub(1) > 1) return false;
  finish(job);
  return true;
}

/// Null if there is nothing to do.
Flusher::JobPtr Flusher::start(rt::ThreadId thread, std::unique_ptr<WriteSet> set, std::function<void()> done) {
  std::lock_guard lock(mutex_);
  const auto earlier = latest_.find(thread);
  if (!set && earlier == latest_.end()) return nullptr;
  auto job = std::make_shared<Job>();
  job->thread = thread;
  job->set = set ? std::move(set) : std::make_unique<WriteSet>();
  job->done = std::move(done);
  if (earlier != latest_.end()) {
    ++job->pending;
    earlier->second->successors.push_back(job);
  }
  latest_[job->thread] = job;
  core_.traffic.begin(job->thread);
  core_.stats.releases++;
  return job;
}

void Flusher::flushObjects(const JobPtr& job, std::span<const ObjectRef> objects) {
  Batches batches(*this, job);
  for (ObjectRef object : objects) {
    flushOne(job, object, batches);
    batches.sendLarge();
  }
  batches.sendAll();
}

bool Flusher::mustWait(const Entry& entry) const {
  if (!entry.busy) return false;
  if (core_.options.fault == Fault::FetchOverlapsFlush) return entry.flushing;
  return !(entry.flushing && core_.options.fault == Fault::IgnoreForeignFlush);
}

void Flusher::flushOne(const JobPtr& job, ObjectRef object, Batches& batches) {
  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(object);
  if (found == shard.entries.end()) return;  // its home has come here meanwhile, and what was written is there
  Entry& entry = found->second;
  if (core_.homes.at(object).state != HomeState::Settled) {
    ++job->pending;
    const auto again = [this, job, object] {
      flushObjects(job, {&object, 1});
      step(job);
    };
    if (core_.gates.wait(object, again)) return;
    --job->pending;  // settled between the two looks
  }
  if (mustWait(entry)) {
    ++job->pending;
    entry.waiters.push_back([this, job, object] {
      flushObjects(job, {&object, 1});
      step(job);
    });
    return;
  }
  const BlockHome home = core_.homes.at(object);
  ByteWriter diff;
  diff.put(uint32_t(0));
  const auto exporting = [this](ObjectRef reference) { core_.exportOut(reference); };
  const uint32_t runs = writeDiff(object, core_.shapeOf(object), entry.twin, diff, exporting);
  diff.patch(0, runs);

  entry.removeWriter(job->set.get());
  if (core_.options.fault == Fault::FirstFlusherDropsTwin) entry.writers.clear();
  std::atomic<uint64_t>& epochWord = rt::header(object)->epochWord;
  const uint64_t word = epochWord.load(std::memory_order_relaxed);
  if (job->set->slot != kNoSlot && (word & rt::kWriterMask) == job->set->slot)
    epochWord.store(word | kNoWriter, std::memory_order_relaxed);

  if (runs == 0) return shard.dropIfIdle(object);
  entry.busy = entry.flushing = true;
  batches.of(home.node).add(object, home, diff.take());
}

void Flusher::send(const JobPtr& job, NodeId home, Batch batch) {
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Flush));
  message.put(uint32_t(batch.objects.size()));
  for (size_t i = 0; i < batch.objects.size(); ++i) {
    message.put(batch.objects[i]);
    message.append(batch.diffs[i]);
  }
  core_.stats.flushMessages++;
  core_.stats.flushedObjects += batch.objects.size();
  core_.stats.flushBytes += message.size();
  ++job->pending;
  const int64_t sent = core_.net.now();
  const bool early = core_.options.fault == Fault::NoAckWait;
  const auto shared = std::make_shared<Batch>(std::move(batch));
  core_.net.request(home, Channel::Objects, message.take(),
                    [this, job, shared, home, sent, early](Result<Bytes> reply) {
                      const int64_t waited = core_.net.now() - sent;
                      core_.stats.flushNanos.add(waited);
                      core_.remoteUse.note(job->thread, home, shared->bytes, waited);
                      if (!early) onReply(job, home, *shared, std::move(reply));
                    });
  if (early) acknowledged(job, shared->objects);
}

void Flusher::onReply(const JobPtr& job, NodeId home, Batch& batch, Result<Bytes> reply) {
  if (!reply.ok())
    return core_.host.fatal(std::move(reply).error().withContext(fmt::format("writing to node {}", home.value)));
  ByteReader in(*reply);
  if (in.getEnum(ReplyStatus::Moved) != ReplyStatus::Done || !in.ok() || !sendMovedAgain(job, batch, in))
    return core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} refused writes to its objects", home.value)});
  core_.host.accessGuest([&] { acknowledged(job, batch.objects); });
}

/// Sends what was not written to where it has moved, and takes it out of the batch. False if the reply makes no sense.
bool Flusher::sendMovedAgain(const JobPtr& job, Batch& batch, ByteReader& reply) {
  const uint32_t count = reply.getCount(12);
  if (count == 0) return reply.finished();
  Batches again(*this, job);
  std::vector<bool> moved(batch.objects.size());
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t index = reply.get<uint32_t>();
    const BlockHome whereabouts = getWhereabouts(reply);
    if (!reply.ok() || index >= batch.objects.size() || moved[index]) return false;
    const ObjectRef object = batch.objects[index];
    if (!core_.homes.learn(object, whereabouts, batch.homes[index])) return false;
    const BlockHome next = core_.homes.at(object);
    moved[index] = true;
    again.of(next.node).add(object, next, std::move(batch.diffs[index]));
  }
  if (!reply.finished()) return false;
  again.sendAll();
  size_t kept = 0;
  for (size_t i = 0; i < moved.size(); ++i)
    if (!moved[i]) batch.objects[kept++] = batch.objects[i];
  batch.objects.resize(kept);
  return true;
}

void Flusher::acknowledged(const JobPtr& job, std::span<const ObjectRef> objects) {
  core_.recentFlushes.ended(objects);
  std::vector<std::function<void()>> waiters;
  for (ObjectRef object : objects) {
    EntryTable::Shard& shard = core_.table.shard(object);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(object);
    if (found == shard.entries.end()) continue;  // only with a fault: a transaction that overlapped dropped it
    Entry& entry = found->second;
    entry.endTransaction(waiters);
    shard.dropIfIdle(object);
  }
  for (const auto& waiter : waiters) waiter();
  step(job);
}

void Flusher::step(const JobPtr& job) {
  if (job->pending.fetch_sub(1) > 1) return;
  // What comes after the flush is of the thread, too: it must not leave between the two, because nobody waits for the
  // answer to a request that is sent after it has left, not even this node before it leaves the program.
  core_.traffic.begin(job->thread);
  finish(job);
  job->done();
  core_.traffic.end(job->thread);
}

void Flusher::finish(const JobPtr& job) {
  std::vector<JobPtr> successors;
  {
    std::lock_guard lock(mutex_);
    const auto latest = latest_.find(job->thread);
    if (latest != latest_.end() && latest->second == job) latest_.erase(latest);
    successors = std::move(job->successors);
  }
  core_.slots.giveBack(job->set->slot);
  core_.writtenBytes -= job->set->bytes;
  for (const JobPtr& successor : successors) step(successor);
  core_.traffic.end(job->thread);
}

}  // namespace jvmc::cluster
