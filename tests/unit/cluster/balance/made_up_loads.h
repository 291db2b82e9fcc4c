// Loads for tests of policies, and rounds of decisions that are carried out on them.
#pragma once

#include <gtest/gtest.h>

#include "cluster/balance/policy.h"

namespace jvmc::cluster {

constexpr int64_t kMillisecond = 1'000'000;

/// Builds snapshots: `busy` threads share the node's workers, `idle` ones use nothing.
class Loads {
 public:
  Loads& node(uint32_t workers, uint32_t busy, uint32_t idle = 0) {
    NodeLoad load;
    load.node = NodeId(uint32_t(snapshot.nodes.size()));
    load.workers = workers;
    for (uint32_t i = 0; i < busy + idle; ++i) {
      ThreadLoad thread;
      thread.thread = {nextThread_++, 0};
      thread.runnable = i < busy;
      thread.cpu = i < busy ? std::min(1.0, double(workers) / busy) : 0;
      load.threads.push_back(thread);
    }
    snapshot.nodes.push_back(load);
    return *this;
  }
  LoadSnapshot snapshot;

 private:
  rt::ThreadId nextThread_ = 1;
};

/// Decides again and again, 50 ms apart, and carries the moves out on the snapshot: busy threads share workers anew.
class Rounds {
 public:
  Rounds(BalanceOptions options, Loads loads) : options_(options), now_(std::move(loads.snapshot)) {}

  std::vector<Move> run(int rounds) {
    std::vector<Move> all;
    for (int i = 0; i < rounds; ++i) {
      now_.nowNanos += options_.reportNanos;
      BalanceDecision decision = decide(options_, now_, history_);
      history_ = decision.history;
      for (const Move& move : decision.moves) {
        carryOut(move);
        all.push_back(move);
      }
    }
    return all;
  }
  uint32_t busyOn(uint32_t node) const { return now_.nodes[node].runnable(); }
  LoadSnapshot& now() { return now_; }

 private:
  void carryOut(const Move& move) {
    auto& from = now_.nodes[move.from.value].threads;
    const auto found = std::find_if(from.begin(), from.end(), [&](auto& t) { return t.thread == move.thread; });
    ASSERT_NE(found, from.end()) << "moved a thread that is not there";
    now_.nodes[move.to.value].threads.push_back(*found);
    from.erase(found);
    for (NodeLoad& node : now_.nodes)
      for (ThreadLoad& thread : node.threads)
        if (thread.runnable) thread.cpu = std::min(1.0, double(node.workers) / node.runnable());
  }
  BalanceOptions options_;
  LoadSnapshot now_;
  BalanceHistory history_;
};

inline BalanceOptions greedy() {
  BalanceOptions options;
  options.policy = BalancePolicy::Greedy;
  return options;
}

}  // namespace jvmc::cluster
