#include "cluster/objects/leases.h"

#include <algorithm>

namespace jvmc::cluster {

// ---------------------------------------------------------------- who gets one

Holds Leases::grant(NodeId to, const CopyUnit& unit) {
  if (count_ == 0) return Holds::AsUsual;
  std::lock_guard lock(mutex_);
  const bool isLent = Leases::isLent(unit.object);
  if (!isLent && !isShared(unit.object)) return Holds::AsUsual;
  const auto found = shared_.find(unit.object);
  if (found == shared_.end() || found->second.recalling) return Holds::AsUsual;
  Lease& lease = found->second;
  if (isLent) {
    if (lease.loan != Loan::Reserved || lease.borrower != to || !core_.net.isPlace(to)) return Holds::AsUsual;
    lease.loan = Loan::Lent;
    lease.since = core_.net.now();
    lease.lessees.push_back(to);
    core_.stats.objectsLent++;
    return Holds::OnLoan;
  }
  std::vector<NodeId>& lessees = lease.lessees;
  const bool isNew = std::find(lessees.begin(), lessees.end(), to) == lessees.end();
  if (isNew && core_.options.fault != Fault::LesseeForgotten) lessees.push_back(to);
  core_.stats.leased++;
  return Holds::UntilRecalled;
}

void Leases::noteAsked(NodeId from, const CopyUnit& unit, bool same) {
  if (!enabled()) return;
  {
    std::lock_guard lock(mutex_);
    if (!candidates_.asked(from, unit, same) || std::exchange(scheduled_, true)) return;
  }
  schedule();
}

void Leases::noteDiffers(ObjectRef object) {
  if (!enabled()) return;
  std::lock_guard lock(mutex_);
  candidates_.differs(object);
}

void Leases::noteChanged(NodeId from, ObjectRef object) {
  if (!enabled()) return;
  {
    std::lock_guard lock(mutex_);
    if (!candidates_.changed(from, object) || std::exchange(scheduled_, true)) return;
  }
  schedule();
}

// ---------------------------------------------------------------- HOME -> SHARED, LENT

void Leases::schedule() {
  const int64_t gather = std::min(kGatherNanos, core_.options.leaseNanos);
  const int64_t wait = std::max(lastStop_ + core_.options.leaseNanos - core_.net.now(), gather);
  core_.net.postAfter(wait, [this] { stopper_([this](const std::set<uint64_t>& held) { share(held); }); });
}

void Leases::share(const std::set<uint64_t>& held) {
  std::vector<std::pair<ObjectRef, uint64_t>> lent;
  std::lock_guard lock(mutex_);
  scheduled_ = false;
  lastStop_ = core_.net.now();
  if (shared_.size() + candidates_.size() > kSharedMax) forgetStaleLocked();
  for (const auto& [object, borrower] : candidates_.take()) {
    if (shared_.size() >= kSharedMax || !mayShare(object, held)) continue;
    if (borrower.valid() && !mayLend(object, borrower)) continue;
    // Of one that was here before, and whose answers are still on their way.
    if (const auto before = shared_.find(object); before != shared_.end()) {
      if (before->second.recalling) continue;
      loans_ -= before->second.isLoan();
    }
    // With a writer that is nobody: 0 is the slot of a thread that has none, as in copies.
    const uint64_t state = borrower.valid() ? rt::kEpochLent : rt::kEpochShared;
    rt::header(object)->epochWord.store(state | kNoWriter, std::memory_order_release);
    shared_[object] = {};
    if (borrower.valid()) {
      shared_[object] = {.loan = Loan::Closing, .borrower = borrower, .number = ++numbers_};
      ++loans_;
      lent.emplace_back(object, numbers_);
    } else {
      core_.stats.shared++;
    }
  }
  count_ = shared_.size();
  if (!lent.empty()) core_.net.post([this, lent] { core_.host.accessGuest([&] { openLoans(lent); }); });
}

bool Leases::mayShare(ObjectRef object, const std::set<uint64_t>& held) {
  // A node that is about to leave would only have to call it back.
  if (!core_.net.isPlace(core_.self) || !core_.homedHere(object) || !core_.host.plausible(object)) return false;
  const uint64_t word = rt::header(object)->epochWord.load(std::memory_order_acquire);
  if (!rt::isWritableHomeEpoch(word)) return false;
  if (rt::header(object)->classWord.load(std::memory_order_acquire) & rt::kFlagFrozen) return false;
  const auto first = held.lower_bound(object & ~uint64_t(rt::kBlockBytes - 1));
  return first == held.end() || *first >= object + core_.shapeOf(object).end();
}

bool Leases::mayLend(ObjectRef object, NodeId to) {
  return core_.net.isPlace(to) && loans_ < kLoansMax && core_.host.isOrdinary(object) &&
         core_.shapeOf(object).end() <= kLentBytesMax;
}

/// What threads here have released by the objects, while they were at home, must be home before the borrower's threads
/// acquire by them.
void Leases::openLoans(const std::vector<std::pair<ObjectRef, uint64_t>>& loans) {
  const auto open = [this, loans] {
    for (const auto& [object, number] : loans) {
      // A collection under way has not found that anybody holds it: perhaps nobody does.
      if (core_.isTracing() && !core_.trace->isMarked(object)) {
        recall(object, nullptr);
      } else if (const std::optional<NodeId> borrower = reserve(object, number)) {
        offer(object, *borrower);
      }
    }
  };
  core_.options.fault == Fault::GrantOwes ? open() : flusher_.afterDeferred(open);
}

/// Who gets it; nobody if it has been needed here meanwhile.
std::optional<NodeId> Leases::reserve(ObjectRef object, uint64_t number) {
  std::lock_guard lock(mutex_);
  const auto found = shared_.find(object);
  if (found == shared_.end() || found->second.number != number || found->second.loan != Loan::Closing)
    return std::nullopt;
  found->second.loan = Loan::Reserved;
  return found->second.borrower;
}

/// It is held until the borrower has heard of it, which holds it from then on.
void Leases::offer(ObjectRef object, NodeId borrower) {
  core_.exportOut(object);
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Offer));
  message.put(object);
  core_.net.request(borrower, Channel::Objects, message.take(), [hold = core_.held.hold({object})](const auto&) {});
}

