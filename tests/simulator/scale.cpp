#include "tests/simulator/scale.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/simulator/program.h"
#include "tests/simulator/scale_node.h"

namespace jvmc::sim {

namespace {

using rt::ThreadMail;
using rt::ThreadRef;
using Trouble = ScaleOptions::Trouble;

constexpr int64_t kEndsNanos = 50 * kMillis, kLettersNanos = 100 * kMillis, kPatienceNanos = 60 * kSeconds;
constexpr int64_t kTroubleNanosMin = 20 * kMillis, kTroubleNanosMax = 100 * kMillis;  ///< nodes come and go then
constexpr int64_t kShortCutNanos = 8 * kSeconds, kLongCutNanos = 45 * kSeconds;
/// How evenly loaded nodes are after the balancer's time.
constexpr double kEvenEnough = 0.1;

cluster::BalanceOptions balanceOptions(const ScaleOptions& options) {
  cluster::BalanceOptions balance;
  balance.movesPerRound = std::max(64u, options.threads / options.nodes / 2);
  return balance;
}

class ScaleRun final : private Program {
 public:
  explicit ScaleRun(const ScaleOptions& options)
      : Program(
            options.seed, [](Actor) {}, {}, options.nodes, rt::kNodesMax),
        options_(options),
        shared_{events_,
                history_,
                network_,
                balanceOptions(options),
                [this](int32_t exitCode) { exited(exitCode); },
                [this](NodeId node, const Error& error) { fatal(node, error); }} {
    std::vector<NodeId> members;
    for (uint32_t i = 0; i < options.nodes; ++i) members.push_back(NodeId(i));
    for (NodeId id : members) nodes_[id] = std::make_unique<ScaleNode>(shared_, id, members);
    for (ThreadId id = 1; id <= options.threads; ++id) startThread(id);
  }
  ~ScaleRun() {
    network_.close();
    events_.clear();
  }

  ScaleOutcome run() {
    ScaleOutcome outcome;
    outcome.imbalanceBefore = imbalance();
    for (auto& [id, node] : nodes_) node->start();
    launcher_.start();
    sendLetters();
    for (uint32_t i = 0; i < options_.leavers; ++i)
      events_.at(kLauncher, kLettersNanos / 2, [this, i] { launcher_.drain(NodeId(i), 0); });
    for (uint32_t i = 0; i < options_.joiners; ++i)
      events_.at(kLauncher, events_.between(0, kLettersNanos), [this] { launcher_.grow(); });
    events_.at(kLauncher, events_.between(kTroubleNanosMin, kTroubleNanosMax), [this] { makeTrouble(); });
    runUntil([this] { return events_.now() >= troubleIsOver() + options_.balanceNanos; });
    outcome.imbalanceAfter = imbalance();
    runUntil([this] { return !launcher_.isBusy() && shared_.letters.size() == options_.letters; });
    for (const auto& [id, node] : nodes_)
      events_.at(id.value, events_.between(0, kEndsNanos), [this, id = id] { nodes_.at(id)->endThreads(); });
    runUntil([] { return false; });
    judge(outcome);
    for (auto& [id, node] : nodes_) outcome.moves += node->migrator.stats().movesIn;
    outcome.letters = shared_.letters.size();
    outcome.joined = launcher_.joined();
    outcome.left = launcher_.drained();
    outcome.violation = history_.violation();
    outcome.programEnd = howItEnded();
    outcome.fingerprint = history_.fingerprint();
    outcome.events = events_.handled();
    outcome.nanos = events_.now();
    return outcome;
  }

 private:
  // -- Machines
  MemberNode* node(NodeId id) override {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : found->second.get();
  }
  MemberNode& start(NodeId id, std::vector<NodeId> members) override {
    return *(nodes_[id] = std::make_unique<ScaleNode>(shared_, id, std::move(members)));
  }
  void end(NodeId id) override {
    ScaleNode& leaver = *nodes_.at(id);
    if (const size_t owned = leaver.owns(); owned > 0)
      history_.fail(fmt::format("node {} has left with {} threads, blocks and letters", id.value, owned));
    leaver.stop();
    nodes_.erase(id);
    tellPeersOfEnd(id);
  }
  std::vector<NodeId> running() const override {
    std::vector<NodeId> ids;
    for (const auto& [id, node] : nodes_) ids.push_back(id);
    return ids;
  }

