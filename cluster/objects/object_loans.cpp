#include "cluster/objects/object_loans.h"

#include <utility>

#include "cluster/objects/messages.h"

namespace jvmc::cluster {

void ObjectLoans::borrow(const CopyUnit& unit, Entry& entry) {
  if (entry.recalled && core_.options.fault != Fault::OvertakenRecallLost) return;
  core_.contentChanges(unit.object);
  writers_.keepTwin(unit, entry);
  entry.borrowed = true;
  {
    std::lock_guard lock(mutex_);
    borrowed_.insert(unit.object);
  }
  // What is volatile in it others have released: who acquires by it here must find older copies stale.
  if (core_.options.fault != Fault::ObjectLoanDoesNotTick) core_.tick();
  core_.stats.objectsBorrowed++;
  core_.groupWord(unit).store(rt::kLockInflated, std::memory_order_relaxed);
  core_.epochWord(unit).store(rt::kEpochBorrowed, std::memory_order_release);
}

void ObjectLoans::handleUnlease(ObjectRef object, std::shared_ptr<Responder> responder) {
  {
    std::lock_guard lock(mutex_);
    if (borrowed_.contains(object)) {
      recalls_.push_back({object, std::move(responder)});
      if (!std::exchange(started_, true)) thread_->start([this] { run(); });
      return thread_->notify();
    }
  }
  const auto end = [this, object] { core_.host.accessGuest([&] { copies_.endLease(object); }); };
  if (core_.options.fault == Fault::LeaseOutlivesRecall)
    core_.net.postAfter(2'000'000, end);
  else
    end();
  answer({object, std::move(responder)});
}

void ObjectLoans::answer(const Recall& recall) {
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Done));
  out.put(recall.wasHere);
  if (recall.wasHere) {
    out.put(recall.owes);
    out.append(recall.diff);
  }
  recall.responder->reply(out.take());
}

void ObjectLoans::handleSettle(std::shared_ptr<Responder> responder) {
  flusher_.afterDeferred([responder] { responder->reply({uint8_t(ReplyStatus::Done)}); });
}

void ObjectLoans::run() {
  for (;;) {
    std::vector<Recall> recalls;
    {
      std::unique_lock lock(mutex_);
      thread_->wait(lock, [&] { return stopping_ || !recalls_.empty(); });
      if (stopping_) return;
      recalls = std::exchange(recalls_, {});
    }
    giveBack(recalls);
    for (const Recall& recall : recalls) answer(recall);
  }
}

void ObjectLoans::giveBack(std::vector<Recall>& recalls) {
  host_.stopWorld([&] {
    for (Recall& recall : recalls) giveBack(recall);
    if (core_.options.fault != Fault::BorrowersForgotten) enterWhoMayWrite(recalls);
    for (const Recall& recall : recalls) {
      EntryTable::Shard& shard = core_.table.shard(recall.object);
      std::lock_guard lock(shard.mutex);
      const auto found = shard.entries.find(recall.object);
      if (found == shard.entries.end()) continue;
      if (found->second.writers.empty()) found->second.hasTwin = false, found->second.twin = {};
      shard.dropIfIdle(recall.object);
    }
  });
}

/// World stopped. The copy is too old for everyone from now on; what has been written to it is in recall.diff.
void ObjectLoans::giveBack(Recall& recall) {
  const CopyUnit unit(recall.object);
  EntryTable::Shard& shard = core_.table.shard(unit);
  std::lock_guard lock(shard.mutex);
  const auto found = shard.entries.find(unit);
  if (found == shard.entries.end() || !found->second.borrowed) return;
  ByteWriter diff;
  diff.put(uint32_t(0));
  const auto exporting = [&](ObjectRef reference) { core_.exportOut(reference); };
  diff.patch(0, writeDiff(unit.base(), core_.shapeOf(unit), found->second.twin, diff, exporting));
  recall.diff = diff.take();
  recall.wasHere = true;
  recall.owes = flusher_.owes();
  found->second.borrowed = false;
  core_.groupWord(unit).store(0, std::memory_order_relaxed);
  core_.epochWord(unit).store(rt::kEpochGivenUp | kNoWriter, std::memory_order_release);
  core_.stats.objectsReturned++;
  // What comes unasked, and was sent before it was lent, is older than what threads here have written.
  core_.recentFlushes.ended({&unit, 1});
  std::lock_guard inner(mutex_);
  borrowed_.erase(recall.object);
}

/// World stopped. Threads that do not stand in a poll may have checked an object and be about to store to it.
void ObjectLoans::enterWhoMayWrite(const std::vector<Recall>& recalls) {
  host_.forEachReliance([&](rt::ThreadContext& ctx, const std::set<uint64_t>& blocks) {
    for (const Recall& recall : recalls) {
      if (!recall.wasHere || !blocks.contains(recall.object & ~uint64_t(rt::kBlockBytes - 1))) continue;
      const CopyUnit unit(recall.object);
      EntryTable::Shard& shard = core_.table.shard(unit);
      std::lock_guard lock(shard.mutex);
      writers_.enter(ctx, unit, shard.entries.at(unit));
    }
  });
}

size_t ObjectLoans::giveUp() {
  std::set<ObjectRef> borrowed;
  {
    std::lock_guard lock(mutex_);
    borrowed = borrowed_;
  }
  for (ObjectRef object : borrowed) {
    ByteWriter out;
    out.put(uint8_t(ObjectMessage::GiveUp));
    out.put(object);
    core_.net.notify(core_.homes.homeOf(object), Channel::Objects, out.take());
  }
  return borrowed.size();
}

size_t ObjectLoans::count() const {
  std::lock_guard lock(mutex_);
  return borrowed_.size();
}

void ObjectLoans::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    thread_->notify();
  }
  thread_->join();
}

}  // namespace jvmc::cluster
