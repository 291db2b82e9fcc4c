// Which objects are worth a lease or a loan: counts what other nodes do with the objects homed here.
//
//   lease   many nodes ask again and are told "the same": kSameNeeded times since the object last changed
//   loan    one node changes the object, and nobody else has to do with it: kChangesNeeded times in succession
//
// What threads here do leaves no trace. So each lease and loan that has to be called back doubles what the next one
// takes; a loan that has lasted makes up for that.
#pragma once

#include <deque>
#include <unordered_map>
#include <vector>

#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// Not thread-safe: Leases guards it.
class LeaseCandidates {
 public:
  explicit LeaseCandidates(const SpaceOptions& options) : options_(options) {}

  struct Candidate {
    ObjectRef object;
    NodeId borrower;  ///< invalid: to be shared
  };
  /// Each: whether there is a new candidate.
  bool asked(NodeId from, const CopyUnit& unit, bool same);
  bool changed(NodeId from, ObjectRef object);
  /// It is no more what was hashed.
  void differs(ObjectRef object);
  /// Leases of it were called back; or a loan, after so long (0: nobody had taken it).
  void leaseEnded(ObjectRef object) { ++seen(object).recalls; }
  void loanEnded(ObjectRef object, int64_t nanos);

  size_t size() const { return candidates_.size(); }
  /// Those to be lent come first.
  std::vector<Candidate> take();

 private:
  struct Seen {
    CopyUnit witness;      ///< the unit of it that is counted: a large array is asked for in many
    uint32_t same = 0;     ///< answers since it last changed
    uint32_t recalls = 0;  ///< of leases
    NodeId user;           ///< who has changed it
    uint32_t changes = 0;  ///< by that node, since another had to do with it
    uint32_t returns = 0;  ///< of loans that did not last
  };
  static constexpr size_t kCandidatesMax = 1 << 14, kSeenMax = 1 << 15;
  static constexpr uint32_t kSameNeeded = 4, kChangesNeeded = 8, kDoublingsMax = 10;
  /// A loan that has lasted so long was worth it.
  static constexpr int64_t kLastedNanos = 50'000'000;

  Seen& seen(ObjectRef object);
  bool isDue(uint32_t count, uint32_t needed, uint32_t doublings) const;
  bool add(ObjectRef object, NodeId borrower);

  const SpaceOptions& options_;
  std::unordered_map<ObjectRef, Seen> seen_;
  std::deque<ObjectRef> seenInOrder_;  ///< its keys, the oldest first
  std::vector<Candidate> candidates_;
};

}  // namespace jvmc::cluster
