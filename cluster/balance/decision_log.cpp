#include "cluster/balance/decision_log.h"

#include <map>

#include "cluster/balance/plan.h"

namespace jvmc::cluster {

namespace {

/// Figures of a snapshot by which decisions are measured.
class Figures {
 public:
  Figures(const LoadSnapshot& snapshot, BalancePolicy policy) {
    // Affinity counts what threads wait for as traffic, not as work that is not done.
    for (const PlannedNode& node : planOf(snapshot, policy == BalancePolicy::Affinity)) {
      double traffic = 0;
      if (policy == BalancePolicy::Affinity)
        for (const ThreadLoad& thread : node.load->threads) traffic += trafficOf({}, thread);
      nodes_[node.load->node] = {node, traffic};
    }
  }
  bool knows(NodeId node) const { return nodes_.contains(node); }
  double worth(NodeId a, NodeId b) const {
    const Node &x = nodes_.at(a), &y = nodes_.at(b);
    return worthOf(x.planned, y.planned) - x.traffic - y.traffic;
  }
  double fullness(NodeId node) const { return nodes_.at(node).planned.load->memory.share(); }

 private:
  struct Node {
    PlannedNode planned;
    double traffic;
  };
  std::map<NodeId, Node> nodes_;
};

DecisionRecord::Outcome outcomeOf(const Move& move, const LoadSnapshot& snapshot) {
  for (const NodeLoad& node : snapshot.nodes)
    for (const ThreadLoad& thread : node.threads)
      if (thread.thread.id == move.thread.id)
        return node.node == move.from ? DecisionRecord::Outcome::Stayed : DecisionRecord::Outcome::Moved;
  return DecisionRecord::Outcome::Unseen;
}

}  // namespace

const char* nameOf(DecisionRecord::Outcome outcome) {
  switch (outcome) {
    case DecisionRecord::Outcome::Pending:
      return "pending";
    case DecisionRecord::Outcome::Moved:
      return "moved";
    case DecisionRecord::Outcome::Stayed:
      return "stayed";
    case DecisionRecord::Outcome::Unseen:
      return "unseen";
    case DecisionRecord::Outcome::Planned:
      return "dry-run";
  }
  return "?";
}

void DecisionLog::push(DecisionRecord record) {
  record.number = next_++;
  records_.push_back(std::move(record));
  if (records_.size() > kRecordsMax) records_.pop_front();
}

DecisionRecord* DecisionLog::find(uint64_t number) {
  if (records_.empty() || number < records_.front().number) return nullptr;
  return &records_[number - records_.front().number];
}

/// A dry run changes nothing, so the same is decided again; that is one decision.
bool DecisionLog::isRepeated(const Move& move, int64_t nanos) {
  for (auto record = records_.rbegin(); record != records_.rend(); ++record) {
    const Move* last = std::get_if<Move>(&record->move);
    if (!last || last->thread.id != move.thread.id) continue;
    if (last->from != move.from || last->to != move.to) return false;
    record->nanos = nanos;
    ++record->times;
    return true;
  }
  return false;
}

void DecisionLog::add(const LoadSnapshot& snapshot, const std::vector<Move>& moves,
                      const std::vector<BlockMove>& blockMoves, bool dryRun) {
  if (moves.empty() && blockMoves.empty()) return;
  const Figures figures(snapshot, policy_);
  std::map<std::pair<NodeId, NodeId>, uint32_t> shared;
  for (const Move& move : moves) ++shared[std::minmax(move.from, move.to)];
  const bool judged = !dryRun && policy_ != BalancePolicy::Rotate;
  const auto outcome = dryRun ? DecisionRecord::Outcome::Planned : DecisionRecord::Outcome::Pending;
  std::lock_guard lock(mutex_);
  for (const Move& move : moves) {
    if (dryRun && isRepeated(move, snapshot.nowNanos)) continue;
    if (judged)
      open_.push_back(
          {next_, snapshot.nowNanos, figures.worth(move.from, move.to), 0, shared[std::minmax(move.from, move.to)]});
    push({0, snapshot.nowNanos, move, outcome});
  }
  for (const BlockMove& move : blockMoves) {
    if (judged)
      open_.push_back({next_, snapshot.nowNanos, figures.worth(move.from, move.to), figures.fullness(move.from), 1});
    push({0, snapshot.nowNanos, move, outcome});
  }
}

void DecisionLog::judge(const LoadSnapshot& snapshot) {
  std::lock_guard lock(mutex_);
  if (open_.empty() || snapshot.nowNanos - open_.front().nanos < kJudgeNanos) return;
  const Figures figures(snapshot, policy_);
  for (; !open_.empty() && snapshot.nowNanos - open_.front().nanos >= kJudgeNanos; open_.pop_front()) {
    const Open& open = open_.front();
    DecisionRecord* record = find(open.number);
    if (!record) continue;
    const auto [from, to] = std::visit([](const auto& move) { return std::pair(move.from, move.to); }, record->move);
    const Move* move = std::get_if<Move>(&record->move);
    record->outcome = move ? outcomeOf(*move, snapshot) : DecisionRecord::Outcome::Moved;
    if (!figures.knows(from) || !figures.knows(to)) continue;
    const bool isForRoom = !move && !std::get<BlockMove>(record->move).used;
    record->measured =
        isForRoom ? open.fullness - figures.fullness(from) : (figures.worth(from, to) - open.worth) / open.shared;
  }
}

std::vector<DecisionRecord> DecisionLog::list() const {
  std::lock_guard lock(mutex_);
  return {records_.begin(), records_.end()};
}

}  // namespace jvmc::cluster
