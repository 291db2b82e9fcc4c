#include "tests/simulator/run.h"

#include <fmt/format.h>

#include <algorithm>

namespace jvmc::sim {

namespace {

/// A run that has not ended after so many events, or after so much simulated time, never will.
constexpr size_t kEventsMax = 2'000'000;
constexpr int64_t kNanosMax = 600 * kSeconds;
/// Somebody runs at least so often, unless all wait for ever.
constexpr int64_t kStandstillNanosMax = cluster::Lease::kSilenceNanos + 15 * kSeconds;
/// Letters rest for less than that while they wander.
constexpr int64_t kQuietNanos = 10 * kMillis;
/// A slow node may have put much off.
constexpr int64_t kMailNanosMax = 60 * kSeconds;
constexpr size_t kTailLines = 60;
/// Some nodes have little time to leave.
constexpr int64_t kDeadlineNanosMax = 20 * kMillis;

/// The parts of one run, in the order in which they need each other.
class Run final : private Program {
 public:
  Run(Arena& arena, rt::FiberPool& fibers, uint64_t seed, const Plan& plan)
      : Program(
            seed, [&arena](Actor node) { arena.enter(node); }, plan.net, plan.nodes, World::kNodesMax),
        arena_(arena),
        plan_(plan),
        world_(seed, {.nodes = plan.nodes, .threads = plan.threads, .cellsPerNode = plan.cellsPerNode}),
        cells_(world_),
        script_(world_, history_, plan.script),
        around_{events_,
                history_,
                network_,
                fibers,
                world_,
                cells_,
                script_,
                seed,
                plan.node,
                [this](NodeId node, const Error& error) { fatal(node, error); },
                [this](int32_t exitCode) { exited(exitCode); }} {
    arena_.clear();
    std::vector<NodeId> members;
    for (uint32_t i = 0; i < plan.nodes; ++i) members.push_back(NodeId(i));
    for (NodeId id : members) {
      arena_.enter(id.value);
      world_.create(id.value);
      nodes_[id] = std::make_unique<SimNode>(around_, id, members);
    }
  }
  ~Run() {
    network_.close();
    events_.clear();
    while (!nodes_.empty()) endProcess(nodes_.begin()->first);
    events_.clear();
  }

  Outcome run() {
    history_.traces = plan_.traces;
    for (auto& [id, node] : nodes_) node->start();
    launcher_.start();
    events_.at(0, 0, [this] { nodes_.at(NodeId(0))->startMain(); });
    planTrouble();
    while (!isDone() && history_.violation().empty() && events_.step()) {
      checkBlocks();
      if (events_.handled() > kEventsMax || events_.now() > kNanosMax) history_.fail("the program does not end");
      if (!isOver() && events_.now() - history_.lastRun() > kStandstillNanosMax)
        history_.fail("no thread runs any more");
    }
    if (!isOver()) history_.fail("nothing is left to happen");
    if (hasExited() && history_.threadsAlive() > 0) history_.fail("the program is over, and threads are not");
    if (hasExited()) watchMail();
    return outcome();
  }

 private:
  /// After the program's end: mail for threads that have ended is dropped, so there is none before long.
  void watchMail() {
    const int64_t end = events_.now();
    int64_t last = end;
    for (uint64_t seen = lettersForwarded(); history_.violation().empty() && events_.step();) {
      if (events_.now() - last > kQuietNanos) return;
      if (const uint64_t forwarded = lettersForwarded(); std::exchange(seen, forwarded) != forwarded)
        last = events_.now();
      if (last - end > kMailNanosMax) history_.fail("mail for threads that have ended wanders");
    }
  }
  uint64_t lettersForwarded() const {
    uint64_t sum = 0;
    for (const auto& [id, node] : nodes_) sum += node->router.forwarded();
    return sum;
  }

