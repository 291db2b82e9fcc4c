// The memory part of the threshold policy. A node above the threshold gives blocks to the emptiest one, half of what
// lies between them: then both are equally full, so neither has a reason to give anything back.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/balance/policy.h"

namespace jvmc::cluster {

namespace {

/// A node while moves are tried out on it.
struct Planned {
  NodeId node;
  double live, limit;
  bool moving, fresh;

  double share() const { return live / limit; }
};

bool isWithin(const std::unordered_map<NodeId, int64_t>& when, NodeId node, int64_t nowNanos, int64_t nanos) {
  const auto found = when.find(node);
  return found != when.end() && nowNanos - found->second < nanos;
}

/// With so many bytes moved both are equally full.
double bytesToEqual(const Planned& from, const Planned& to) {
  return (from.share() - to.share()) / (1 / from.limit + 1 / to.limit);
}

}  // namespace

void decideOnBlocks(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history,
                    BalanceDecision& decision) {
  decision.history.gaveNanos = history.gaveNanos;
  decision.history.tookNanos = history.tookNanos;
  std::vector<Planned> nodes;
  for (const NodeLoad& node : snapshot.nodes)
    if (node.memory.limit > 0)
      nodes.push_back({node.node, double(node.memory.live), double(node.memory.limit), node.memory.moving, node.fresh});
  for (Planned& from : nodes) {
    if (from.share() < options.memoryHigh) continue;
    const auto full = history.fullRounds.find(from.node);
    const uint32_t rounds = (full == history.fullRounds.end() ? 0 : full->second) + from.fresh;
    decision.history.fullRounds[from.node] = rounds;
    const bool rests = isWithin(history.gaveNanos, from.node, snapshot.nowNanos, options.memoryRestNanos) ||
                       isWithin(decision.history.tookNanos, from.node, snapshot.nowNanos, options.arrivedRestNanos);
    if (rounds < options.confirmations || from.moving || rests) continue;
    Planned& to = *std::min_element(nodes.begin(), nodes.end(),
                                    [](const Planned& a, const Planned& b) { return a.share() < b.share(); });
    if (from.share() - to.share() < options.memoryGapMin) continue;
    const double bytes = std::min(bytesToEqual(from, to), double(options.bytesPerMove));
    decision.blockMoves.push_back({from.node, to.node, uint64_t(bytes), bytes / from.limit,
                                   fmt::format("node {} uses {:.0f} % of its memory, node {} {:.0f} %", from.node.value,
                                               100 * from.share(), to.node.value, 100 * to.share())});
    decision.history.gaveNanos[from.node] = snapshot.nowNanos;
    decision.history.tookNanos[to.node] = snapshot.nowNanos;
    from.live -= bytes;
    to.live += bytes;
  }
}

}  // namespace jvmc::cluster
