// Evens CPU out: the most loaded node gives to the least loaded one, again and again, the thread that brings both
// closest together. Loads change as if each move had happened. O(log n) a move, after all threads have been sorted.
#include <fmt/format.h>

#include <set>

#include "cluster/balance/plan.h"

namespace jvmc::cluster {

namespace {

constexpr double kBusyThread = 0.03;     // who wants less is in nobody's way
constexpr double kProfit = 2;            // a move gains so many times what it costs, at least
constexpr double kGreedyGainMin = 0.01;  // less is noise of the measurement
constexpr int kLooks = 4;                // threads to look at on both sides of the best fit, for who uses what

struct Candidate {
  double wanted;
  uint32_t thread;
  bool taken = false;
};

class CpuPlan {
 public:
  CpuPlan(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& before,
          BalanceDecision& decision)
      : options_(options),
        snapshot_(snapshot),
        before_(before),
        decision_(decision),
        greedy_(options.policy == BalancePolicy::Greedy),
        affinity_(options.policy == BalancePolicy::Affinity),
        nodes_(planOf(snapshot, affinity_)),
        candidates_(nodes_.size()),
        given_(nodes_.size()) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      takers_.insert({nodes_[i].relative(), i});
      givers_.insert({nodes_[i].relative(), i});
    }
  }

  void run() {
    while (!givers_.empty()) {
      const size_t from = givers_.rbegin()->second, to = takers_.begin()->second;
      if (from == to || !isWorthEvening(nodes_[from], nodes_[to])) break;
      if (!isConfirmed(from) || isLimited(from) || !moveOne(from, to)) givers_.erase({nodes_[from].relative(), from});
    }
  }

 private:
  bool isWorthEvening(const PlannedNode& from, const PlannedNode& to) const {
    const double amount = amountToEqual(from, to);
    if (greedy_) return amount > 0;
    return from.relative() - to.relative() >= options_.gapMin * from.relative() &&
           gainOf(from, to, amount) >= options_.gainMin;
  }

  /// The node has been crowded for long enough, this report included. Remembers it.
  bool isConfirmed(size_t node) {
    if (greedy_) return true;
    const NodeLoad& load = *nodes_[node].load;
    const auto found = before_.crowdedRounds.find(load.node);
    const uint32_t rounds = (found == before_.crowdedRounds.end() ? 0 : found->second) + load.fresh;
    decision_.history.crowdedRounds[load.node] = rounds;
    return rounds >= options_.confirmations;
  }

  bool isLimited(size_t node) const { return !greedy_ && given_[node] >= options_.movesPerRound; }

  /// Who may move from the node, sorted by what they want; of equals those with more frame bytes come first, because
  /// the last is taken.
  std::vector<Candidate>& candidatesOf(size_t node) {
    std::vector<Candidate>& all = candidates_[node];
    if (given_[node] > 0 || !all.empty()) return all;
    const NodeLoad& load = *nodes_[node].load;
    const Demand demand(load);
    for (uint32_t i = 0; i < load.threads.size(); ++i) {
      const ThreadLoad& thread = load.threads[i];
      const double wanted = affinity_ ? demand.withoutWaits(thread) : demand.of(thread);
      if (thread.pinned || wanted < kBusyThread) continue;
      if (!isResting(decision_.history, snapshot_.nowNanos, thread.thread.id)) all.push_back({wanted, i});
    }
    std::sort(all.begin(), all.end(), [&](const Candidate& a, const Candidate& b) {
      const ThreadLoad &x = load.threads[a.thread], &y = load.threads[b.thread];
      if (a.wanted != b.wanted) return a.wanted < b.wanted;
      return x.frameBytes != y.frameBytes ? x.frameBytes > y.frameBytes : x.thread.id > y.thread.id;
    });
    return all;
  }

  struct Choice {
    Candidate* candidate = nullptr;
    double gain = 0;   ///< what is predicted
    double score = 0;  ///< by which threads are compared
  };

  void consider(size_t from, size_t to, Candidate& candidate, Choice& best) const {
    const ThreadLoad& thread = nodes_[from].load->threads[candidate.thread];
    const double cost = options_.cost.ofThreadMove(thread.frameBytes);
    double gain = gainOf(nodes_[from], nodes_[to], candidate.wanted);
    if (affinity_) gain += trafficSaved(options_, decision_.history, snapshot_.nowNanos, thread, nodes_[to].load->node);
    // Of what a thread that is too large for the gap would bring, too much is undone by crowding the other node.
    const double least = greedy_ ? kGreedyGainMin : options_.gainMin * candidate.wanted;
    if (gain < std::max(kProfit * cost, least)) return;
    const double score = gain - cost;
    if (!best.candidate || score > best.score) best = {&candidate, gain, score};
  }

  /// The thread that gains most: one that wants just about what lies between the two.
  Choice choose(size_t from, size_t to) {
    std::vector<Candidate>& all = candidatesOf(from);
    while (!all.empty() && all.back().taken) all.pop_back();
    const double amount = amountToEqual(nodes_[from], nodes_[to]);
    const auto above = std::upper_bound(all.begin(), all.end(), amount,
                                        [](double value, const Candidate& each) { return value < each.wanted; });
    const int looks = affinity_ ? kLooks : 1;
    Choice best;
    int left = looks;
    for (auto it = above; it != all.begin() && left > 0;) {
      if ((--it)->taken) continue;
      consider(from, to, *it, best);
      --left;
    }
    left = looks;
    for (auto it = above; it != all.end() && left > 0; ++it) {
      if (it->taken) continue;
      consider(from, to, *it, best);
      --left;
    }
    return best;
  }

  bool moveOne(size_t from, size_t to) {
    const Choice choice = choose(from, to);
    if (!choice.candidate) return false;
    const double wanted = choice.candidate->wanted;
    const ThreadLoad& thread = nodes_[from].load->threads[choice.candidate->thread];
    choice.candidate->taken = true;
    const NodeLoad &source = *nodes_[from].load, &target = *nodes_[to].load;
    carryOut(options_, snapshot_, decision_,
             {thread.thread, source.node, target.node, choice.gain,
              fmt::format("node {} wants {:.1f} of {} cores, node {} {:.1f} of {}", source.node.value,
                          nodes_[from].wanted, source.workers, target.node.value, nodes_[to].wanted, target.workers),
              wanted},
             thread);
    ++given_[from];
    change(from, -wanted);
    change(to, wanted);
    return true;
  }

  void change(size_t node, double wanted) {
    const std::pair<double, size_t> before{nodes_[node].relative(), node};
    nodes_[node].wanted += wanted;
    const std::pair<double, size_t> after{nodes_[node].relative(), node};
    takers_.erase(before);
    takers_.insert(after);
    if (givers_.erase(before) > 0) givers_.insert(after);
  }

  const BalanceOptions& options_;
  const LoadSnapshot& snapshot_;
  const BalanceHistory& before_;
  BalanceDecision& decision_;
  const bool greedy_, affinity_;
  std::vector<PlannedNode> nodes_;
  std::vector<std::vector<Candidate>> candidates_;  // of nodes that have been asked to give
  std::vector<uint32_t> given_;
  std::set<std::pair<double, size_t>> takers_, givers_;  // by load
};

}  // namespace

void planCpu(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& before,
             BalanceDecision& decision) {
  CpuPlan(options, snapshot, before, decision).run();
}

}  // namespace jvmc::cluster