/// Objects that are no more.
void Leases::forgetStaleLocked() {
  std::erase_if(shared_, [&](const auto& entry) {
    const bool isStale = !entry.second.recalling && !isSharedHere(entry.first) && !isLentHere(entry.first);
    if (isStale && entry.second.isLoan()) --loans_;
    return isStale;
  });
}

// ---------------------------------------------------------------- SHARED, LENT -> HOME

bool Leases::recall(ObjectRef object, std::function<void()> then, Until until) {
  std::vector<NodeId> lessees;
  bool awaits = true;
  {
    std::lock_guard lock(mutex_);
    if (!isShared(object) && !isLent(object)) return false;
    Lease& lease = shared_[object];  // it is there, unless with a fault
    if (lease.recalling) {
      if (lease.loan == Loan::Returned && until == Until::ContentIsHere) return false;
      lease.await(std::move(then), until);
      return true;
    }
    if (lease.isLoan()) {
      candidates_.loanEnded(object, lease.loan == Loan::Lent ? core_.net.now() - lease.since : 0);
    } else {
      core_.stats.unshared++;
      candidates_.leaseEnded(object);
    }
    lessees = lease.lessees;
    awaits = !lessees.empty() && (lease.isLoan() || core_.options.fault != Fault::RecallNotAwaited);
    if (awaits) {
      lease.recalling = true;
      lease.unanswered = lessees.size();
      lease.await(std::move(then), until);
    } else {
      rt::header(object)->epochWord.store(rt::kEpochHome, std::memory_order_release);
      loans_ -= lease.isLoan();
      shared_.erase(object);
      count_ = shared_.size();
    }
  }
  core_.stats.recalls += lessees.size();
  for (NodeId lessee : lessees) sendRecall(object, lessee);
  return awaits;
}

