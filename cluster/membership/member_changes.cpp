#include "cluster/membership/member_changes.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "cluster/membership/drain_estimate.h"

namespace jvmc::cluster {

namespace {

constexpr uint64_t kDrainBytes = 64 << 20;       // moved to each node between two looks
constexpr int64_t kDrainPauseNanos = 2'000'000;  // between two looks at a node that is to leave

Error ending() {
  return {ErrorCode::kUnavailable, "the program is ending"};
}

}  // namespace

MemberChanges::MemberChanges(MemberPort& port, uint32_t nodes) : port_(port), members_(nodes) {}

void MemberChanges::begun() {
  for (Member& member : members_) member.state = State::Member;
}

// ---------------------------------------------------------------- who is what

std::vector<NodeId> MemberChanges::with(std::initializer_list<State> states) const {
  std::vector<NodeId> found;
  for (uint32_t i = 0; i < members_.size(); ++i)
    if (std::find(states.begin(), states.end(), members_[i].state) != states.end()) found.emplace_back(i);
  return found;
}

std::vector<NodeId> MemberChanges::members() const {
  return with({State::Member, State::Leaving});
}

std::vector<NodeId> MemberChanges::places() const {
  return with({State::Member});
}

bool MemberChanges::isMember(NodeId node) const {
  return isKnown(node) && (state(node) == State::Member || state(node) == State::Leaving);
}

// ---------------------------------------------------------------- steps in general

/// The next step if this one was done.
template <class T>
MemberPort::Answer<T> MemberChanges::next(Failed failed, std::function<void(T)> then) {
  return [failed = std::move(failed), then = std::move(then)](Result<T> answer) {
    answer.ok() ? then(std::move(*answer)) : failed(answer.error());
  };
}

MemberPort::Done MemberChanges::next(Failed failed, Then then) {
  return next<Unit>(std::move(failed), [then = std::move(then)](Unit) { then(); });
}

void MemberChanges::inTurn(Then change) {
  waiting_.push_back(std::move(change));
  if (!std::exchange(isBusy_, true)) turnIsOver();
}

void MemberChanges::turnIsOver() {
  isBusy_ = !waiting_.empty();
  if (!isBusy_) return;
  const Then change = std::move(waiting_.front());
  waiting_.pop_front();
  change();
}

/// Done when all have answered; with the first error if there was one.
void MemberChanges::askAll(const std::vector<NodeId>& nodes, const std::function<void(NodeId, MemberPort::Done)>& ask,
                           MemberPort::Done done) {
  struct Tally {
    size_t missing;
    MemberPort::Done done;
    Result<Unit> outcome = Unit{};
  };
  if (nodes.empty()) return done(Unit{});
  auto tally = std::make_shared<Tally>(Tally{nodes.size(), std::move(done)});
  for (NodeId node : nodes)
    ask(node, [tally](Result<Unit> answer) {
      if (!answer.ok() && tally->outcome.ok()) tally->outcome = std::move(answer);
      if (--tally->missing == 0) tally->done(std::move(tally->outcome));
    });
}

/// Tells all members who belongs to the program now.
void MemberChanges::tellMembers(const Bequest* leaver, MemberPort::Done done) {
  if (port_.isEnding()) return done(ending());
  MembersView view{++view_, members(), places(), {}};
  for (NodeId node : with({State::Joining}))
    if (!members_[node.index()].lost) view.joining.push_back(node);
  askAll(
      view.nodes, [&](NodeId node, MemberPort::Done told) { port_.setMembers(node, view, leaver, std::move(told)); },
      std::move(done));
}

// ---------------------------------------------------------------- joining

void MemberChanges::grow(StartProcess start, MemberPort::Answer<NodeId> done) {
  inTurn([this, start = std::move(start), done = std::move(done)] {
    addNode(start, [this, done](Result<NodeId> node) {
      done(std::move(node));
      turnIsOver();
    });
  });
}

void MemberChanges::addNode(const StartProcess& start, const MemberPort::Answer<NodeId>& done) {
  const NodeId node(uint32_t(members_.size()));
  if (node.value >= rt::kNodesMax)
    return done(Error{ErrorCode::kUnavailable,
                      fmt::format("a program has at most {} nodes, those that have left included", rt::kNodesMax)});
  if (port_.isEnding()) return done(ending());
  members_.emplace_back();
  const Failed failed = [this, node, done](const Error& error) {
    if (port_.isEnding()) return done(ending());
    spdlog::warn("node {} could not join: {}", node.value, error.message);
    members_[node.index()].lost = true;
    port_.forget(node);
    tellMembers(nullptr, [done, error](const Result<Unit>&) { done(error); });
  };
  start(node, next(failed, [this, node, failed, done] { takeIn(node, failed, [done, node] { done(node); }); }));
}

/// The newcomer calls all others, which must expect it; then it begins; then all give it work.
void MemberChanges::takeIn(NodeId node, const Failed& failed, const Then& then) {
  const auto join = [this, node, failed, then] {
    if (members_[node.index()].lost) return failed({ErrorCode::kUnavailable, "its process has ended"});
    members_[node.index()].state = State::Member;
    spdlog::info("node {} has joined", node.value);
    tellMembers(nullptr, next(failed, then));
  };
  const auto begin = [this, node, failed, join] { port_.begin(node, next(failed, join)); };
  tellMembers(nullptr,
              next(failed, [this, node, failed, begin] { port_.prepare(node, homesLeft_, next(failed, begin)); }));
}

// ---------------------------------------------------------------- leaving

Result<DrainView> MemberChanges::drain(NodeId node, bool begin, int64_t deadlineNanos) {
  const auto known = drains_.find(node);
  if (known != drains_.end() && (!begin || known->second.view.state != "stays")) {
    Drain& drain = known->second;
    if (drain.view.state == "leaving") drain.view.nanos = port_.now() - drain.begunNanos;
    return drain.view;
  }
  if (!isMember(node)) return Error{ErrorCode::kNotFound, fmt::format("there is no node {}", node.value)};
  if (!begin) return Error{ErrorCode::kNotFound, fmt::format("node {} was not told to leave", node.value)};
  if (port_.isEnding()) return Error{ErrorCode::kUnavailable, "the program is not running"};
  const DrainView view{"leaving", {}, 0, 0, "", 0};
  drains_.insert_or_assign(node, Drain{view, port_.now(), deadlineNanos});
  inTurn([this, node] { leave(node); });
  return view;
}

/// Empties the node while the program goes on.
void MemberChanges::leave(NodeId node) {
  if (port_.isEnding()) return turnIsOver();
  members_[node.index()].state = State::Leaving;
  const Failed failed = [this, node](const Error& error) { couldNotLeave(node, error.message); };
  const auto empty = [this, node](const MemberPort::Contents& contents) {
    estimate(node, contents);
    evacuate(node, 0);
  };
  const auto look = [this, node, failed, empty] { port_.contents(node, next<MemberPort::Contents>(failed, empty)); };
  tellMembers(nullptr, next(failed, [this, node, failed, look] { settleOthers(node, next(failed, look)); }));
}

/// Done when all that was on its way to the node before has arrived.
void MemberChanges::settleOthers(NodeId node, MemberPort::Done done) {
  std::vector<NodeId> others = members();
  std::erase(others, node);
  askAll(
      others, [this, node](NodeId other, MemberPort::Done settled) { port_.settle(other, node, std::move(settled)); },
      std::move(done));
}

void MemberChanges::estimate(NodeId node, const MemberPort::Contents& contents) {
  Drain& drain = drains_.at(node);
  drain.view.estimatedNanos = estimateDrainNanos(contents.threads, contents.bytes);
  const double needed = double(drain.view.estimatedNanos) / 1e9, given = double(drain.deadlineNanos) / 1e9;
  spdlog::info("node {} leaves: {} threads, {:.1f} MiB, about {:.2f} s", node.value, contents.threads,
               double(contents.bytes) / (1 << 20), needed);
  if (given > 0 && needed > given)
    spdlog::warn("node {} will probably not get empty in {:.1f} s: it needs about {:.1f} s", node.value, given, needed);
}

/// Again and again, until nothing is left. `refusals`: how many nodes in a row took no blocks.
void MemberChanges::evacuate(NodeId node, uint32_t refusals) {
  Drain& drain = drains_.at(node);
  const std::vector<NodeId> places = this->places();
  if (places.empty()) return couldNotLeave(node, "there is no node left to take what is here");
  const int64_t spent = port_.now() - drain.begunNanos;
  if (drain.deadlineNanos > 0 && spent > drain.deadlineNanos)
    return couldNotLeave(node, fmt::format("after {:.1f} s there were left: {} threads, {} calls of the outside{}",
                                           double(spent) / 1e9, drain.view.left.threads, drain.view.left.outsideCalls,
                                           drain.view.left.nothing() ? ", and objects" : ""));
  if (refusals > places.size()) return couldNotLeave(node, "no node has room for its objects");
  const Failed failed = [this, node](const Error& error) { couldNotLeave(node, error.message); };
  const auto look = [this, node, refusals](const BlocksMovedView& blocks) { moved(node, refusals, blocks); };
  const auto move = [this, node, places, failed, look] {
    port_.moveBlocks(node, places, kDrainBytes * places.size(), next<BlocksMovedView>(failed, look));
  };
  const NodeId heir = places[drain.view.movedBytes / kDrainBytes % places.size()];
  const auto takeCalls = [this, node, heir, failed, move](const MemberPort::Evacuated& evacuated) {
    drains_.at(node).view.left = evacuated.left;
    if (evacuated.calls.empty()) return move();
    port_.takeOverCalls(heir, evacuated.calls, next(failed, move));
  };
  port_.evacuate(node, next<MemberPort::Evacuated>(failed, takeCalls));
}

void MemberChanges::moved(NodeId node, uint32_t refusals, const BlocksMovedView& moved) {
  DrainView& view = drains_.at(node).view;
  view.movedBytes += moved.bytes;
  const bool noBlocks = moved.bytes == 0 && moved.revoked == 0 && moved.refusal.empty();
  if (noBlocks && view.left.nothing()) return takeLeave(node);
  const uint32_t refused = moved.refusal.empty() || moved.bytes > 0 ? 0 : refusals + 1;
  port_.after(moved.bytes > 0 ? 0 : kDrainPauseNanos, [this, node, refused] { evacuate(node, refused); });
}

/// Nothing is left on the node.
void MemberChanges::takeLeave(NodeId node) {
  const Failed failed = [this, node](const Error& error) { couldNotLeave(node, error.message); };
  const auto over = [this, node] {
    spdlog::info("node {} has left", node.value);
    drainIsOver(node, "left");
  };
  const auto dismiss = [this, node, failed, over] { port_.dismiss(node, next(failed, over)); };
  const auto flush = [this, node, failed, dismiss] { port_.flush(node, next(failed, dismiss)); };
  const auto go = [this, node, failed, flush](const Bequest& bequest) {
    homesLeft_.push_back(bequest.homes);
    members_[node.index()].state = State::Gone;
    tellMembers(&bequest, next(failed, flush));
  };
  port_.bequeath(node, next<Bequest>(failed, go));
}

void MemberChanges::couldNotLeave(NodeId node, const std::string& why) {
  drains_.at(node).view.reason = why;
  if (port_.isEnding()) return drainIsOver(node, "leaving");
  if (state(node) == State::Gone) {
    // The others go on without it, but something it was to pass on may be lost.
    port_.fail(fmt::format("node {} failed while it left: {}", node.value, why));
    return drainIsOver(node, "leaving");
  }
  spdlog::warn("node {} stays: {}", node.value, why);
  members_[node.index()].state = State::Member;
  tellMembers(nullptr, [this, node](const Result<Unit>&) { drainIsOver(node, "stays"); });
}

void MemberChanges::drainIsOver(NodeId node, const char* state) {
  Drain& drain = drains_.at(node);
  drain.view.state = state;
  drain.view.nanos = port_.now() - drain.begunNanos;
  turnIsOver();
}

}  // namespace jvmc::cluster
