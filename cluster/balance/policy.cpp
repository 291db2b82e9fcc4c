#include "cluster/balance/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace jvmc::cluster {
namespace {

constexpr double kSaturated = 0.85;   // share of its workers' time from which a node counts as crowded
constexpr double kGotMin = 0.1;       // what a worker gets of a core where it gets least; less is noise
constexpr double kBusyThread = 0.15;  // demand below this is not worth a move

/// A node while moves are tried out on it.
struct Planned {
  const NodeLoad* load;
  double demand;  // cores wanted

  double relative() const { return demand / load->workers; }
  double work(double wanted) const { return std::min(wanted, double(load->workers)); }
};

/// What moving `wanted` cores' worth from one node to the other is good for; see Move::gain.
double gainOf(const Planned& from, const Planned& to, double wanted) {
  const double workBefore = from.work(from.demand) + to.work(to.demand);
  const double workAfter = from.work(from.demand - wanted) + to.work(to.demand + wanted);
  const double crowdBefore = std::max(from.relative(), to.relative());
  const double crowdAfter =
      std::max((from.demand - wanted) / from.load->workers, (to.demand + wanted) / to.load->workers);
  return workAfter - workBefore + (crowdBefore - crowdAfter) / 2;
}

struct Candidate {
  size_t from, to;
  const ThreadLoad* thread;
  double wanted, gain;
};

class ThresholdPlanner {
 public:
  ThresholdPlanner(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history)
      : options_(options), snapshot_(snapshot), history_(history) {
    for (const NodeLoad& node : snapshot.nodes) {
      double wanted = 0;
      for (const ThreadLoad& thread : node.threads) wanted += demand(node, thread);
      nodes_.push_back({&node, wanted});
    }
  }

  BalanceDecision plan() {
    BalanceDecision decision;
    decision.history.rotatedNanos = history_.rotatedNanos;
    for (const auto& [thread, moved] : history_.movedNanos)
      if (resting(moved)) decision.history.movedNanos[thread] = moved;
    while (decision.moves.size() < options_.movesPerRound) {
      const std::optional<Candidate> best = bestMove(decision);
      if (!best) break;
      const NodeId from = nodes_[best->from].load->node;
      decision.history.crowdedRounds[from] = roundsCrowded(from);
      if (roundsCrowded(from) < options_.confirmations) break;
      carryOut(*best, decision);
    }
    return decision;
  }

 private:
  bool resting(int64_t moved) const { return snapshot_.nowNanos - moved < options_.threadRestNanos; }
  /// This round included.
  uint32_t roundsCrowded(NodeId node) const {
    const auto found = history_.crowdedRounds.find(node);
    return found == history_.crowdedRounds.end() ? 1 : found->second + 1;
  }

  std::optional<Candidate> bestMove(const BalanceDecision& decision) const {
    const auto byRelative = [](const Planned& a, const Planned& b) { return a.relative() < b.relative(); };
    const size_t to = size_t(std::min_element(nodes_.begin(), nodes_.end(), byRelative) - nodes_.begin());
    std::optional<Candidate> best;
    for (size_t from = 0; from < nodes_.size(); ++from) {
      if (from == to) continue;
      for (const ThreadLoad& thread : nodes_[from].load->threads) {
        const double wanted = demand(*nodes_[from].load, thread);
        if (thread.pinned || wanted < kBusyThread || decision.history.movedNanos.count(thread.thread.id)) continue;
        const double gain = gainOf(nodes_[from], nodes_[to], wanted);
        if (gain < options_.gainMin) continue;
        if (!best || gain > best->gain || (gain == best->gain && thread.frameBytes < best->thread->frameBytes))
          best = Candidate{from, to, &thread, wanted, gain};
      }
    }
    return best;
  }

  void carryOut(const Candidate& candidate, BalanceDecision& decision) {
    Planned& from = nodes_[candidate.from];
    Planned& to = nodes_[candidate.to];
    decision.moves.push_back(
        {candidate.thread->thread, from.load->node, to.load->node, candidate.gain,
         fmt::format("node {} wants {:.1f} of {} cores, node {} {:.1f} of {}", from.load->node.value, from.demand,
                     from.load->workers, to.load->node.value, to.demand, to.load->workers)});
    decision.history.movedNanos[candidate.thread->thread.id] = snapshot_.nowNanos;
    from.demand -= candidate.wanted;
    to.demand += candidate.wanted;
  }

  const BalanceOptions& options_;
  const LoadSnapshot& snapshot_;
  const BalanceHistory& history_;
  std::vector<Planned> nodes_;
};

BalanceDecision rotate(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history) {
  BalanceDecision decision;
  decision.history = history;
  if (snapshot.nowNanos - history.rotatedNanos < options.rotateNanos) return decision;
  decision.history.rotatedNanos = snapshot.nowNanos;
  for (size_t i = 0; i < snapshot.nodes.size(); ++i) {
    const NodeId next = snapshot.nodes[(i + 1) % snapshot.nodes.size()].node;
    for (const ThreadLoad& thread : snapshot.nodes[i].threads)
      if (!thread.pinned) decision.moves.push_back({thread.thread, snapshot.nodes[i].node, next, 0, "rotate"});
  }
  return decision;
}

}  // namespace

Result<BalancePolicy> parsePolicy(const std::string& name) {
  for (BalancePolicy policy : {BalancePolicy::Off, BalancePolicy::Threshold, BalancePolicy::Rotate})
    if (name == nameOf(policy)) return policy;
  return Error{ErrorCode::kInvalidInput, fmt::format("unknown balance policy '{}' (off, threshold, rotate)", name)};
}

const char* nameOf(BalancePolicy policy) {
  switch (policy) {
    case BalancePolicy::Off:
      return "off";
    case BalancePolicy::Threshold:
      return "threshold";
    case BalancePolicy::Rotate:
      return "rotate";
  }
  return "?";
}

double demand(const NodeLoad& node, const ThreadLoad& thread) {
  const double used = node.cpuUsed();
  const double occupied = std::max(node.occupied, used);
  // Other processes may want the machine too: of each second that a worker is occupied it gets only this much of a
  // core.
  const double got = occupied > 0 ? std::max(used / occupied, kGotMin) : 1;
  const double cpu = std::min(1.0, thread.cpu / got);
  if (occupied < kSaturated * node.workers) return cpu;
  // The node is crowded: a runnable thread that gets its fair share wants a whole core.
  const double share = std::min(1.0, double(node.workers) / std::max(1u, node.runnable()));
  return std::min(1.0, cpu / share);
}

BalanceDecision decide(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history) {
  if (snapshot.nodes.size() < 2 || options.policy == BalancePolicy::Off) return {{}, {}, history};
  if (options.policy == BalancePolicy::Rotate) return rotate(options, snapshot, history);
  BalanceDecision decision = ThresholdPlanner(options, snapshot, history).plan();
  decideOnBlocks(options, snapshot, history, decision);
  return decision;
}

}  // namespace jvmc::cluster