bool Leases::isAway(ObjectRef object) {
  if (!isLentHere(object)) return false;
  std::lock_guard lock(mutex_);
  const auto found = shared_.find(object);
  return found != shared_.end() && found->second.loan >= Loan::Lent;
}

void Leases::takeBack(ObjectRef object, NodeId from) {
  if (!isLentHere(object)) return;
  {
    std::lock_guard lock(mutex_);
    const auto found = shared_.find(object);
    if (found == shared_.end() || found->second.borrower != from) return;
  }
  recall(object, nullptr);
}

void Leases::sendRecall(ObjectRef object, NodeId lessee) {
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Unlease));
  message.put(object);
  core_.net.request(lessee, Channel::Objects, message.take(), [this, object, lessee](Result<Bytes> reply) {
    // A node that is gone has no copies; one that had objects on loan has given them back before it left.
    bool makesSense = true;
    core_.host.accessGuest([&] {
      if (reply.ok())
        makesSense = onAnswer(object, lessee, *reply);
      else
        acknowledged(object);
    });
    if (!makesSense)
      core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} does not give an object back", lessee.value)});
  });
}

/// False if it makes no sense.
bool Leases::onAnswer(ObjectRef object, NodeId lessee, std::span<const uint8_t> answer) {
  ByteReader in(answer);
  if (in.getEnum(ReplyStatus::Lent) != ReplyStatus::Done) return false;
  const bool wasLent = in.getBool();
  const bool owes = wasLent && in.getBool();
  {
    std::lock_guard lock(mutex_);
    const auto found = shared_.find(object);
    if (wasLent && (found == shared_.end() || found->second.loan != Loan::Lent)) return false;
  }
  if (wasLent && !applyDiff_(object, in)) return false;
  if (!in.finished()) return false;
  if (wasLent) contentIsBack(object);
  if (!owes || core_.options.fault == Fault::ReturnNotSettled) {
    acknowledged(object);
    return true;
  }
  ByteWriter message;
  message.put(uint8_t(ObjectMessage::Settle));
  message.put(object);
  // One that has left in the meantime owes nothing.
  core_.net.request(lessee, Channel::Objects, message.take(),
                    [this, object](const Result<Bytes>&) { core_.host.accessGuest([&] { acknowledged(object); }); });
  return true;
}

/// Whoever reads or writes its fields without synchronising by them may do so now.
void Leases::contentIsBack(ObjectRef object) {
  std::vector<std::function<void()>> waiters;
  {
    std::lock_guard lock(mutex_);
    Lease& lease = shared_.at(object);
    lease.loan = Loan::Returned;
    waiters = std::exchange(lease.contentWaiters, {});
  }
  for (const auto& waiter : waiters) waiter();
}

void Leases::acknowledged(ObjectRef object) {
  std::vector<std::function<void()>> waiters;
  {
    std::lock_guard lock(mutex_);
    const auto found = shared_.find(object);
    if (found == shared_.end() || --found->second.unanswered > 0) return;
    Lease& lease = found->second;
    // I6, as for blocks: others have released by its volatile fields.
    if (lease.isLoan() && core_.options.fault != Fault::ObjectLoanDoesNotTick) core_.tick();
    // Somebody waits to use it, or it lies in a block that wants to leave: but that one may be dead meanwhile.
    if (isSharedHere(object) || isLentHere(object))
      rt::header(object)->epochWord.store(rt::kEpochHome, std::memory_order_release);
    waiters = std::move(lease.contentWaiters);
    waiters.insert(waiters.end(), std::make_move_iterator(lease.waiters.begin()),
                   std::make_move_iterator(lease.waiters.end()));
    loans_ -= lease.isLoan();
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
    if (isSharedHere(object) || isLentHere(object)) objects.insert(object);
  return objects;
}

}  // namespace jvmc::cluster
