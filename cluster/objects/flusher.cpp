#include "cluster/objects/flusher.h"

#include <map>
#include <utility>

#include "cluster/objects/messages.h"
#include "ir/support/check.h"

namespace jvmc::cluster {

namespace {

/// Writes of more objects than this are sent without being asked for.
constexpr uint64_t kDeferredBytesMax = 1 << 20;
/// In whose name the node sends what it owes.
constexpr rt::ThreadId kNobody = 0;

}  // namespace

/// A release on its way. `pending` counts what it waits for: messages, busy objects, earlier jobs, and the code that
/// starts it. Whoever takes it to zero finishes the job.
struct Flusher::Job {
  rt::ThreadId thread = kNobody;
  std::unique_ptr<WriteSet> set;
  std::function<void()> done;
  std::shared_ptr<Companion> companion;
  bool owing = false;  ///< the set holds what the node owed
  std::atomic<int> pending{1};
  std::vector<JobPtr> successors;  ///< jobs that await this one; under Flusher::mutex_
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
      flusher_.send(job_, entry.first, std::move(entry.second), false);
      return true;
    });
  }
  void sendAll() {
    std::erase_if(byHome_, [](const auto& entry) { return entry.second.units.empty(); });
    const bool withRequest = byHome_.size() == 1 && flusher_.mayAccompany(job_, byHome_.begin()->first);
    for (auto& [home, batch] : byHome_) flusher_.send(job_, home, std::move(batch), withRequest);
  }

 private:
  Flusher& flusher_;
  const JobPtr& job_;
  std::map<NodeId, Batch> byHome_;
};

std::unique_ptr<WriteSet> Flusher::takeWriteSet(rt::ThreadContext& ctx) {
  std::unique_ptr<WriteSet> set(static_cast<WriteSet*>(ctx.thread->writeSet));
  ctx.thread->writeSet = nullptr;
  ctx.thread->writerSlot = kNoSlot;
  ctx.writerSlot = kNoSlot;
  return set;
}

bool Flusher::release(rt::ThreadContext& ctx, std::function<void()> done, std::shared_ptr<Companion> companion) {
  const auto job = std::make_shared<Job>();
  job->thread = ctx.thread->ref.id;
  job->set = takeWriteSet(ctx);
  job->done = std::move(done);
  job->companion = std::move(companion);
  {
    std::lock_guard lock(mutex_);
    if (deferred_ && job->set) joinDeferred(std::move(job->set));
    takeDeferred(*job);
    if (!start(job)) return true;
  }
  return carryOut(job);
}

bool Flusher::publish(rt::ThreadContext& ctx, std::function<void()> done) {
  const auto job = std::make_shared<Job>();
  job->thread = ctx.thread->ref.id;
  job->done = std::move(done);
  {
    std::lock_guard lock(mutex_);
    takeDeferred(*job);
    // The job's set has no slot and does not write what is the thread's own: taking it from the writers changes
    // nothing.
    if (const auto* own = static_cast<const WriteSet*>(ctx.thread->writeSet)) {
      if (!job->set) job->set = std::make_unique<WriteSet>();
      job->set->units.insert(job->set->units.end(), own->units.begin(), own->units.end());
    }
    if (!start(job)) return true;
  }
  return carryOut(job);
}

// ---------------------------------------------------------------- what the node owes

void Flusher::defer(rt::ThreadContext& ctx) {
  std::unique_ptr<WriteSet> set = takeWriteSet(ctx);
  if (!set) return;
  core_.stats.deferredReleases++;
  bool isMuch = false;
  {
    std::lock_guard lock(mutex_);
    if (!deferred_) {
      deferred_ = std::make_unique<WriteSet>();
      ++owed_;
    }
    joinDeferred(std::move(set));
    isMuch = deferred_->bytes > kDeferredBytesMax;
  }
  if (isMuch) afterDeferred([] {});
}

/// The node is a writer in the thread's place. Under mutex_.
void Flusher::joinDeferred(std::unique_ptr<WriteSet> set) {
  uint64_t newBytes = 0;
  for (const CopyUnit& unit : set->units) {
    EntryTable::Shard& shard = core_.table.shard(unit);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(unit);
    // Else its home has come here meanwhile, and what was written is there; perhaps it has left again.
    if (found == shard.entries.end() || !found->second.hasWriter(set.get())) continue;
    Entry& entry = found->second;
    if (!entry.hasWriter(deferred_.get())) {
      entry.writers.push_back(deferred_.get());
      deferred_->units.push_back(unit);
      newBytes += core_.writtenBytesOf(core_.shapeOf(unit));
    }
    entry.removeWriter(set.get());
    clearSlot(unit, set->slot);
  }
  deferred_->bytes += newBytes;
  core_.writtenBytes -= set->bytes - newBytes;
  core_.slots.giveBack(set->slot);
}

