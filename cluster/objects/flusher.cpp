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
  void sendIfLarge(NodeId home) {
    if (byHome_[home].out.size() < kBytesMax) return;
    flusher_.send(job_, home, std::move(byHome_[home]));
    byHome_.erase(home);
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
  const JobPtr job = start(ctx, std::move(done));
  if (!job) return true;
  flushObjects(job, job->set->objects);
  if (job->pending.fetch_sub(1) > 1) return false;
  finish(job);
  return true;
}

Flusher::JobPtr Flusher::start(rt::ThreadContext& ctx, std::function<void()> done) {
  std::unique_ptr<WriteSet> set(static_cast<WriteSet*>(ctx.thread->writeSet));
  ctx.thread->writeSet = nullptr;
  ctx.thread->writerSlot = kNoSlot;
  ctx.writerSlot = kNoSlot;

  std::lock_guard lock(mutex_);
  const auto earlier = latest_.find(ctx.thread->ref.id);
  if (!set && earlier == latest_.end()) return nullptr;
  auto job = std::make_shared<Job>();
  job->thread = ctx.thread->ref.id;
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
    batches.sendIfLarge(core_.homes.homeOf(object));
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
  if (found == shard.entries.end()) {  // I3 keeps the entry until this very flush
    JVMC_CHECK(core_.options.fault == Fault::FirstFlusherDropsTwin, object);
    return;
  }
  Entry& entry = found->second;
  if (mustWait(entry)) {
    ++job->pending;
    entry.waiters.push_back([this, job, object] {
      flushObjects(job, {&object, 1});
      step(job);
    });
    return;
  }
  Batch& batch = batches.of(core_.homes.homeOf(object));
  ByteWriter diff;
  const auto exporting = [this](ObjectRef reference) { core_.exportOut(reference); };
  const uint32_t runs = writeDiff(object, core_.shapeOf(object), entry.twin, diff, exporting);

  entry.removeWriter(job->set.get());
  if (core_.options.fault == Fault::FirstFlusherDropsTwin) entry.writers.clear();
  std::atomic<uint64_t>& epochWord = rt::header(object)->epochWord;
  const uint64_t word = epochWord.load(std::memory_order_relaxed);
  if (job->set->slot != kNoSlot && (word & rt::kWriterMask) == job->set->slot)
    epochWord.store(word | kNoWriter, std::memory_order_relaxed);

  if (runs == 0) return shard.dropIfIdle(object);
  entry.busy = entry.flushing = true;
  batch.objects.push_back(object);
  batch.out.put(object);
  batch.out.put(runs);
  const std::vector<uint8_t> bytes = diff.take();
  batch.out.append(bytes);
}

void Flusher::send(const JobPtr& job, NodeId home, Batch batch) {
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Flush));
  message.put(uint32_t(batch.objects.size()));
  const std::vector<uint8_t> bytes = batch.out.take();
  message.append(bytes);
  core_.stats.flushMessages++;
  core_.stats.flushedObjects += batch.objects.size();
  core_.stats.flushBytes += message.size();
  ++job->pending;
  auto objects = std::make_shared<std::vector<ObjectRef>>(std::move(batch.objects));
  const int64_t sent = steadyNanos();
  const bool early = core_.options.fault == Fault::NoAckWait;
  core_.net.request(
      home, Channel::Objects, message.take(), [this, job, objects, home, sent, early](Result<Bytes> reply) {
        core_.stats.flushNanos.add(steadyNanos() - sent);
        if (!reply.ok())
          return core_.host.fatal(std::move(reply).error().withContext(fmt::format("writing to node {}", home.value)));
        if (reply->size() != 1 || (*reply)[0] != uint8_t(ReplyStatus::Done))
          return core_.host.fatal(
              {ErrorCode::kCorrupt, fmt::format("node {} refused writes to its objects", home.value)});
        if (!early) core_.host.accessGuest([&] { acknowledged(job, *objects); });
      });
  if (early) acknowledged(job, *objects);
}

void Flusher::acknowledged(const JobPtr& job, std::span<const ObjectRef> objects) {
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
  finish(job);
  job->done();
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
  for (const JobPtr& successor : successors) step(successor);
  core_.traffic.end(job->thread);
}

}  // namespace jvmc::cluster
