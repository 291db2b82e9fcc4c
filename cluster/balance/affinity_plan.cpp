// Brings threads and the objects they use together, whichever is cheaper to move.
//
//   a thread asks home B for much      -> the thread goes to B, if B's load allows it
//   ... but B is as loaded as it is    -> it changes places with a thread of B that asks for objects here
//   ... and there is none, or the blocks are the better choice: they serve several threads, or a thread that asks
//       several homes                  -> the blocks of B that are used from here come here
//
// What threads use of their own node's objects goes by inline paths, so nobody knows it. A move is therefore a trial:
// what a thread asked for at the node that it leaves is remembered, and if it asks for more at the new one, it goes
// back and is not tried there again for a while. Moves of blocks are judged by the traffic between the two nodes.
#include <fmt/format.h>

#include <map>
#include <unordered_set>

#include "cluster/balance/plan.h"

namespace jvmc::cluster {

namespace {

constexpr double kWorseMax = 0.1;       // cores by which evenness may suffer: less is noise of the measurement
constexpr double kProfit = 2;           // a move gains so many times what it costs, at least
constexpr double kBlocksBetter = 1.25;  // than the threads: what is used locally of blocks that move is not known
constexpr double kFailedShare = 0.7;    // traffic that is left after a move of blocks that has been good for something

class AffinityPlan {
 public:
  AffinityPlan(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& before,
               BalanceDecision& decision)
      : options_(options),
        snapshot_(snapshot),
        before_(before),
        decision_(decision),
        nodes_(planOf(snapshot, true)),
        given_(nodes_.size()) {
    for (size_t i = 0; i < nodes_.size(); ++i) indexOf_[nodes_[i].load->node] = i;
  }

  void run() {
    measureTraffic();
    judgeTrials();
    findWishes();
    findBlocks();
    for (Wish& wish : wishes_)
      if (wish.thread && !favoursBlocks(wish.from, wish.to)) fulfil(wish);
    for (Blocks& blocks : blocks_) moveBlocks(blocks);
  }

 private:
  /// A thread that would save traffic at `to`. `thread` is null once it has been moved.
  struct Wish {
    const ThreadLoad* thread;
    size_t from, to;
    double saved;   ///< cores
    double wanted;  ///< once it need not wait any more
  };
  /// Blocks at `home` that are used from `user`.
  struct Blocks {
    size_t home, user;
    uint64_t bytes;
    double saved, profit;  ///< cores
  };

  NodeId id(size_t node) const { return nodes_[node].load->node; }

  void measureTraffic() {
    for (size_t i = 0; i < nodes_.size(); ++i)
      for (const ThreadLoad& thread : nodes_[i].load->threads)
        for (const HomeRate& use : thread.uses) {
          HomeRate& sum = traffic_[{id(i), use.home}];
          sum.requests += use.requests;
          sum.bytes += use.bytes;
          sum.wait += use.wait;
        }
  }

  double trafficBetween(NodeId a, NodeId b) const {
    double sum = 0;
    for (const auto& pair : {std::pair(a, b), std::pair(b, a)})
      if (const auto found = traffic_.find(pair); found != traffic_.end())
        sum += options_.cost.ofTraffic(found->second);
    return sum;
  }

  void judgeTrials() {
    auto& trials = decision_.history.blockTrials;
    for (auto& [pair, trial] : trials) {
      if (trial.judged || snapshot_.nowNanos - trial.nanos < options_.blockTrialNanos) continue;
      const NodeId from(uint32_t(pair >> 32)), to { uint32_t(pair) };
      trial.judged = true;
      trial.failed = trafficBetween(from, to) > kFailedShare * trial.before;
    }
    std::erase_if(trials, [&](const auto& entry) {
      const BalanceHistory::BlockTrial& trial = entry.second;
      return trial.judged && (!trial.failed || snapshot_.nowNanos - trial.nanos >= options_.rememberNanos);
    });
  }