void Flusher::takeDeferred(Job& job) {
  if (!deferred_) return;
  job.set = std::move(deferred_);
  job.owing = true;
}

void Flusher::afterDeferred(std::function<void()> action) {
  if (!owes() || core_.options.fault == Fault::DeferredWritesOvertaken) return action();
  ++actionsWaiting_;
  core_.net.post([this, action = std::move(action)] {
    core_.host.accessGuest([&] {
      flushDeferred([this, action] {
        action();
        --actionsWaiting_;
      });
    });
  });
}

void Flusher::flushDeferred(std::function<void()> done) {
  const auto job = std::make_shared<Job>();
  job->done = done;
  {
    std::lock_guard lock(mutex_);
    takeDeferred(*job);
    if (!start(job)) return done();
  }
  if (carryOut(job)) done();
}

// ---------------------------------------------------------------- jobs

/// False if there is nothing to do. Under mutex_.
bool Flusher::start(const JobPtr& job) {
  const auto earlier = latest_.find(job->thread);
  if (!job->set && earlier == latest_.end() && owing_.empty()) return false;
  if (!job->set) job->set = std::make_unique<WriteSet>();
  const auto await = [&](const JobPtr& other) {
    ++job->pending;
    other->successors.push_back(job);
  };
  if (earlier != latest_.end() && !earlier->second->owing) await(earlier->second);
  for (const JobPtr& other : owing_) await(other);
  latest_[job->thread] = job;
  if (job->owing) owing_.push_back(job);
  core_.traffic.begin(job->thread);
  core_.stats.releases++;
  return true;
}

/// True if all is home already; else `done` is called when it is.
bool Flusher::carryOut(const JobPtr& job) {
  flushUnits(job, job->set->units);
  if (job->pending.fetch_sub(1) > 1) return false;
  finish(job);
  return true;
}

void Flusher::flushUnits(const JobPtr& job, std::span<const CopyUnit> units) {
  Batches batches(*this, job);
  for (const CopyUnit& unit : units) {
    flushOne(job, unit, batches);
    batches.sendLarge();
  }
  batches.sendAll();
}

bool Flusher::mustWait(const Entry& entry) const {
  if (!entry.busy) return false;
  if (core_.options.fault == Fault::FetchOverlapsFlush) return entry.flushing;
  return !(entry.flushing && core_.options.fault == Fault::IgnoreForeignFlush);
}

void Flusher::flushOne(const JobPtr& job, const CopyUnit& unit, Batches& batches) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(unit);
  if (found == shard.entries.end()) return;  // its home has come here meanwhile, and what was written is there
  Entry& entry = found->second;
  // Whoever needs it elsewhere has it called back.
  if (entry.borrowed) {
    entry.removeWriter(job->set.get());
    return;
  }
  if (core_.homes.at(unit.object).state != HomeState::Settled) {
    ++job->pending;
    const auto again = [this, job, unit] {
      flushUnits(job, {&unit, 1});
      step(job);
    };
    if (core_.gates.wait(unit.object, again)) return;
    --job->pending;  // settled between the two looks
  }
  if (mustWait(entry)) {
    ++job->pending;
    entry.waiters.push_back([this, job, unit] {
      flushUnits(job, {&unit, 1});
      step(job);
    });
    return;
  }
  const BlockHome home = core_.homes.at(unit.object);
  ByteWriter diff;
  diff.put(uint32_t(0));
  Batch& batch = batches.of(home.node);
  const auto exporting = [&](ObjectRef reference) {
    core_.exportOut(reference);
    batch.references.push_back(reference);
  };
  const uint32_t runs = writeDiff(unit.base(), core_.shapeOf(unit), entry.twin, diff, exporting);
  diff.patch(0, runs);

  entry.removeWriter(job->set.get());
  if (core_.options.fault == Fault::FirstFlusherDropsTwin) entry.writers.clear();
  clearSlot(unit, job->set->slot);

  if (runs == 0) return shard.dropIfIdle(unit);
  entry.busy = entry.flushing = true;
  batch.add(unit, home, diff.take());
}

/// Whoever has the slot has to join the object's writers before it writes again. Under the shard's lock.
void Flusher::clearSlot(const CopyUnit& unit, WriterSlot slot) {
  std::atomic<uint64_t>& epochWord = core_.epochWord(unit);
  const uint64_t word = epochWord.load(std::memory_order_relaxed);
  if (slot != kNoSlot && (word & rt::kWriterMask) == slot) epochWord.store(word | kNoWriter, std::memory_order_relaxed);
}

