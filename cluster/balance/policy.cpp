#include "cluster/balance/policy.h"

#include <fmt/format.h>

#include <array>

#include "cluster/balance/plan.h"

namespace jvmc::cluster {
namespace {

constexpr std::array kPolicies = {BalancePolicy::Off, BalancePolicy::Threshold, BalancePolicy::Greedy,
                                  BalancePolicy::Affinity, BalancePolicy::Rotate};

/// Who is still on the way is not asked again: the wishes would pile up where threads arrive more slowly than rounds
/// follow each other.
BalanceDecision rotate(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history) {
  BalanceDecision decision;
  decision.history = history;
  if (snapshot.nowNanos - history.rotatedNanos < options.rotateNanos) return decision;
  decision.history.rotatedNanos = snapshot.nowNanos;
  for (size_t i = 0; i < snapshot.nodes.size(); ++i) {
    const NodeId next = snapshot.nodes[(i + 1) % snapshot.nodes.size()].node;
    for (const ThreadLoad& thread : snapshot.nodes[i].threads)
      if (!thread.pinned && !thread.travels)
        decision.moves.push_back({thread.thread, snapshot.nodes[i].node, next, 0, "rotate"});
  }
  return decision;
}

/// A thread that moves again within so many times its rest has not come to rest.
constexpr int64_t kSoon = 3;

/// What is still worth knowing of the past.
BalanceHistory recall(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history) {
  BalanceHistory recalled;
  recalled.rotatedNanos = history.rotatedNanos;
  for (const auto& [thread, move] : history.moved)
    if (snapshot.nowNanos - move.nanos < move.restNanos * kSoon) recalled.moved[thread] = move;
  for (const auto& [thread, tried] : history.tried)
    for (const BalanceHistory::Tried& each : tried)
      if (snapshot.nowNanos - each.nanos < options.rememberNanos) recalled.tried[thread].push_back(each);
  recalled.blockTrials = history.blockTrials;
  return recalled;
}

}  // namespace

Result<BalancePolicy> parsePolicy(const std::string& name) {
  for (BalancePolicy policy : kPolicies)
    if (name == nameOf(policy)) return policy;
  std::string names;
  for (BalancePolicy policy : kPolicies) names += fmt::format("{}{}", names.empty() ? "" : ", ", nameOf(policy));
  return Error{ErrorCode::kInvalidInput, fmt::format("unknown balance policy '{}' ({})", name, names)};
}

const char* nameOf(BalancePolicy policy) {
  switch (policy) {
    case BalancePolicy::Off:
      return "off";
    case BalancePolicy::Threshold:
      return "threshold";
    case BalancePolicy::Greedy:
      return "greedy";
    case BalancePolicy::Affinity:
      return "affinity";
    case BalancePolicy::Rotate:
      return "rotate";
  }
  return "?";
}

BalanceDecision decide(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& history) {
  if (snapshot.nodes.size() < 2 || options.policy == BalancePolicy::Off) return {{}, {}, history};
  if (options.policy == BalancePolicy::Rotate) return rotate(options, snapshot, history);
  BalanceDecision decision;
  decision.history = recall(options, snapshot, history);
  planCpu(options, snapshot, history, decision);
  // First things first: while CPU is being evened out, traffic says little.
  if (options.policy == BalancePolicy::Affinity && decision.moves.empty())
    planAffinity(options, snapshot, history, decision);
  decideOnBlocks(options, snapshot, history, decision);
  return decision;
}

}  // namespace jvmc::cluster