  bool isOnTrial(NodeId from, NodeId to) const {
    const auto& trials = decision_.history.blockTrials;
    return trials.contains(BalanceHistory::pairOf(from, to)) || trials.contains(BalanceHistory::pairOf(to, from));
  }

  void findWishes() {
    for (size_t from = 0; from < nodes_.size(); ++from) {
      const Demand demand(*nodes_[from].load);
      for (const ThreadLoad& thread : nodes_[from].load->threads) {
        if (thread.uses.empty() || thread.pinned || isResting(decision_.history, snapshot_.nowNanos, thread.thread.id))
          continue;
        const double least = std::max(options_.trafficMin, kProfit * options_.cost.ofThreadMove(thread.frameBytes));
        for (NodeId to : destinationsOf(thread)) {
          const auto target = indexOf_.find(to);
          if (target == indexOf_.end() || target->second == from) continue;
          const double saved = trafficSaved(options_, decision_.history, snapshot_.nowNanos, thread, to);
          if (saved >= least) wishes_.push_back({&thread, from, target->second, saved, demand.withoutWaits(thread)});
        }
      }
    }
    std::sort(wishes_.begin(), wishes_.end(), [](const Wish& a, const Wish& b) {
      return a.saved != b.saved ? a.saved > b.saved : a.thread->thread.id < b.thread->thread.id;
    });
    for (size_t i = 0; i < wishes_.size(); ++i) byPair_[{wishes_[i].from, wishes_[i].to}].push_back(i);
  }

  /// The homes it asks, and where it was before: it may have been better off there.
  std::vector<NodeId> destinationsOf(const ThreadLoad& thread) const {
    std::vector<NodeId> nodes;
    for (const HomeRate& use : thread.uses)
      if (use.requests >= options_.requestsMin) nodes.push_back(use.home);
    if (const auto found = decision_.history.tried.find(thread.thread.id); found != decision_.history.tried.end())
      for (const BalanceHistory::Tried& tried : found->second)
        if (std::find(nodes.begin(), nodes.end(), tried.node) == nodes.end()) nodes.push_back(tried.node);
    return nodes;
  }

  void findBlocks() {
    for (size_t home = 0; home < nodes_.size(); ++home) {
      for (const BlockUse& use : nodes_[home].load->usedBy) {
        const auto user = indexOf_.find(use.user);
        const auto traffic = traffic_.find({use.user, id(home)});
        if (user == indexOf_.end() || traffic == traffic_.end() || isOnTrial(id(home), use.user)) continue;
        if (nodes_[home].load->memory.moving || !hasRoom(*nodes_[user->second].load, use.bytes)) continue;
        // As a part of what goes from there to here in all.
        const double share = std::min(1.0, use.requests / std::max(traffic->second.requests, 1.0));
        const uint64_t bytes = std::min(use.bytes, options_.affinityBytesPerMove);
        const double part = double(bytes) / double(std::max<uint64_t>(use.bytes, 1));
        const double saved = share * part * options_.cost.ofTraffic(traffic->second);
        const double cost = options_.cost.ofBlockMove(bytes);
        if (saved < std::max(options_.blockTrafficMin, kProfit * cost)) continue;
        blocks_.push_back({home, user->second, bytes, saved, saved - cost});
      }
    }
    std::sort(blocks_.begin(), blocks_.end(), [](const Blocks& a, const Blocks& b) { return a.profit > b.profit; });
  }

  bool hasRoom(const NodeLoad& node, uint64_t bytes) const {
    const MemoryLoad& memory = node.memory;
    return memory.limit == 0 || double(memory.live + bytes) < options_.memoryHigh * double(memory.limit);
  }

  /// Blocks of `to` that are used from `from` are worth more there than all threads of `from` at `to`.
  bool favoursBlocks(size_t from, size_t to) const {
    const auto found = std::find_if(blocks_.begin(), blocks_.end(),
                                    [&](const Blocks& each) { return each.user == from && each.home == to; });
    if (found == blocks_.end()) return false;
    double threads = 0;
    for (size_t i : byPair_.at({from, to}))
      threads += wishes_[i].saved - (wishes_[i].thread ? options_.cost.ofThreadMove(wishes_[i].thread->frameBytes) : 0);
    return found->profit > kBlocksBetter * threads;
  }

