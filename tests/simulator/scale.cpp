#include "tests/simulator/scale.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/balance/balancer.h"
#include "cluster/membership/program_end.h"
#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/thread_traffic.h"
#include "tests/simulator/sim_load.h"

namespace jvmc::sim {

namespace {

using rt::GuestThread;
using rt::ThreadMail;
using rt::ThreadRef;

constexpr uint32_t kWorkers = 30;  // for about 100 threads, of which 60 want a core each
constexpr int64_t kEndsNanos = 50 * kMillis, kLettersNanos = 100 * kMillis, kPatienceNanos = 60 * kSeconds;

/// Never touched: Thread objects have addresses only.
rt::AddressPlan plan() {
  return {.base = rt::AddressPlan{}.base, .regionShift = 24, .regionCount = rt::kNodesMax};
}

cluster::BalanceOptions balanceOptions(const ScaleOptions& options) {
  cluster::BalanceOptions balance;
  balance.movesPerRound = std::max(64u, options.threads / options.nodes / 2);
  return balance;
}

class ScaleNode final : public cluster::ThreadHost {
 public:
  struct Shared {
    Events& events;
    History& history;
    std::set<ObjectRef> ended;
    std::map<uint64_t, uint32_t> letters;  ///< by number: how often it has arrived
    std::function<void()> over;
  };

  ScaleNode(Network& network, Shared& shared, const ScaleOptions& options, NodeId id, std::vector<NodeId> members)
      : net(network, id, std::move(members)),
        control(net),
        load(shared.events, kWorkers),
        shared_(shared),
        homes_(plan(), rt::kNodesMax),
        router(*this, net, homes_),
        migrator(*this, net, router, homes_),
        end(control, {.onEnd = [this](int32_t) { shared_.over(); }, .onUncaught = {}}),
        meter_({id, kWorkers, false}, load, remoteUse_, blockUsers_, [] { return cluster::MemoryLoad{}; }),
        balancer(control, balanceOptions(options), false, meter_,
                 {router, [](const cluster::BlockGift&) {}, migrator.placer()}) {
    net.setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
      migrator.handleMessage(payload, *responder);
    });
  }

  bool isHere(ThreadId thread) const override { return threads_.contains(thread); }
  bool deliver(const ThreadRef& to, const ThreadMail& mail) override {
    if (mail.kind == ThreadMail::Kind::Migrate)
      moveTo(to.id, mail.target);
    else if (++shared_.letters[mail.ticket] > 1)
      shared_.history.fail(fmt::format("letter {} arrives twice", mail.ticket));
    return true;
  }
  bool adopt(std::unique_ptr<GuestThread> thread) override {
    uint32_t& known = incarnations_[thread->ref.id];
    if (known > thread->incarnation) return false;
    known = thread->incarnation + 1;
    shared_.history.adopted(net.self(), thread->ref.id, thread->incarnation);
    load.add(thread->ref);
    threads_[thread->ref.id] = std::move(thread);
    return true;
  }
  Bytes encode(const GuestThread& thread) override {
    cluster::ByteWriter out;
    putThreadRef(out, thread.ref);
    return out.take();
  }
  Result<std::unique_ptr<GuestThread>> decode(std::span<const uint8_t> image) override {
    cluster::ByteReader in(image);
    auto thread = std::make_unique<GuestThread>();
    thread->ref = cluster::getThreadRef(in);
    return thread;
  }
  void exportReferences(const GuestThread&) override {}
  void exportAnswer(const rt::Resumption&) override {}
  void leave(ThreadId thread, std::function<void()> action) override { traffic_.whenQuiet(thread, std::move(action)); }
  void afterDeferred(std::function<void()> action) override { action(); }
  uint64_t arrivalEpoch() override { return 1; }
  bool hasEnded(const ThreadRef& thread) override { return shared_.ended.contains(thread.object); }
  void fatal(Error error) override { shared_.history.fail(error.message); }