  // -- Machines
  SimNode* node(NodeId id) override {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : found->second.get();
  }
  SimNode& start(NodeId id, std::vector<NodeId> members) override {
    return *(nodes_[id] = std::make_unique<SimNode>(around_, id, std::move(members)));
  }
  void end(NodeId id) override {
    SimNode& leaver = *nodes_.at(id);
    uint64_t blocks = 0;
    for (uint64_t block : world_.blocks()) blocks += leaver.serves(block);
    const size_t threads = leaver.threadsHere() + leaver.migrator.onTheirWay();
    if (blocks + threads > 0)
      history_.fail(fmt::format("node {} has left with {} threads and {} blocks", id.value, threads, blocks));
    endProcess(id);
    tellPeersOfEnd(id);
  }
  std::vector<NodeId> running() const override {
    std::vector<NodeId> ids;
    for (const auto& [id, node] : nodes_) ids.push_back(id);
    return ids;
  }

  void endProcess(NodeId id) {
    arena_.enter(id.value);
    nodes_.at(id)->stop();
    nodes_.erase(id);
  }

  // -- what goes wrong
  void planTrouble() {
    const auto soon = [this](std::function<void()> what) {
      events_.at(kLauncher, events_.between(0, plan_.troubleNanos), std::move(what));
    };
    for (uint32_t i = 0; i < plan_.joins; ++i) soon([this] { launcher_.grow(); });
    for (uint32_t i = 0; i < plan_.drains; ++i)
      soon([this] {
        const NodeId leaver = anyNode();
        launcher_.drain(leaver, events_.chance(0.2) ? events_.between(1, kDeadlineNanosMax) : 0);
      });
    if (plan_.crashes) soon([this] { crash(anyNode(), plan_.crashNoticedNanos); });
    if (plan_.cutNanos > 0) soon([this] { cut(someNodes(), plan_.cutNanos); });
    if (plan_.slowNanos > 0)
      soon([this] {
        const NodeId slow = anyNode();
        history_.note(What::Slow, slow.value, uint64_t(plan_.slowNanos));
        events_.slowDown(slow.value, plan_.slowNanos);
      });
  }
  NodeId anyNode() { return std::next(nodes_.begin(), ptrdiff_t(events_.random.below(nodes_.size())))->first; }
  std::set<NodeId> someNodes() {
    std::set<NodeId> some;
    for (const auto& [id, node] : nodes_)
      if (events_.chance(0.4)) some.insert(id);
    return some;
  }

  /// At most one node answers for a block; and one, unless it is on its way.
  void checkBlocks() {
    for (uint64_t block : world_.blocks()) {
      uint32_t homes = 0, senders = 0;
      for (const auto& [id, node] : nodes_) {
        homes += node->serves(block);
        senders += node->stateOf(block) == cluster::HomeState::Sent;
      }
      if (homes > 1) history_.fail(fmt::format("block {:#x} has {} homes", block, homes));
      if (homes + senders == 0) history_.fail(fmt::format("block {:#x} has no home", block));
    }
  }

  Outcome outcome() {
    Outcome outcome;
    outcome.violation = history_.violation();
    outcome.programEnd = howItEnded();
    outcome.fingerprint = history_.fingerprint();
    outcome.events = events_.handled();
    outcome.nanos = events_.now();
    outcome.joined = launcher_.joined();
    outcome.drained = launcher_.drained();
    outcome.repeated = network_.repeated();
    outcome.made = cells_.made();
    outcome.buried = cells_.buried();
    for (auto& [id, node] : nodes_) {
      outcome.rounds = std::max(outcome.rounds, node->collector.completedRounds());
      outcome.moves += node->migrator.stats().movesIn;
      outcome.blockMoves += node->space.stats().movedGroups;
      outcome.leased += node->space.stats().leased;
      outcome.recalls += node->space.stats().recalls;
      outcome.fetches += node->space.stats().fetches;
    }
    if (outcome.violation.empty() && !plan_.describes) return outcome;
    outcome.tail = history_.tail(kTailLines);
    for (auto& [id, node] : nodes_) {
      arena_.enter(id.value);
      outcome.tail += node->describe();
    }
    return outcome;
  }

