#include "cluster/balance/plan.h"

namespace jvmc::cluster {

namespace {

constexpr double kSaturated = 0.85;  // share of its workers' time from which a node counts as crowded
constexpr double kGotMin = 0.1;      // what a worker gets of a core where it gets least; less is noise

}  // namespace

Demand::Demand(const NodeLoad& node) {
  const double used = node.cpuUsed();
  const double occupied = std::max(node.occupied, used);
  // Other processes may want the machine too: of each second that a worker is occupied it gets only this much of a
  // core.
  scale_ = occupied > 0 ? 1 / std::max(used / occupied, kGotMin) : 1;
  if (occupied < kSaturated * node.workers) return;
  // The node is crowded: a runnable thread that gets its fair share wants a whole core.
  scale_ /= std::min(1.0, double(node.workers) / std::max(1u, node.runnable()));
}

double Demand::withoutWaits(const ThreadLoad& thread) const {
  return thread.uses.empty() ? of(thread) : std::max(of(thread), thread.active);
}

double demand(const NodeLoad& node, const ThreadLoad& thread) {
  return Demand(node).of(thread);
}

double worthOf(const PlannedNode& a, const PlannedNode& b) {
  const PlannedNode& crowded = a.crowd() >= b.crowd() ? a : b;
  return a.work() + b.work() - crowded.workers() * crowded.crowd() / 2;
}

double gainOf(const PlannedNode& from, const PlannedNode& to, double wanted) {
  const PlannedNode fromAfter = from.with(-wanted), toAfter = to.with(wanted);
  const double work = fromAfter.work() + toAfter.work() - from.work() - to.work();
  const double crowdBefore = std::max(from.crowd(), to.crowd());
  const double crowdAfter = std::max(fromAfter.crowd(), toAfter.crowd());
  return work + from.workers() * (crowdBefore - crowdAfter) / 2;
}

double amountToEqual(const PlannedNode& from, const PlannedNode& to) {
  return (from.relative() - to.relative()) / (1 / from.workers() + 1 / to.workers());
}

std::vector<PlannedNode> planOf(const LoadSnapshot& snapshot, bool withoutWaits) {
  std::vector<PlannedNode> nodes;
  nodes.reserve(snapshot.nodes.size());
  for (const NodeLoad& node : snapshot.nodes) {
    const Demand demand(node);
    PlannedNode planned{&node};
    for (const ThreadLoad& thread : node.threads)
      planned.wanted += withoutWaits ? demand.withoutWaits(thread) : demand.of(thread);
    nodes.push_back(planned);
  }
  return nodes;
}

double trafficOf(const CostModel& cost, const ThreadLoad& thread) {
  double sum = 0;
  for (const HomeRate& use : thread.uses) sum += cost.ofTraffic(use);
  return sum;
}

double trafficSaved(const BalanceOptions& options, const BalanceHistory& history, int64_t nowNanos,
                    const ThreadLoad& thread, NodeId to) {
  if (const auto found = history.tried.find(thread.thread.id); found != history.tried.end())
    for (const BalanceHistory::Tried& tried : found->second)
      if (tried.node == to && nowNanos - tried.nanos < options.rememberNanos)
        return trafficOf(options.cost, thread) - tried.traffic;
  double there = 0;
  for (const HomeRate& use : thread.uses)
    if (use.home == to) there += options.cost.ofTraffic(use);
  return there;
}

bool isResting(const BalanceHistory& history, int64_t nowNanos, rt::ThreadId thread) {
  const auto moved = history.moved.find(thread);
  return moved != history.moved.end() && nowNanos - moved->second.nanos < moved->second.restNanos;
}

void carryOut(const BalanceOptions& options, const LoadSnapshot& snapshot, BalanceDecision& decision, Move move,
              const ThreadLoad& thread) {
  BalanceHistory& history = decision.history;
  const auto [last, isFirst] = history.moved.try_emplace(move.thread.id);
  last->second = {snapshot.nowNanos,
                  isFirst ? options.threadRestNanos : std::min(last->second.restNanos * 2, options.threadRestNanosMax)};
  if (options.policy == BalancePolicy::Affinity) {
    std::vector<BalanceHistory::Tried>& tried = history.tried[move.thread.id];
    std::erase_if(tried, [&](const BalanceHistory::Tried& each) { return each.node == move.from; });
    tried.push_back({move.from, trafficOf(options.cost, thread), snapshot.nowNanos});
  }
  decision.moves.push_back(std::move(move));
}

}  // namespace jvmc::cluster
