#include "tests/simulator/launcher.h"

#include <fmt/format.h>

#include <algorithm>

namespace jvmc::sim {

using cluster::ControlKind;
using cluster::Lease;

namespace {

constexpr uint64_t kDrainBytes = 64 << 20;
constexpr int64_t kDrainPause = 2 * kMillis, kSettlePause = 500 * kMicros, kLeaseCheck = kSeconds;
constexpr uint32_t kDrainRoundsMax = 2000;

/// `then` when the peer has answered all that it was asked before.
void settle(Events& events, SimNode& node, NodeId peer, uint64_t count, std::function<void()> then) {
  if (node.net.answered(peer, count)) return then();
  node.net.postAfter(kSettlePause, [&events, &node, peer, count, then] { settle(events, node, peer, count, then); });
}

void ping(SimNode& node, NodeId peer, std::function<void()> then) {
  node.control.request(peer, ControlKind::Ping, {}, [then](Result<Bytes> answer) {
    if (answer.ok()) then();
  });
}

}  // namespace

Launcher::Launcher(Events& events, History& history, Network& network, Machines& machines, uint32_t nodes)
    : events_(events), history_(history), network_(network), machines_(machines) {
  for (uint32_t i = 0; i < nodes; ++i) members_[NodeId(i)] = {};
}

void Launcher::start() {
  for (auto& [node, member] : members_) renew(node);
  watch();
}

// ---------------------------------------------------------------- calls

void Launcher::call(NodeId node, Body body, Then then) {
  network_.carryForLauncher(node, true, [this, node, body = std::move(body), then = std::move(then)] {
    SimNode* there = machines_.node(node);
    if (!there) return;
    body(*there, [this, node, then] { network_.carryForLauncher(node, false, then); });
  });
}

void Launcher::callAll(const std::vector<NodeId>& nodes, const Body& body, Then then) {
  if (nodes.empty()) return then();
  auto missing = std::make_shared<size_t>(nodes.size());
  for (NodeId node : nodes)
    call(node, body, [missing, then] {
      if (--*missing == 0) then();
    });
}

void Launcher::inTurn(Then change) {
  changes_.push_back(std::move(change));
  if (!std::exchange(changing_, true)) turnIsOver();
}

void Launcher::turnIsOver() {
  changing_ = !changes_.empty();
  if (!changing_) return;
  const Then next = std::move(changes_.front());
  changes_.pop_front();
  next();
}

// ---------------------------------------------------------------- members

std::vector<NodeId> Launcher::with(std::initializer_list<State> states) const {
  std::vector<NodeId> found;
  for (const auto& [node, member] : members_)
    if (std::find(states.begin(), states.end(), member.state) != states.end()) found.push_back(node);
  return found;
}

void Launcher::tellMembers(std::shared_ptr<Bequest> leaver, Then then) {
  const std::vector<NodeId> nodes = members(), places = with({State::Member});
  history_.note(What::Members, ++view_, nodes.size(), places.size());
  const auto body = [this, nodes, places, leaver](SimNode& node, Then done) {
    if (leaver && !node.homes.takeOver(leaver->homes)) history_.fail("the homes of moved blocks make no sense");
    node.net.setMembers(nodes, places);
    node.programEnd.membersChanged(leaver ? leaver->end : cluster::EndBequest{});
    if (!leaver) return done();
    const NodeId gone = leaver->node;
    settle(events_, node, gone, node.net.asked(gone), [&node, gone, done] { ping(node, gone, done); });
  };
  callAll(nodes, body, std::move(then));
}

void Launcher::addNode() {
  const NodeId node(uint32_t(members_.size()));
  if (node.value >= World::kNodesMax) return turnIsOver();
  members_[node].state = State::Joining;
  std::vector<NodeId> all = members();
  all.push_back(node);
  tellMembers(nullptr, [this, node, all] {
    network_.carryForLauncher(node, true, [this, node, all] {
      SimNode& fresh = machines_.start(node, all);
      for (const auto& homes : homesLeft_)
        if (!fresh.homes.takeOver(homes)) history_.fail("the homes of moved blocks make no sense");
      network_.carryForLauncher(node, false, [this, node] {
        call(
            node,
            [](SimNode& fresh, Then done) {
              fresh.start();
              done();
            },
            [this, node] {
              members_[node].state = State::Member;
              history_.note(What::Joined, node.value);
              ++joined_;
              renew(node);
              tellMembers(nullptr, [this] { turnIsOver(); });
            });
      });
    });
  });
}

void Launcher::leave(NodeId node) {
  const auto member = members_.find(node);
  if (member == members_.end() || member->second.state != State::Member || with({State::Member}).size() < 2)
    return turnIsOver();
  member->second.state = State::Leaving;
  tellMembers(nullptr, [this, node] {
    std::vector<NodeId> others = members();
    std::erase(others, node);
    const auto settleWith = [this, node](SimNode& other, Then done) {
      settle(events_, other, node, other.net.asked(node), done);
    };
    callAll(others, settleWith, [this, node] { evacuate(node, 0, 0); });
  });
}

void Launcher::evacuate(NodeId node, uint32_t rounds, uint32_t refusals) {
  const std::vector<NodeId> places = with({State::Member});
  if (places.empty() || refusals > 50 * places.size() || rounds > kDrainRoundsMax) return stay(node);
  const NodeId target = places[(movedBytes_ / kDrainBytes + refusals) % places.size()];
  auto moved = std::make_shared<cluster::MoveResult>();
  auto left = std::make_shared<size_t>(0);
  const auto body = [target, moved, left](SimNode& leaver, Then done) {
    *left = leaver.evacuate();
    leaver.space.mover().move(target, kDrainBytes, [moved, done](const cluster::MoveResult& result) {
      *moved = result;
      done();
    });
  };
  call(node, body, [this, node, rounds, refusals, moved, left] {
    movedBytes_ += moved->bytes;
    const bool refused = !moved->refusal.message.empty();
    if (moved->bytes == 0 && moved->revoked == 0 && !refused && *left == 0) return dismiss(node);
    const uint32_t next = refused && moved->bytes == 0 ? refusals + 1 : 0;
    events_.at(kLauncher, moved->bytes > 0 ? 0 : kDrainPause, [=, this] { evacuate(node, rounds + 1, next); });
  });
}

/// It did not get empty.
void Launcher::stay(NodeId node) {
  members_[node].state = State::Member;
  tellMembers(nullptr, [this] { turnIsOver(); });
}

void Launcher::dismiss(NodeId node) {
  auto bequest = std::make_shared<Bequest>();
  bequest->node = node;
  const auto bequeath = [bequest](SimNode& leaver, Then done) {
    bequest->homes = leaver.homes.beliefs();
    bequest->end = leaver.programEnd.bequeath();
    done();
  };
  const auto flush = [](SimNode& leaver, Then done) {
    auto missing = std::make_shared<size_t>(1);
    const auto one = [missing, done] {
      if (--*missing == 0) done();
    };
    for (NodeId peer : leaver.net.nodes()) {
      if (peer == leaver.id()) continue;
      ++*missing;
      ping(leaver, peer, one);
    }
    one();
  };
  call(node, bequeath, [this, node, bequest, flush] {
    homesLeft_.push_back(bequest->homes);
    members_[node].state = State::Gone;
    tellMembers(bequest, [this, node, flush] {
      call(node, flush, [this, node] {
        history_.note(What::Drained, node.value);
        machines_.end(node);
        ++drained_;
        turnIsOver();
      });
    });
  });
}

// ---------------------------------------------------------------- leases

/// On the node's control plane, which goes on while the node stands still.
void Launcher::renew(NodeId node) {
  Member& member = members_[node];
  if (!machines_.node(node) || events_.isDead(node.value)) return;  // its process has ended
  const bool first = member.lastWord == 0;
  if (first) {
    member.lease.renewed(events_.now());
    member.lastWord = std::max<int64_t>(events_.now(), 1);
  }
  if (!network_.isCutFromLauncher(node)) {
    member.lastWord = std::max<int64_t>(events_.now(), 1);
    member.lease.renewed(events_.now());
  }
  const bool wanted = member.lease.at(events_.now()) != Lease::State::Held;
  if (wanted != member.standsStill) {
    member.standsStill = wanted;
    history_.note(What::Frozen, node.value, wanted);
    wanted ? events_.standStill(node.value) : events_.goOn(node.value);
  }
  events_.at(kLauncher, Lease::kRenewalNanos, [this, node] { renew(node); });
}

void Launcher::watch() {
  for (const auto& [node, member] : members_) {
    const bool isMember = member.state == State::Member || member.state == State::Leaving;
    if (!isMember || member.lastWord == 0 || events_.now() - member.lastWord <= Lease::kSilenceNanos) continue;
    if (!member.standsStill && !events_.isDead(node.value))
      history_.fail(fmt::format("node {} counts as lost, and goes on", node.value));
    return machines_.lost(fmt::format("node {} has been silent for {} s", node.value, Lease::kSilenceNanos / kSeconds));
  }
  events_.at(kLauncher, kLeaseCheck, [this] { watch(); });
}

}  // namespace jvmc::sim
