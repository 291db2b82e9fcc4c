// Moves that have been decided and that reports do not show yet: the leader counts them as done, so that it does not
// decide the same again on old figures. A pure function of the time and the reports.
#pragma once

#include "cluster/balance/policy.h"

namespace jvmc::cluster {

class PendingMoves {
 public:
  void add(const Move& move, int64_t nowNanos) { moves_[move.thread.id] = {move, nowNanos}; }
  /// Puts the threads where they are going.
  void apply(LoadSnapshot& snapshot);

 private:
  /// After so long the reports are believed: a thread that is not there did not go. Until then one that has just come
  /// is taken to want what it wanted, because its new node has not measured it yet.
  static constexpr int64_t kBelievedNanos = 300'000'000;

  struct Pending {
    Move move;
    int64_t nanos;
  };
  std::unordered_map<rt::ThreadId, Pending> moves_;
};

}  // namespace jvmc::cluster