/// All that the job has yet to send goes to `home` in one message: nothing else is on its way or waits.
bool Flusher::mayAccompany(const JobPtr& job, NodeId home) const {
  if (!job->companion || job->pending != 1 || core_.options.fault == Fault::NoAckWait) return false;
  const BlockHome requested = core_.homes.at(job->companion->request.object);
  return requested.state == HomeState::Settled && requested.node == home;
}

void Flusher::send(const JobPtr& job, NodeId home, Batch batch, bool withRequest) {
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Flush));
  message.put(uint32_t(batch.units.size()));
  for (size_t i = 0; i < batch.units.size(); ++i) {
    putUnit(message, batch.units[i]);
    message.append(batch.diffs[i]);
  }
  message.put(withRequest);
  if (withRequest) {
    core_.exportArguments(job->companion->request);
    putSync(message, job->companion->request);
  }
  core_.stats.flushMessages++;
  core_.stats.flushedObjects += batch.units.size();
  core_.stats.flushBytes += message.size();
  ++job->pending;
  const int64_t sent = core_.net.now();
  const bool early = core_.options.fault == Fault::NoAckWait;
  if (!batch.references.empty()) batch.hold = core_.held.hold(std::exchange(batch.references, {}));
  const auto shared = std::make_shared<Batch>(std::move(batch));
  core_.net.request(home, Channel::Objects, message.take(),
                    [this, job, shared, home, sent, early, withRequest](Result<Bytes> reply) {
                      const int64_t waited = core_.net.now() - sent;
                      core_.stats.flushNanos.add(waited);
                      core_.remoteUse.note(job->thread, home, shared->bytes, waited);
                      if (!early) onReply(job, home, *shared, withRequest, std::move(reply));
                    });
  if (early) acknowledged(job, shared->units);
}

void Flusher::onReply(const JobPtr& job, NodeId home, Batch& batch, bool withRequest, Result<Bytes> reply) {
  if (!reply.ok())
    return core_.host.fatal(std::move(reply).error().withContext(fmt::format("writing to node {}", home.value)));
  ByteReader in(*reply);
  if (in.getEnum(ReplyStatus::Moved) != ReplyStatus::Done || !in.ok() || !takeReply(job, batch, withRequest, in))
    return core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} refused writes to its objects", home.value)});
  core_.host.accessGuest([&] { acknowledged(job, batch.units); });
}

/// Sends what was not written to where it has moved, and takes it out of the batch. False if the reply makes no sense.
bool Flusher::takeReply(const JobPtr& job, Batch& batch, bool withRequest, ByteReader& reply) {
  std::map<uint32_t, BlockHome> moved;  // by index
  for (uint32_t left = reply.getCount(12); left > 0; --left) {
    const uint32_t index = reply.get<uint32_t>();
    const BlockHome whereabouts = getWhereabouts(reply);
    if (!reply.ok() || index >= batch.units.size() || !moved.emplace(index, whereabouts).second) return false;
  }
  const bool carriedOut = withRequest && reply.getBool();
  std::optional<rt::Resumption> answer;
  if (carriedOut && reply.getBool()) answer = getResumption(reply);
  if (!reply.finished() || (carriedOut && !moved.empty())) return false;
  if (carriedOut) {
    job->companion->carriedOut = true;
    job->companion->answer = std::move(answer);
  }
  if (moved.empty()) return true;

  Batches again(*this, job);
  size_t kept = 0;
  for (uint32_t i = 0; i < batch.units.size(); ++i) {
    const CopyUnit unit = batch.units[i];
    const auto found = moved.find(i);
    if (found == moved.end()) {
      batch.units[kept++] = unit;
      continue;
    }
    if (!core_.homes.learn(unit.object, found->second, batch.homes[i])) return false;
    const BlockHome next = core_.homes.at(unit.object);
    again.of(next.node).hold = batch.hold;
    again.of(next.node).add(unit, next, std::move(batch.diffs[i]));
  }
  batch.units.resize(kept);
  again.sendAll();
  return true;
}

void Flusher::acknowledged(const JobPtr& job, std::span<const CopyUnit> units) {
  core_.recentFlushes.ended(units);
  std::vector<std::function<void()>> waiters;
  for (const CopyUnit& unit : units) {
    EntryTable::Shard& shard = core_.table.shard(unit);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(unit);
    if (found == shard.entries.end()) continue;  // only with a fault: a transaction that overlapped dropped it
    Entry& entry = found->second;
    entry.endTransaction(waiters);
    shard.dropIfIdle(unit);
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
    if (job->owing) {
      std::erase(owing_, job);
      --owed_;
    }
    successors = std::move(job->successors);
  }
  core_.slots.giveBack(job->set->slot);
  core_.writtenBytes -= job->set->bytes;
  for (const JobPtr& successor : successors) step(successor);
  core_.traffic.end(job->thread);
}

}  // namespace jvmc::cluster
