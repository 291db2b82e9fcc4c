#include "cluster/objects/leases.h"

#include <algorithm>

namespace jvmc::cluster {

// ---------------------------------------------------------------- who gets one

bool Leases::grant(NodeId to, const CopyUnit& unit) {
  if (count_ == 0) return false;
  std::lock_guard lock(mutex_);
  if (!isShared(unit.object)) return false;
  const auto found = shared_.find(unit.object);
  if (found == shared_.end() || found->second.recalling) return false;
  std::vector<NodeId>& lessees = found->second.lessees;
  const bool isNew = std::find(lessees.begin(), lessees.end(), to) == lessees.end();
  if (isNew && core_.options.fault != Fault::LesseeForgotten) lessees.push_back(to);
  core_.stats.leased++;
  return true;
}

Leases::Seen& Leases::seenLocked(ObjectRef object) {
  const auto [at, isNew] = seen_.try_emplace(object);
  if (!isNew) return at->second;
  seenInOrder_.push_back(object);
  if (seenInOrder_.size() > kSeenMax) {
    seen_.erase(seenInOrder_.front());
    seenInOrder_.pop_front();
  }
  return at->second;
}

void Leases::noteAsked(const CopyUnit& unit, bool same) {
  if (!enabled() || (!same && !core_.options.leaseEverything)) return;
  {
    std::lock_guard lock(mutex_);
    Seen& seen = seenLocked(unit.object);
    if (seen.same == 0) seen.witness = unit;
    if (seen.witness != unit) return;
    const uint32_t needed = core_.options.leaseEverything ? 1 : kSameNeeded << std::min(seen.recalls, kRecallsMax);
    if (++seen.same < needed || candidates_.size() >= kSharedMax) return;
    seen.same = 0;
    candidates_.push_back(unit.object);
    if (std::exchange(scheduled_, true)) return;
  }
  schedule();
}

void Leases::noteChanged(ObjectRef object) {
  if (!enabled()) return;
  std::lock_guard lock(mutex_);
  const auto found = seen_.find(object);
  if (found != seen_.end()) found->second.same = 0;
}

// ---------------------------------------------------------------- HOME -> SHARED

void Leases::schedule() {
  const int64_t gather = std::min(kGatherNanos, core_.options.leaseNanos);
  const int64_t wait = std::max(lastStop_ + core_.options.leaseNanos - core_.net.now(), gather);
  core_.net.postAfter(wait, [this] { stopper_([this](const std::set<uint64_t>& held) { share(held); }); });
}

void Leases::share(const std::set<uint64_t>& held) {
  std::lock_guard lock(mutex_);
  scheduled_ = false;
  lastStop_ = core_.net.now();
  if (shared_.size() + candidates_.size() > kSharedMax) forgetStaleLocked();
  for (ObjectRef object : std::exchange(candidates_, {})) {
    if (shared_.size() >= kSharedMax || !mayShare(object, held)) continue;
    // Of one that was here before, and whose answers are still on their way.
    if (const auto before = shared_.find(object); before != shared_.end() && before->second.recalling) continue;
    // With a writer that is nobody: 0 is the slot of a thread that has none, as in copies.
    rt::header(object)->epochWord.store(rt::kEpochShared | kNoWriter, std::memory_order_release);
    shared_[object] = {};
    core_.stats.shared++;
  }
  count_ = shared_.size();
}

bool Leases::mayShare(ObjectRef object, const std::set<uint64_t>& held) {
  // A node that is about to leave would only have to call it back.
  if (!core_.net.isPlace(core_.self) || !core_.homedHere(object) || !core_.host.plausible(object)) return false;
  if (!rt::isWritableHomeEpoch(rt::header(object)->epochWord.load(std::memory_order_acquire))) return false;
  if (rt::header(object)->classWord.load(std::memory_order_acquire) & rt::kFlagFrozen) return false;
  const auto first = held.lower_bound(object & ~uint64_t(rt::kBlockBytes - 1));
  return first == held.end() || *first >= object + core_.shapeOf(object).end();
}

/// Objects that are no more.
void Leases::forgetStaleLocked() {
  std::erase_if(shared_, [&](const auto& entry) { return !entry.second.recalling && !isSharedHere(entry.first); });
}

// ---------------------------------------------------------------- SHARED -> HOME

bool Leases::isSharedHere(ObjectRef object) {
  return count_ > 0 && object != rt::kNullRef && core_.homes.valid(object) && core_.homedHere(object) &&
         core_.host.plausible(object) && isShared(object);
}

bool Leases::recall(ObjectRef object, std::function<void()> then) {
  std::vector<NodeId> lessees;
  const bool awaits = core_.options.fault != Fault::RecallNotAwaited;
  {
    std::lock_guard lock(mutex_);
    if (!isShared(object)) return false;
    const auto found = shared_.find(object);
    const bool known = found != shared_.end();
    if (known && found->second.recalling) {
      if (then) found->second.waiters.push_back(std::move(then));
      return true;
    }
    core_.stats.unshared++;
    ++seenLocked(object).recalls;
    if (known) lessees = found->second.lessees;
    if (lessees.empty() || !awaits) {
      rt::header(object)->epochWord.store(rt::kEpochHome, std::memory_order_release);
      shared_.erase(object);
      count_ = shared_.size();
    } else {
      found->second.recalling = true;
      found->second.unanswered = lessees.size();
      if (then) found->second.waiters.push_back(std::move(then));
    }
  }
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Unlease));
  message.put(object);
  const Bytes unlease = message.take();
  core_.stats.recalls += lessees.size();
  for (NodeId lessee : lessees)
    core_.net.request(lessee, Channel::Objects, unlease, [this, object, lessee, awaits](Result<Bytes> reply) {
      // A node that is gone has no copies.
      if (reply.ok() && *reply != Bytes{uint8_t(ReplyStatus::Done)})
        return core_.host.fatal(
            {ErrorCode::kCorrupt, fmt::format("node {} does not give an object back", lessee.value)});
      if (awaits) core_.host.accessGuest([&] { acknowledged(object); });
    });
  return awaits && !lessees.empty();
}

void Leases::acknowledged(ObjectRef object) {
  std::vector<std::function<void()>> waiters;
  {
    std::lock_guard lock(mutex_);
    const auto found = shared_.find(object);
    if (found == shared_.end() || --found->second.unanswered > 0) return;
    // Somebody waits to write it, or it lies in a block that wants to leave: but that one may be dead meanwhile.
    if (isSharedHere(object)) rt::header(object)->epochWord.store(rt::kEpochHome, std::memory_order_release);
    waiters = std::move(found->second.waiters);
    shared_.erase(found);
    count_ = shared_.size();
  }
  for (const auto& waiter : waiters) waiter();
}

std::set<ObjectRef> Leases::shared() {
  std::set<ObjectRef> objects;
  if (count_ == 0) return objects;
  std::lock_guard lock(mutex_);
  for (const auto& [object, lease] : shared_)
    if (isSharedHere(object)) objects.insert(object);
  return objects;
}

}  // namespace jvmc::cluster