  void moveTo(ThreadId id, NodeId target) {
    const auto found = threads_.find(id);
    if (found == threads_.end() || target == net.self()) return;
    std::unique_ptr<GuestThread> thread = std::move(found->second);
    threads_.erase(found);
    load.remove(id);
    ++thread->incarnation;
    shared_.history.departed(net.self(), id, thread->incarnation, target);
    migrator.ship(std::move(thread), target);
  }
  void evacuate() {
    const std::vector<NodeId> places = net.places();
    std::vector<ThreadId> all;
    for (const auto& [id, thread] : threads_) all.push_back(id);
    for (ThreadId id : all) moveTo(id, places[id % places.size()]);
  }
  bool isEmpty() const { return threads_.empty() && migrator.onTheirWay() == 0; }
  /// All threads here end.
  void endThreads() {
    for (auto& [id, thread] : threads_) {
      shared_.ended.insert(thread->ref.object);
      shared_.history.ended(net.self(), id);
      load.remove(id);
      rt::ThreadEnd end;
      end.id = id;
      this->end.threadEnded(std::move(end));
    }
    threads_.clear();
  }

  SimNet net;
  cluster::ControlChannel control;
  SimLoad load;

 private:
  Shared& shared_;
  cluster::HomeMap homes_;
  cluster::RemoteUse remoteUse_;
  cluster::BlockUsers blockUsers_;
  cluster::ThreadTraffic traffic_;
  std::map<ThreadId, std::unique_ptr<GuestThread>> threads_;
  std::unordered_map<ThreadId, uint32_t> incarnations_;

 public:
  cluster::ThreadRouter router;
  cluster::ThreadMigrator migrator;
  cluster::ProgramEnd end;

 private:
  cluster::LoadMeter meter_;

 public:
  cluster::Balancer balancer;
};

class ScaleRun {
 public:
  explicit ScaleRun(const ScaleOptions& options)
      : options_(options),
        events_(options.seed, [](Actor) {}),
        history_(events_),
        network_(events_, history_, {}, options.seed),
        shared_{events_, history_, {}, {}, [this] { isOver_ = true; }} {
    for (uint32_t i = 0; i < options.nodes; ++i) members_.push_back(NodeId(i));
    for (NodeId id : members_) nodes_.push_back(std::make_unique<ScaleNode>(network_, shared_, options, id, members_));
    for (ThreadId id = 1; id <= options.threads; ++id) startThread(id);
  }
  ~ScaleRun() {
    network_.close();
    events_.clear();
  }

  ScaleOutcome run() {
    ScaleOutcome outcome;
    outcome.imbalanceBefore = imbalance();
    for (auto& node : nodes_) node->balancer.start();
    sendLetters();
    for (uint32_t i = 0; i < options_.leavers; ++i)
      events_.at(kLauncher, kLettersNanos / 2 + i * 20 * kMillis, [this, i] { drain(NodeId(i)); });
    runUntil([this] { return events_.now() >= options_.balanceNanos; });
    outcome.imbalanceAfter = imbalance();
    for (auto& node : nodes_) node->balancer.stop();
    runUntil([this] { return gone_ == options_.leavers; });
    // Moves that are on their way may still come about.
    bool isQuiet = false;
    events_.at(kLauncher, kSeconds / 2, [&isQuiet] { isQuiet = true; });
    runUntil([&isQuiet] { return isQuiet; });
    for (NodeId id : members_)
      events_.at(id.value, events_.between(0, kEndsNanos), [this, id] { nodes_[id.index()]->endThreads(); });
    runUntil([this] { return isOver_; });
    judge();
    for (auto& node : nodes_) outcome.moves += node->migrator.stats().movesIn;
    outcome.letters = shared_.letters.size();
    outcome.violation = history_.violation();
    outcome.fingerprint = history_.fingerprint();
    outcome.events = events_.handled();
    outcome.nanos = events_.now();
    return outcome;
  }

