#include "tests/simulator/launcher.h"

#include <fmt/format.h>

namespace jvmc::sim {

using cluster::ControlKind;
using cluster::Lease;

namespace {

constexpr int64_t kSettlePause = 500 * kMicros, kLeaseCheck = kSeconds;

/// `then` when the peer has answered all that it was asked before.
void awaitAnswers(Events& events, MemberNode& node, NodeId peer, uint64_t count, std::function<void()> then) {
  if (node.net.answered(peer, count)) return then();
  node.net.postAfter(kSettlePause,
                     [&events, &node, peer, count, then] { awaitAnswers(events, node, peer, count, then); });
}

void ping(MemberNode& node, NodeId peer, std::function<void()> then) {
  node.control.request(peer, ControlKind::Ping, {}, [then](Result<Bytes> answer) {
    if (answer.ok()) then();
  });
}

}  // namespace

Launcher::Launcher(Events& events, History& history, Network& network, Machines& machines, uint32_t nodes,
                   uint32_t nodesMax)
    : events_(events),
      history_(history),
      network_(network),
      machines_(machines),
      nodesMax_(nodesMax),
      changes_(*this, nodes) {
  changes_.begun();
}

void Launcher::start() {
  for (NodeId node : changes_.members()) renew(node);
  watch();
}

void Launcher::grow() {
  if (changes_.isKnown(NodeId(nodesMax_ - 1))) return;  // as many as there may be
  const auto process = [this](NodeId node, Done done) {
    if (node.value >= nodesMax_) return done(Error{ErrorCode::kUnavailable, "there is no room for it"});
    network_.carryForLauncher(node, true,
                              [this, node, done] { network_.carryForLauncher(node, false, [done] { done(Unit{}); }); });
  };
  changes_.grow(process, [this](const Result<NodeId>& node) {
    if (!node.ok()) return;
    history_.note(What::Joined, node->value);
    ++joined_;
  });
}

void Launcher::drain(NodeId node, int64_t deadlineNanos) {
  // Somebody must be left. A node that stays may be told again.
  if (changes_.places().size() < 2 || !changes_.isMember(node)) return;
  (void)changes_.drain(node, true, deadlineNanos);
}

// ---------------------------------------------------------------- calls

void Launcher::call(NodeId node, Body body, Then then) {
  network_.carryForLauncher(node, true, [this, node, body = std::move(body), then = std::move(then)] {
    MemberNode* there = machines_.node(node);
    if (!there) return;
    body(*there, [this, node, then] { network_.carryForLauncher(node, false, then); });
  });
}

template <class T>
void Launcher::ask(NodeId node, std::function<void(MemberNode&, std::function<void(T)>)> body, Answer<T> answer) {
  auto given = std::make_shared<T>();
  call(
      node,
      [body = std::move(body), given](MemberNode& there, Then done) {
        body(there, [given, done](T value) {
          *given = std::move(value);
          done();
        });
      },
      [given, answer = std::move(answer)] { answer(std::move(*given)); });
}

// ---------------------------------------------------------------- what nodes do, as cluster/launch/vm_process.cpp

void Launcher::setMembers(NodeId node, const cluster::MembersView& view, const cluster::Bequest* leaver, Done done) {
  history_.note(What::Members, view.number, view.nodes.size(), view.places.size());
  const auto left = leaver ? std::make_shared<cluster::Bequest>(*leaver) : nullptr;
  const auto body = [this, view, left](MemberNode& there, Then told) {
    if (left && !there.homes.takeOver(left->homes)) history_.fail("the homes of moved blocks make no sense");
    there.net.setMembers(view.nodes, view.places);
    there.noteMembers();
    there.programEnd.membersChanged(left ? left->end : cluster::EndBequest{});
    if (!left) return told();
    const NodeId gone = left->node;
    awaitAnswers(events_, there, gone, there.net.asked(gone), [&there, gone, told] { ping(there, gone, told); });
  };
  call(node, body, [done] { done(Unit{}); });
}

/// The process begins with this.
void Launcher::prepare(NodeId node, const std::vector<std::vector<uint8_t>>& homes, Done done) {
  std::vector<NodeId> all = changes_.members();
  all.push_back(node);
  network_.carryForLauncher(node, true, [this, node, homes, all, done] {
    MemberNode& fresh = machines_.start(node, all);
    for (const auto& left : homes)
      if (!fresh.homes.takeOver(left)) history_.fail("the homes of moved blocks make no sense");
    network_.carryForLauncher(node, false, [done] { done(Unit{}); });
  });
}

void Launcher::begin(NodeId node, Done done) {
  const auto body = [](MemberNode& fresh, Then begun) {
    fresh.start();
    begun();
  };
  call(node, body, [this, node, done] {
    renew(node);
    done(Unit{});
  });
}

void Launcher::settle(NodeId node, NodeId with, Done done) {
  const auto body = [this, with](MemberNode& there, Then settled) {
    awaitAnswers(events_, there, with, there.net.asked(with), settled);
  };
  call(node, body, [done] { done(Unit{}); });
}

void Launcher::contents(NodeId node, Answer<Contents> answer) {
  ask<Contents>(node, [](MemberNode& there, auto give) { give(Contents{there.threadsHere(), 0}); }, std::move(answer));
}

void Launcher::evacuate(NodeId node, Answer<Evacuated> answer) {
  ask<Evacuated>(node, [](MemberNode& there, auto give) { give(Evacuated{there.evacuate()}); }, std::move(answer));
}

void Launcher::moveBlocks(NodeId node, const std::vector<NodeId>& targets, uint64_t bytes,
                          Answer<cluster::BlocksMovedView> answer) {
  const auto body = [targets, bytes](MemberNode& there, std::function<void(cluster::BlocksMovedView)> give) {
    there.moveBlocks(targets, bytes, [give](const cluster::MoveResult& result) {
      give({result.bytes, result.groups, result.revoked, result.refusal.message});
    });
  };
  ask<cluster::BlocksMovedView>(node, body, std::move(answer));
}

void Launcher::bequeath(NodeId node, Answer<cluster::Bequest> answer) {
  const auto body = [](MemberNode& there, std::function<void(cluster::Bequest)> give) {
    give({there.id(), there.homes.beliefs(), there.programEnd.bequeath()});
  };
  ask<cluster::Bequest>(node, body, std::move(answer));
}

void Launcher::flush(NodeId node, Done done) {
  const auto body = [](MemberNode& leaver, Then flushed) {
    auto missing = std::make_shared<size_t>(1);
    const auto one = [missing, flushed] {
      if (--*missing == 0) flushed();
    };
    for (NodeId peer : leaver.net.nodes()) {
      if (peer == leaver.id()) continue;
      ++*missing;
      ping(leaver, peer, one);
    }
    one();
  };
  call(node, body, [done] { done(Unit{}); });
}

void Launcher::dismiss(NodeId node, Done done) {
  history_.note(What::Drained, node.value);
  machines_.end(node);
  ++drained_;
  done(Unit{});
}

void Launcher::forget(NodeId node) {
  if (machines_.node(node)) machines_.end(node);
}

// ---------------------------------------------------------------- leases

/// On the node's control plane, which goes on while the node stands still.
void Launcher::renew(NodeId node) {
  Watch& watched = watches_[node];
  if (!machines_.node(node) || events_.isDead(node.value)) return;  // its process has ended
  const bool first = watched.lastWord == 0;
  if (first) {
    watched.lease.renewed(events_.now());
    watched.lastWord = std::max<int64_t>(events_.now(), 1);
  }
  if (!network_.isCutFromLauncher(node)) {
    watched.lastWord = std::max<int64_t>(events_.now(), 1);
    watched.lease.renewed(events_.now());
  }
  const bool wanted = watched.lease.at(events_.now()) != Lease::State::Held;
  if (wanted != watched.standsStill) {
    watched.standsStill = wanted;
    history_.note(What::Frozen, node.value, wanted);
    wanted ? events_.standStill(node.value) : events_.goOn(node.value);
  }
  events_.at(kLauncher, Lease::kRenewalNanos, [this, node] { renew(node); });
}

void Launcher::watch() {
  for (const auto& [node, watched] : watches_) {
    if (!changes_.isMember(node) || watched.lastWord == 0 || events_.now() - watched.lastWord <= Lease::kSilenceNanos)
      continue;
    if (!watched.standsStill && !events_.isDead(node.value))
      history_.fail(fmt::format("node {} counts as lost, and goes on", node.value));
    return machines_.lost(fmt::format("node {} has been silent for {} s", node.value, Lease::kSilenceNanos / kSeconds));
  }
  events_.at(kLauncher, kLeaseCheck, [this] { watch(); });
}

}  // namespace jvmc::sim