  Arena& arena_;
  const Plan plan_;
  const World world_;
  Cells cells_;
  const Script script_;
  Surroundings around_;
  std::map<NodeId, std::unique_ptr<SimNode>> nodes_;
};

}  // namespace

Plan Plan::fromSeed(uint64_t seed, bool collects) {
  Prng random(seed * 0x1234'5677 + 99);
  const auto oneIn = [&](uint64_t n) { return random.below(n) == 0; };
  Plan plan;
  plan.nodes = 2 + uint32_t(random.below(4));
  plan.threads = 2 + uint32_t(random.below(2 * plan.nodes));
  plan.script.transactions = 10 + uint32_t(random.below(40));
  plan.script.moves = oneIn(3) ? 0 : oneIn(2) ? 0.02 : 0.2;
  plan.net.ordered = !oneIn(3);
  plan.net.delayNanosMax = oneIn(3) ? 2 * kMillis : oneIn(2) ? 200 * kMicros : 40 * kMicros;
  plan.net.straggling = oneIn(2) ? 0.1 : 0;
  plan.net.loss = oneIn(4) ? 0.01 : 0;
  plan.node.shakeNanos = oneIn(3) ? 0 : oneIn(2) ? 5 * kMillis : kMillis;
  plan.node.evictNanos = oneIn(2) ? 0 : 3 * kMillis;
  plan.node.earlyReleases = oneIn(2) ? 0.5 : 0;
  plan.node.refusals = oneIn(3) ? 0.1 : 0;
  plan.node.stepNanos = oneIn(2) ? 2 * kMicros : 50 * kMicros;
  plan.node.balance.policy = cluster::BalancePolicy::Off;
  if (oneIn(2)) {
    using enum cluster::BalancePolicy;
    constexpr cluster::BalancePolicy kPolicies[] = {Threshold, Greedy, Affinity, Rotate};
    plan.node.balance.policy = kPolicies[random.below(4)];
    plan.node.balance.reportNanos = 10 * kMillis;
    plan.node.balance.rotateNanos = 20 * kMillis;
    plan.node.balance.threadRestNanos = 20 * kMillis;
  }
  // At most one kind of trouble that may end the program; a cut of less than a lease's silence may not.
  if (oneIn(3)) plan.joins = 1 + uint32_t(random.below(2));
  if (oneIn(3)) plan.drains = 1 + uint32_t(random.below(2));
  if (oneIn(5)) plan.slowNanos = oneIn(2) ? kMillis : 20 * kMicros;
  if (oneIn(8)) {
    plan.crashes = true;
    plan.crashNoticedNanos = oneIn(2) ? kMillis : 30 * kSeconds;
  } else if (oneIn(8)) {
    plan.cutNanos = oneIn(3) ? 45 * kSeconds : oneIn(2) ? 8 * kSeconds : 50 * kMillis;
  }
  plan.net.repeats = oneIn(2) ? 0.02 : 0;
  if (collects) {
    plan.cellsPerNode = 60;
    plan.script.cells = true;
    plan.node.roundMillis = oneIn(2) ? 1 : 5;
  }
  // Every other run leases whatever is asked for; in the others little is asked for often enough.
  plan.node.space.leaseEverything = seed % 2 == 1;
  if (plan.node.space.leaseEverything) plan.node.space.leaseNanos = kMillis / 2;
  return plan;
}

std::string Plan::describe() const {
  return fmt::format(
      "{} nodes, {} threads, {} transactions each, moves {}, messages {}-{} us{}, straggling {}, loss {}, repeated {}, "
      "blocks every "
      "{} "
      "us, evictions every {} us, early releases {}, refusals {}, steps {} us, balance {}, {} joins, {} drains{}, cut "
      "{} ms, slow {} us",
      nodes, threads, script.transactions, script.moves, net.delayNanosMin / kMicros, net.delayNanosMax / kMicros,
      net.ordered ? "" : " in no order", net.straggling, net.loss, net.repeats, node.shakeNanos / kMicros,
      node.evictNanos / kMicros, node.earlyReleases, node.refusals, node.stepNanos / kMicros,
      cluster::nameOf(node.balance.policy), joins, drains,
      crashes ? fmt::format(", a crash noticed after {} ms", crashNoticedNanos / kMillis) : "", cutNanos / kMillis,
      slowNanos / kMicros);
}

Laboratory::Laboratory()
    : arena_(World::plan()),
      fibers_(rt::FiberPool::create(
          {.nativeBytes = 256 << 10, .reserveBytes = 64 << 10, .interpreterBytes = 4096, .maxFibers = 512})) {}

Outcome Laboratory::run(uint64_t seed, const Plan& plan) {
  Run run(arena_, *fibers_, seed, plan);
  return run.run();
}

}  // namespace jvmc::sim
