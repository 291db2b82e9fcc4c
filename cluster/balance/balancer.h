// Measures this node's load, reports it to the leader, and, on the leader, decides and asks threads to move.
//
//     every node:  sample -> LoadReport to the leader           when something has changed, or now and then
//     leader:      latest reports -> decide() -> Migrate mail   when a report has come
//                                             -> Balance message to a node that is to give blocks away
//                                             -> Placement message to all: where new threads should begin
//
// A move is only asked for: the thread goes at its next safepoint, its node may refuse (pinned), the target may refuse.
// The next reports show what came of it.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "cluster/balance/decision_log.h"
#include "cluster/balance/load_meter.h"
#include "cluster/balance/pending_moves.h"
#include "cluster/balance/policy.h"
#include "cluster/balance/report_pace.h"
#include "cluster/membership/control_channel.h"
#include "cluster/migration/thread_placer.h"
#include "cluster/objects/space_stats.h"
#include "runtime/object_space.h"

namespace jvmc::cluster {

struct BalancerPorts {
  rt::ThreadPost& post;                        ///< carries the requests to threads to move
  std::function<void(const BlockGift&)> give;  ///< on the I/O thread of the node that is to give
  ThreadPlacer& placer;                        ///< is told how loaded nodes are
};

/// Thread-safe. Timers and reports run on the I/O thread.
class Balancer {
 public:
  /// `meter` is asked on the I/O thread. `dryRun`: decides, and does nothing about it.
  Balancer(ControlChannel& control, BalanceOptions options, bool dryRun, LoadMeter& meter, BalancerPorts ports);

  void start();
  void stop() { stopped_ = true; }

  /// Decisions of this node as leader, oldest first; the last ones.
  std::vector<DecisionRecord> decisions() const { return log_.list(); }
  void report(const StatSink& sink) const;

 private:
  static constexpr int64_t kReportNanosMax = 10'000'000'000;  ///< an older report is not believed
  static constexpr int64_t kLookNanos = 10'000'000;           ///< between looks at whether a report is due
  static constexpr int64_t kDecideShareMax = 20;              ///< deciding takes at most 1/20 of the I/O thread's time

  struct Report {
    NodeLoad load;
    int64_t arrivedNanos = 0;
  };

  void tick();
  void take(NodeLoad load);
  void decideNow();
  void carryOut(const BalanceDecision& decision, int64_t nowNanos);
  void tellPlacers(const LoadSnapshot& snapshot);

  ControlChannel& control_;
  const BalanceOptions options_;
  const bool dryRun_;
  LoadMeter& meter_;
  BalancerPorts ports_;
  std::atomic<bool> stopped_{false};
  // I/O thread only.
  ReportPace pace_;
  std::map<NodeId, Report> reports_;
  BalanceHistory history_;
  PendingMoves pending_;
  int64_t toldNanos_ = 0;       ///< when nodes were told of each other's load
  int64_t restUntilNanos_ = 0;  ///< no decision before
  bool hasNews_ = false;        ///< a report has come since the last decision

  DecisionLog log_;
  Counter rounds_{0}, moves_{0}, blockMoves_{0}, samples_{0}, sampleNanos_{0}, decideNanos_{0};
};

}  // namespace jvmc::cluster