  /// Half of the nodes begin with three quarters of the threads.
  void startThread(ThreadId id) {
    Prng& random = events_.random;
    const uint32_t half = std::max(1u, options_.nodes / 2);
    const NodeId node(uint32_t(random.below(random.below(4) < 3 ? half : options_.nodes)));
    const NodeId home(uint32_t(random.below(options_.nodes)));
    const ThreadRef thread{id, ScaleNode::plan().regionBase(home.value) + rt::kObjectAlignment * id};
    threads_.push_back(thread);
    std::vector<ThreadRef>& block = shared_.directory.threads[thread.object & ~uint64_t(rt::kBlockBytes - 1)];
    if (block.empty()) nodes_.at(home)->blocks.begin(thread.object & ~uint64_t(rt::kBlockBytes - 1));
    block.push_back(thread);
    nodes_.at(home)->router.starting(id, node);
    nodes_.at(node)->begin(thread);
  }
  /// From nodes that stay.
  void sendLetters() {
    for (uint64_t number = 1; number <= options_.letters; ++number) {
      const NodeId from(uint32_t(options_.leavers + events_.random.below(options_.nodes - options_.leavers)));
      const ThreadRef to = threads_[events_.random.below(threads_.size())];
      events_.at(from.value, events_.between(0, kLettersNanos), [this, from, to, number] {
        ThreadMail mail{};
        mail.kind = ThreadMail::Kind::Answer;
        mail.ticket = number;
        nodes_.at(from)->router.send(to, mail);
      });
    }
  }

  // -- trouble
  void makeTrouble() {
    const NodeId leader = launcher_.members().front();
    switch (options_.trouble) {
      case Trouble::ShortCut:
        return cut(someNodes(leader), kShortCutNanos);
      case Trouble::LongCut:
        return cut(someNodes(leader), kLongCutNanos);
      case Trouble::LeaderDies:
        return crash(leader, kMillis);
      case Trouble::AnyNodeDies:
        return crash(std::next(nodes_.begin(), ptrdiff_t(events_.random.below(nodes_.size())))->first, kMillis);
      default:
        return;
    }
  }
  std::set<NodeId> someNodes(NodeId first) {
    std::set<NodeId> some{first};
    for (const auto& [id, node] : nodes_)
      if (events_.chance(0.2)) some.insert(id);
    return some;
  }
  int64_t troubleIsOver() const {
    return options_.trouble == Trouble::ShortCut ? kTroubleNanosMax + kShortCutNanos : 0;
  }

  double imbalance() const {
    double most = 0, sum = 0;
    for (const auto& [id, node] : nodes_) {
      most = std::max(most, node->load.wanted());
      sum += node->load.wanted();
    }
    return most / (sum / double(nodes_.size())) - 1;
  }
  /// Or until the program is over.
  void runUntil(const std::function<bool()>& done) {
    const int64_t limit = events_.now() + kPatienceNanos;
    while (!isDone() && !(done() && !isOver()) && history_.violation().empty())
      if (!events_.step() || events_.now() > limit) return history_.fail("it does not come to an end");
  }

  void judge(const ScaleOutcome& outcome) {
    if (!history_.violation().empty() || !hasExited()) return;
    if (history_.threadsAlive() > 0) history_.fail("the census says that the program is over, and threads live");
    if (shared_.letters.size() != options_.letters)
      history_.fail(fmt::format("{} of {} letters have arrived", shared_.letters.size(), options_.letters));
    if (launcher_.drained() != options_.leavers) history_.fail("not all have left that were to leave");
    if (outcome.imbalanceAfter > kEvenEnough) history_.fail("the nodes are not evenly loaded");
    const bool mustFail = options_.trouble > Trouble::ShortCut;
    if (mustFail) history_.fail("the program has lost a node, and ends as if it had not");
  }

  const ScaleOptions options_;
  ScaleNode::Shared shared_;
  std::map<NodeId, std::unique_ptr<ScaleNode>> nodes_;
  std::vector<ThreadRef> threads_;
};

}  // namespace

ScaleOptions ScaleOptions::fromSeed(uint64_t seed) {
  ScaleOptions options;
  options.seed = seed;
  options.trouble = Trouble((seed + uint64_t(Trouble::kTroubles) - 1) % uint64_t(Trouble::kTroubles));
  return options;
}

std::string ScaleOptions::describe() const {
  constexpr const char* kWords[] = {"no trouble", "a cut of 8 s", "the leader dies", "a node dies", "a cut of 45 s"};
  return fmt::format("{} nodes, {} threads, {} leave, {} join, {}", nodes, threads, leavers, joiners,
                     kWords[size_t(trouble)]);
}

ScaleOutcome runScale(const ScaleOptions& options) {
  return ScaleRun(options).run();
}

}  // namespace jvmc::sim