 private:
  /// Half of the nodes begin with three quarters of the threads.
  void startThread(ThreadId id) {
    Prng& random = events_.random;
    const uint32_t half = std::max(1u, options_.nodes / 2);
    const uint32_t node = uint32_t(random.below(random.below(4) < 3 ? half : options_.nodes));
    const uint32_t home = uint32_t(random.below(options_.nodes));
    auto thread = std::make_unique<GuestThread>();
    thread->ref = {id, plan().regionBase(home) + 16 * id};
    threads_.push_back(thread->ref);
    nodes_[home]->router.starting(id, NodeId(node));
    nodes_[node]->end.threadCreated(id);
    history_.created(id);
    nodes_[node]->adopt(std::move(thread));
  }
  void sendLetters() {
    for (uint64_t number = 1; number <= options_.letters; ++number) {
      const NodeId from(uint32_t(options_.leavers + events_.random.below(options_.nodes - options_.leavers)));
      const ThreadRef to = threads_[events_.random.below(threads_.size())];
      events_.at(from.value, events_.between(0, kLettersNanos), [this, from, to, number] {
        ThreadMail mail{};
        mail.kind = ThreadMail::Kind::Answer;
        mail.ticket = number;
        nodes_[from.index()]->router.send(to, mail);
      });
    }
  }
  double imbalance() const {
    double most = 0, sum = 0;
    for (NodeId id : members_) {
      most = std::max(most, nodes_[id.index()]->load.wanted());
      sum += nodes_[id.index()]->load.wanted();
    }
    return most / (sum / double(members_.size())) - 1;
  }
  void runUntil(const std::function<bool()>& done) {
    const int64_t limit = events_.now() + kPatienceNanos;
    while (!done() && history_.violation().empty()) {
      if (!events_.step() || events_.now() > limit) return history_.fail("it does not come to an end");
    }
  }

  /// The node gives its threads away, then it is no member; the order of steps is the launcher's.
  void drain(NodeId id) {
    std::vector<NodeId> places = members_;
    std::erase(places, id);
    tellAll(members_, places, {}, [this, id] { look(id); });
  }
  void look(NodeId id) {
    events_.at(id.value, kMillis, [this, id] {
      ScaleNode& leaver = *nodes_[id.index()];
      leaver.evacuate();
      if (!leaver.isEmpty()) return look(id);
      const cluster::EndBequest bequest = leaver.end.bequeath();
      leaver.balancer.stop();
      std::erase(members_, id);
      tellAll(members_, members_, bequest, [this] { ++gone_; });
    });
  }
  void tellAll(std::vector<NodeId> nodes, std::vector<NodeId> places, cluster::EndBequest left,
               std::function<void()> then) {
    auto missing = std::make_shared<size_t>(nodes.size());
    for (NodeId id : nodes)
      network_.carryForLauncher(id, true, [=, this] {
        nodes_[id.index()]->net.setMembers(nodes, places);
        nodes_[id.index()]->end.membersChanged(left);
        if (--*missing == 0) then();
      });
  }

  void judge() {
    if (!history_.violation().empty()) return;
    if (history_.threadsAlive() > 0) history_.fail("the census says that the program is over, and threads live");
    if (shared_.letters.size() != options_.letters)
      history_.fail(fmt::format("{} of {} letters have arrived", shared_.letters.size(), options_.letters));
  }

  const ScaleOptions options_;
  Events events_;
  History history_;
  Network network_;
  ScaleNode::Shared shared_;
  std::vector<NodeId> members_;
  std::vector<std::unique_ptr<ScaleNode>> nodes_;
  std::vector<ThreadRef> threads_;
  uint32_t gone_ = 0;
  bool isOver_ = false;
};

}  // namespace

ScaleOutcome runScale(const ScaleOptions& options) {
  return ScaleRun(options).run();
}

}  // namespace jvmc::sim
