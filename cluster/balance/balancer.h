// Measures this node's load, reports it to the leader, and, on the leader, decides and asks threads to move.
//
//     every node:  sample -> LoadReport to the leader           every reportNanos
//     leader:      latest reports -> decide() -> Migrate mail   every reportNanos
//                                             -> Balance message to a node that is to give blocks away
//
// A move is only asked for: the thread goes at its next safepoint, its node may refuse (pinned), the target may refuse.
// The next reports show what came of it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <variant>

#include "cluster/balance/load_meter.h"
#include "cluster/balance/policy.h"
#include "cluster/balance/report_pace.h"
#include "cluster/membership/control_channel.h"
#include "cluster/objects/space_stats.h"
#include "runtime/object_space.h"

namespace jvmc::cluster {

/// A decision and when it was taken, for `jvmcluster why`.
struct DecisionRecord {
  int64_t nanos = 0;  ///< monotonic clock of the leader
  std::variant<Move, BlockMove> move;
};

/// Thread-safe. Timers and reports run on the I/O thread.
class Balancer {
 public:
  /// `meter` is asked on the I/O thread. `post` carries the requests to threads to move. `giveBlocks` is called on the
  /// I/O thread of the node that is to give `bytes` to another.
  Balancer(ControlChannel& control, rt::ThreadPost& post, BalanceOptions options, LoadMeter& meter,
           std::function<void(NodeId to, uint64_t bytes)> giveBlocks);

  void start();
  void stop() { stopped_ = true; }

  /// Decisions of this node as leader, oldest first; the last kLogMax.
  std::vector<DecisionRecord> decisions() const;
  /// The latest report of each node (leader).
  std::vector<NodeLoad> reports() const;
  void report(const StatSink& sink) const;

 private:
  static constexpr size_t kLogMax = 1000;
  static constexpr int64_t kReportNanosMax = 5'000'000'000;  ///< an older report is not believed
  static constexpr int64_t kLookNanos = 10'000'000;          ///< between looks at whether a report is due

  struct Report {
    NodeLoad load;
    int64_t arrivedNanos = 0;
  };

  void tick();
  void take(NodeLoad load);
  void decideNow();
  void log(int64_t nanos, std::variant<Move, BlockMove> move);

  ControlChannel& control_;
  rt::ThreadPost& post_;
  const BalanceOptions options_;
  LoadMeter& meter_;
  std::atomic<bool> stopped_{false};
  // I/O thread only.
  ReportPace pace_;
  BalanceHistory history_;
  bool hasNews_ = false;  ///< a report has come since the last decision
  mutable std::mutex mutex_;
  std::map<NodeId, Report> reports_;
  std::deque<DecisionRecord> log_;
  Counter rounds_{0}, moves_{0}, blockMoves_{0}, samples_{0}, sampleNanos_{0};
};

}  // namespace jvmc::cluster
