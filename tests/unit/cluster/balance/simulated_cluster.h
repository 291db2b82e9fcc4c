// A cluster of which only the loads exist: threads that want more or less of a core, dealt out unevenly. What is
// decided happens at once.
#pragma once

#include "cluster/balance/plan.h"
#include "ir/support/prng.h"

namespace jvmc::cluster {

class SimulatedCluster {
 public:
  /// Every node has workers for about half of what is wanted in all; half of the nodes begin with three quarters of the
  /// threads.
  SimulatedCluster(uint32_t nodes, uint32_t threads, BalancePolicy policy) {
    options.policy = policy;
    // Nodes with thousands of threads could not be even in three rounds at the real rate.
    options.movesPerRound = std::max(options.movesPerRound, threads / nodes / 2);
    const uint32_t workers = std::max(1u, threads / nodes / 4);
    for (uint32_t i = 0; i < nodes; ++i) {
      NodeLoad load;
      load.node = NodeId(i);
      load.workers = workers;
      load.occupied = workers;
      now.nodes.push_back(std::move(load));
    }
    Prng random(1);
    for (uint32_t i = 0; i < threads; ++i) {
      ThreadLoad thread;
      thread.thread = {i + 1, 0};
      thread.runnable = true;
      thread.wanted = double(random.below(1000) + 1) / 1000;
      thread.frameBytes = 100 + random.below(1000);
      const uint32_t half = std::max(1u, nodes / 2);
      const uint32_t node = random.below(4) < 3 ? uint32_t(random.below(half)) : uint32_t(random.below(nodes));
      now.nodes[node].threads.push_back(std::move(thread));
    }
  }

  BalanceDecision decision() const { return decide(options, now, history); }

  /// Decides and carries out; the number of moves.
  size_t round() {
    now.nowNanos += options.reportNanos;
    BalanceDecision decision = this->decision();
    history = std::move(decision.history);
    std::unordered_map<rt::ThreadId, uint32_t> target;
    for (const Move& move : decision.moves) target[move.thread.id] = move.to.value;
    std::vector<ThreadLoad> travelling;
    for (NodeLoad& node : now.nodes)
      std::erase_if(node.threads, [&](ThreadLoad& thread) {
        if (!target.contains(thread.thread.id)) return false;
        travelling.push_back(thread);
        return true;
      });
    for (ThreadLoad& thread : travelling) now.nodes[target[thread.thread.id]].threads.push_back(std::move(thread));
    return decision.moves.size();
  }

  /// By how much the most loaded node exceeds the mean, as a share of it.
  double imbalance() const {
    double most = 0, sum = 0;
    for (const PlannedNode& node : planOf(now, false)) {
      most = std::max(most, node.relative());
      sum += node.relative();
    }
    return most / (sum / double(now.nodes.size())) - 1;
  }

  BalanceOptions options;
  LoadSnapshot now;
  BalanceHistory history;
};

}  // namespace jvmc::cluster
