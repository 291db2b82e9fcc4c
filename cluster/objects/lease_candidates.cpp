#include "cluster/objects/lease_candidates.h"

#include <algorithm>

namespace jvmc::cluster {

LeaseCandidates::Seen& LeaseCandidates::seen(ObjectRef object) {
  const auto [at, isNew] = seen_.try_emplace(object);
  if (!isNew) return at->second;
  seenInOrder_.push_back(object);
  if (seenInOrder_.size() > kSeenMax) {
    seen_.erase(seenInOrder_.front());
    seenInOrder_.pop_front();
  }
  return at->second;
}

bool LeaseCandidates::isDue(uint32_t count, uint32_t needed, uint32_t doublings) const {
  return count >= (options_.leaseEverything ? 1 : needed << std::min(doublings, kDoublingsMax));
}

bool LeaseCandidates::add(ObjectRef object, NodeId borrower) {
  if (candidates_.size() >= kCandidatesMax) return false;
  candidates_.push_back({object, borrower});
  return true;
}

std::vector<LeaseCandidates::Candidate> LeaseCandidates::take() {
  std::stable_partition(candidates_.begin(), candidates_.end(),
                        [](const Candidate& candidate) { return candidate.borrower.valid(); });
  return std::exchange(candidates_, {});
}

bool LeaseCandidates::asked(NodeId from, const CopyUnit& unit, bool same) {
  if (!same && !options_.leaseEverything) {
    // Who changes an object asks for it too; others who ask must already be known to use it to count.
    const auto found = seen_.find(unit.object);
    if (found != seen_.end() && found->second.user != from) found->second.changes = 0;
    return false;
  }
  Seen& seen = this->seen(unit.object);
  if (seen.user != from) seen.changes = 0;
  if (seen.same == 0) seen.witness = unit;
  if (seen.witness != unit || !isDue(++seen.same, kSameNeeded, seen.recalls)) return false;
  seen.same = 0;
  return add(unit.object, NodeId());
}

bool LeaseCandidates::changed(NodeId from, ObjectRef object) {
  Seen& seen = this->seen(object);
  seen.same = 0;
  if (std::exchange(seen.user, from) != from) seen.changes = 0;
  if (!isDue(++seen.changes, kChangesNeeded, seen.returns)) return false;
  seen.changes = 0;
  return add(object, from);
}

void LeaseCandidates::differs(ObjectRef object) {
  const auto found = seen_.find(object);
  if (found != seen_.end()) found->second.same = 0;
}

void LeaseCandidates::loanEnded(ObjectRef object, int64_t nanos) {
  Seen& seen = this->seen(object);
  seen.changes = 0;
  seen.returns = nanos < kLastedNanos ? seen.returns + 1 : 0;
}

}  // namespace jvmc::cluster