  void fulfil(Wish& wish) {
    if (given_[wish.from] >= options_.movesPerRound) return;
    if (gainOf(nodes_[wish.from], nodes_[wish.to], wish.wanted) >= -kWorseMax) return move(wish);
    // The two nodes may change threads: what each of them wants matters less then.
    const auto back = byPair_.find({wish.to, wish.from});
    if (back == byPair_.end()) return;
    for (size_t i : back->second) {
      Wish& other = wishes_[i];
      if (!other.thread || other.thread == wish.thread || given_[other.from] >= options_.movesPerRound) continue;
      const double net = wish.wanted - other.wanted;
      const double gain =
          net >= 0 ? gainOf(nodes_[wish.from], nodes_[wish.to], net) : gainOf(nodes_[wish.to], nodes_[wish.from], -net);
      if (gain < -kWorseMax) continue;
      move(wish);
      return move(other);
    }
  }

  void move(Wish& wish) {
    const ThreadLoad& thread = *wish.thread;
    PlannedNode &from = nodes_[wish.from], &to = nodes_[wish.to];
    double requests = 0;
    for (const HomeRate& use : thread.uses)
      if (use.home == id(wish.to)) requests += use.requests;
    std::string reason = requests > 0 ? fmt::format("asks node {} for {:.0f} objects/s", id(wish.to).value, requests)
                                      : fmt::format("asked for less on node {}", id(wish.to).value);
    carryOut(options_, snapshot_, decision_,
             {thread.thread, id(wish.from), id(wish.to), wish.saved, std::move(reason), wish.wanted}, thread);
    from.wanted -= wish.wanted;
    to.wanted += wish.wanted;
    ++given_[wish.from];
    connected_.insert(BalanceHistory::pairOf(id(wish.from), id(wish.to)));
    for (Wish& other : wishes_)
      if (other.thread && other.thread == &thread) other.thread = nullptr;
  }

  void moveBlocks(const Blocks& blocks) {
    const NodeId home = id(blocks.home), user = id(blocks.user);
    // A thread moves between the two, in either direction: what is worth moving then will be seen.
    if (connected_.contains(BalanceHistory::pairOf(user, home)) ||
        connected_.contains(BalanceHistory::pairOf(home, user)))
      return;
    const uint64_t pair = BalanceHistory::pairOf(home, user);
    const auto before = before_.blocksSince.find(pair);
    const int64_t since = before == before_.blocksSince.end() ? snapshot_.nowNanos : before->second;
    decision_.history.blocksSince[pair] = since;
    if (snapshot_.nowNanos - since < options_.blockPatienceNanos || isOnTrial(home, user)) return;
    decision_.history.blockTrials[pair] = {trafficBetween(home, user), snapshot_.nowNanos};
    decision_.blockMoves.push_back(
        {home, user, blocks.bytes, blocks.saved,
         fmt::format("threads of node {} use them most, at {:.2f} cores", user.value, blocks.saved), true});
  }

  const BalanceOptions& options_;
  const LoadSnapshot& snapshot_;
  const BalanceHistory& before_;
  BalanceDecision& decision_;
  std::vector<PlannedNode> nodes_;
  std::vector<uint32_t> given_;
  std::unordered_map<NodeId, size_t> indexOf_;
  std::map<std::pair<NodeId, NodeId>, HomeRate> traffic_;  // from user to home
  std::vector<Wish> wishes_;                               // those that save most first
  std::map<std::pair<size_t, size_t>, std::vector<size_t>> byPair_;
  std::vector<Blocks> blocks_;
  std::unordered_set<uint64_t> connected_;  // pairs between which a thread moves
};

}  // namespace

void planAffinity(const BalanceOptions& options, const LoadSnapshot& snapshot, const BalanceHistory& before,
                  BalanceDecision& decision) {
  AffinityPlan(options, snapshot, before, decision).run();
}

}  // namespace jvmc::cluster
