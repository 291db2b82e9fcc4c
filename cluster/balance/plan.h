// Nodes while moves are tried out on them: what is wanted of each, and what a move would be worth.
#pragma once

#include <algorithm>
#include <vector>

#include "cluster/balance/policy.h"

namespace jvmc::cluster {

/// What the threads of one node want: how much of a core each would use if it had one. On a crowded node all get less
/// than that.
class Demand {
 public:
  explicit Demand(const NodeLoad& node);
  double of(const ThreadLoad& thread) const { return std::max(thread.wanted, std::min(1.0, thread.cpu * scale_)); }
  /// What it will want when it need not wait for other nodes any more.
  double withoutWaits(const ThreadLoad& thread) const;

 private:
  double scale_;
};

/// Demand(node).of(thread).
double demand(const NodeLoad& node, const ThreadLoad& thread);

struct PlannedNode {
  const NodeLoad* load;
  double wanted = 0;  ///< cores, of all its threads

  double workers() const { return load->workers; }
  double relative() const { return wanted / workers(); }
  /// Threads for each worker, if there are more than workers: as long as workers are idle, nobody is in anybody's way.
  double crowd() const { return std::max(1.0, relative()); }
  double work() const { return std::min(wanted, workers()); }
  PlannedNode with(double more) const { return {load, wanted + more}; }
};

/// In cores: what both get done, and half of what the more crowded one's threads lack. Moves are compared by how it
/// grows.
double worthOf(const PlannedNode& a, const PlannedNode& b);
/// By how much that grows if `wanted` cores move.
double gainOf(const PlannedNode& from, const PlannedNode& to, double wanted);
/// With so much moved both are equally loaded.
double amountToEqual(const PlannedNode& from, const PlannedNode& to);

/// All nodes of a snapshot, as they are. `withoutWaits`: as they will be when all objects are near.
std::vector<PlannedNode> planOf(const LoadSnapshot& snapshot, bool withoutWaits);

/// Cores that the thread spends on other nodes' objects.
double trafficOf(const CostModel& cost, const ThreadLoad& thread);

/// What is expected to be saved if the thread goes to `to`: its requests there; or, if it was there not long ago, the
/// difference to what it asked for then. What it uses of its present node's objects is not known before it has left.
double trafficSaved(const BalanceOptions& options, const BalanceHistory& history, int64_t nowNanos,
                    const ThreadLoad& thread, NodeId to);

bool isResting(const BalanceHistory& history, int64_t nowNanos, rt::ThreadId thread);

/// Adds a move, and what is to be remembered of it.
void carryOut(const BalanceOptions& options, const LoadSnapshot& snapshot, BalanceDecision& decision, Move move,
              const ThreadLoad& thread);

/// The parts of policies. Each takes the history from `decision`, and adds to it and to the moves.
void planCpu(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& before,
             BalanceDecision& decision);
void planAffinity(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& before,
                  BalanceDecision& decision);

}  // namespace jvmc::cluster
