// What the balancer has decided, why, what it expected of it, and what came of it: for `jvmcluster why`.
//
// What came of a move is measured by the figure that it was decided by, a second later: work done and crowding of the
// two nodes, and what their threads ask of others. It is shared evenly among the moves of the same round between the
// same nodes. Whatever else has changed on the two nodes meanwhile is in it, too.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <variant>

#include "cluster/balance/policy.h"

namespace jvmc::cluster {

struct DecisionRecord {
  enum class Outcome : uint8_t {
    Pending,  ///< asked for, not looked at yet
    Moved,    ///< the thread was seen where it was to go; blocks: asked for
    Stayed,   ///< the thread was still where it was: pinned, or refused, or waiting for others
    Unseen,   ///< it has ended, or wants nothing any more
    Planned,  ///< a dry run
  };

  uint64_t number = 0;  ///< grows with every decision
  int64_t nanos = 0;    ///< monotonic clock of the node that decided
  std::variant<Move, BlockMove> move;
  Outcome outcome = Outcome::Pending;
  std::optional<double> measured{};  ///< gain, in the unit of the predicted one
  uint32_t times = 1;                ///< a dry run decides the same again and again
};
const char* nameOf(DecisionRecord::Outcome outcome);

/// Thread-safe.
class DecisionLog {
 public:
  explicit DecisionLog(BalancePolicy policy) : policy_(policy) {}

  void add(const LoadSnapshot& snapshot, const std::vector<Move>& moves, const std::vector<BlockMove>& blockMoves,
           bool dryRun);
  /// Looks at what came of decisions that are old enough.
  void judge(const LoadSnapshot& snapshot);
  /// Oldest first; the last kRecordsMax.
  std::vector<DecisionRecord> list() const;

 private:
  static constexpr size_t kRecordsMax = 1000;
  static constexpr int64_t kJudgeNanos = 1'000'000'000;

  /// A record that is to be judged.
  struct Open {
    uint64_t number;
    int64_t nanos;
    double worth;     ///< of the two nodes, before
    double fullness;  ///< of the node that gives
    uint32_t shared;  ///< by so many moves
  };

  void push(DecisionRecord record);
  bool isRepeated(const Move& move, int64_t nanos);
  DecisionRecord* find(uint64_t number);

  const BalancePolicy policy_;
  mutable std::mutex mutex_;
  std::deque<DecisionRecord> records_;
  std::deque<Open> open_;
  uint64_t next_ = 1;
};

}  // namespace jvmc::cluster
