// Nodes that join a running program and leave it. The order of the steps is explained in docs/internals/membership.md.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cluster/launch/program_run.h"
#include "cluster/launch/views_codec.h"
#include "cluster/membership/drain_estimate.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

constexpr uint64_t kDrainBytes = 64 << 20;          // moved to one node before it is the next one's turn
constexpr auto kDrainPause = 2 * kj::MILLISECONDS;  // between two looks at a node that is to leave

}  // namespace

bool ProgramRun::isJoining(uint32_t node) const {
  return node >= nodes_.size() || nodes_[node].state == Node::State::Joining;
}

std::vector<uint32_t> ProgramRun::members() const {
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < nodes_.size(); ++i)
    if (isMember(i)) all.push_back(i);
  return all;
}

bool ProgramRun::isMember(uint32_t node) const {
  return node < nodes_.size() &&
         (nodes_[node].state == Node::State::Member || nodes_[node].state == Node::State::Leaving);
}

std::vector<uint32_t> ProgramRun::placeIds() const {
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].state == Node::State::Member) all.push_back(i);
  return all;
}

kj::Promise<uint32_t> ProgramRun::grow(std::string agent) {
  if (state_ != "running") return toException({ErrorCode::kUnavailable, "the program is not running"});
  if (isAlone(request_.plan))
    return toException({ErrorCode::kInvalidInput,
                        "the program was started for one node only: start it with --elastic, or on several nodes"});
  return inTurn([this, agent = std::move(agent)]() mutable { return addNode(std::move(agent)); });
}

void ProgramRun::agentJoined(const std::string& agent) {
  if (!request_.followsAgents || state_ != "running") return;
  // It may have been here before: two agents that lost each other for a moment join again.
  for (uint32_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].state != Node::State::Gone && !nodes_[i].lost && request_.targets[i].agent == agent) return;
  loop_.detach(grow(agent).then(
      [agent](uint32_t node) { spdlog::info("node {} runs on agent {}", node, agent); },
      [agent](kj::Exception&& exception) { spdlog::warn("no node on agent {}: {}", agent, plainText(exception)); }));
}

kj::Promise<uint32_t> ProgramRun::inTurn(kj::Function<kj::Promise<uint32_t>()> change) {
  auto done = changes_.addBranch().then([change = kj::mv(change)]() mutable { return change(); }).fork();
  changes_ = done.addBranch().ignoreResult().catch_([](kj::Exception&&) {}).fork();
  loop_.detach(changes_.addBranch());  // it goes on when the one who asked is gone
  return done.addBranch();
}

kj::Promise<uint32_t> ProgramRun::addNode(std::string agent) {
  const uint32_t node = uint32_t(nodes_.size());
  if (node >= rt::kNodesMax)
    return toException({ErrorCode::kUnavailable,
                        fmt::format("a program has at most {} nodes, those that have left included", rt::kNodesMax)});
  if (ended_ == nullptr) return toException({ErrorCode::kUnavailable, "the program is ending"});
  nodes_.emplace_back();
  request_.targets.emplace_back();
  request_.plan.peers.emplace_back();
  return startNode_(node, std::move(agent))
      .then([this, node](RunTarget target) { return takeIn(node, std::move(target)); })
      .then([node] { return kj::Promise<uint32_t>(node); },
            [this, node](kj::Exception&& exception) -> kj::Promise<uint32_t> {
              if (ended_ == nullptr) return toException({ErrorCode::kUnavailable, "the program is ending"});
              spdlog::warn("node {} could not join: {}", node, plainText(exception));
              nodes_[node].lost = true;
              loop_.post([this, node] {  // not from within the connection's own event
                nodes_[node].vm = nullptr;
                nodes_[node].connection = nullptr;
              });
              request_.plan.peers[node].clear();
              return tellMembers().then(
                  [exception = kj::cp(exception)]() mutable -> kj::Promise<uint32_t> { return kj::mv(exception); });
            });
}

/// The newcomer calls all others, which must expect it; then it begins; then all give it work.
kj::Promise<void> ProgramRun::takeIn(uint32_t node, RunTarget target) {
  request_.plan.peers[node] = target.address;
  request_.targets[node] = std::move(target);
  return connect(node)
      .then([this] { return tellMembers(); })
      .then([this, node] { return prepare(node); })
      .then([this, node] { return vm(node).beginRequest().send().ignoreResult(); })
      .then([this, node] {
        if (nodes_[node].lost) kj::throwFatalException(toException({ErrorCode::kUnavailable, "its process has ended"}));
        nodes_[node].state = Node::State::Member;
        spdlog::info("node {} has joined", node);
        return tellMembers();
      });
}

/// Tells all members who belongs to the program now.
kj::Promise<void> ProgramRun::tellMembers(kj::Maybe<schema::Bequest::Reader> leaver) {
  if (ended_ == nullptr) return kj::READY_NOW;
  std::vector<uint32_t> joining;
  for (uint32_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].state == Node::State::Joining && !nodes_[i].lost) joining.push_back(i);
  const auto put = [](const std::vector<uint32_t>& from, auto to) {
    for (uint32_t i = 0; i < from.size(); ++i) to.set(i, from[i]);
  };
  const std::vector<uint32_t> all = members(), places = placeIds();
  ++view_;
  kj::Vector<kj::Promise<void>> told;
  for (uint32_t node : all) {
    auto request = vm(node).setMembersRequest();
    request.setView(view_);
    put(all, request.initNodes(uint32_t(all.size())));
    put(places, request.initPlaces(uint32_t(places.size())));
    put(joining, request.initJoining(uint32_t(joining.size())));
    KJ_IF_MAYBE (bequest, leaver) request.setLeaver(*bequest);
    told.add(request.send().ignoreResult());
  }
  return kj::joinPromises(told.releaseAsArray());
}

Result<DrainView> ProgramRun::drain(uint32_t node, bool begin, int64_t deadlineNanos) {
  const auto known = drains_.find(node);
  if (known != drains_.end() && (!begin || known->second.view.state != "stays")) {
    Drain& drain = known->second;
    if (drain.view.state == "leaving") drain.view.nanos = (loop_.timer().now() - drain.begun) / kj::NANOSECONDS;
    return drain.view;
  }
  if (!isMember(node)) return Error{ErrorCode::kNotFound, fmt::format("there is no node {}", node)};
  if (!begin) return Error{ErrorCode::kNotFound, fmt::format("node {} was not told to leave", node)};
  if (state_ != "running") return Error{ErrorCode::kUnavailable, "the program is not running"};
  const DrainView view{"leaving", {}, 0, 0, "", 0};
  drains_.insert_or_assign(node, Drain{view, loop_.timer().now(), deadlineNanos});
  loop_.detach(inTurn([this, node] { return leave(node).then([node] { return node; }); }).ignoreResult());
  return view;
}

/// Empties the node while the program goes on; the order of the steps is explained in schema/launch.capnp.
kj::Promise<void> ProgramRun::leave(uint32_t node) {
  if (ended_ == nullptr) return kj::READY_NOW;
  nodes_[node].state = Node::State::Leaving;
  return tellMembers()
      .then([this, node] { return settleOthers(node); })
      .then([this, node] { return estimate(node); })
      .then([this, node] { return evacuate(node, 0); })
      .then([this, node] { return dismiss(node); })
      .catch_([this, node](kj::Exception&& exception) -> kj::Promise<void> {
        DrainView& view = drains_.at(node).view;
        view.reason = plainText(exception);
        if (ended_ == nullptr) return kj::READY_NOW;
        if (nodes_[node].state == Node::State::Gone) {
          // The others go on without it, but something it was to pass on may be lost.
          end(kExitOwnFailure, fmt::format("node {} failed while it left: {}", node, view.reason));
          return kj::READY_NOW;
        }
        spdlog::warn("node {} stays: {}", node, view.reason);
        view.state = "stays";
        nodes_[node].state = Node::State::Member;
        return tellMembers();
      })
      .then([this, node] {
        Drain& drain = drains_.at(node);
        drain.view.nanos = (loop_.timer().now() - drain.begun) / kj::NANOSECONDS;
      });
}

/// Completes when all that was on its way to the node before has arrived.
kj::Promise<void> ProgramRun::settleOthers(uint32_t node) {
  kj::Vector<kj::Promise<void>> settled;
  for (uint32_t other : members()) {
    if (other == node) continue;
    auto request = vm(other).settleRequest();
    request.setNode(node);
    settled.add(request.send().ignoreResult());
  }
  return kj::joinPromises(settled.releaseAsArray());
}

kj::Promise<void> ProgramRun::estimate(uint32_t node) {
  return vm(node).infoRequest().send().then([this, node](auto response) {
    const NodeView view = decode(response.getInfo());
    Drain& drain = drains_.at(node);
    drain.view.estimatedNanos = estimateDrainNanos(view.threads, view.heapBytes);
    const double needed = double(drain.view.estimatedNanos) / 1e9, given = double(drain.deadlineNanos) / 1e9;
    spdlog::info("node {} leaves: {} threads, {:.1f} MiB, about {:.2f} s", node, view.threads,
                 double(view.heapBytes) / (1 << 20), needed);
    if (given > 0 && needed > given)
      spdlog::warn("node {} will probably not get empty in {:.1f} s: it needs about {:.1f} s", node, given, needed);
  });
}

/// Again and again, until nothing is left. `refusals`: how many nodes in a row took no blocks.
kj::Promise<void> ProgramRun::evacuate(uint32_t node, uint32_t refusals) {
  Drain& drain = drains_.at(node);
  const std::vector<uint32_t> places = placeIds();
  if (places.empty()) return toException({ErrorCode::kUnavailable, "there is no node left to take what is here"});
  const int64_t spent = (loop_.timer().now() - drain.begun) / kj::NANOSECONDS;
  if (drain.deadlineNanos > 0 && spent > drain.deadlineNanos)
    return toException({ErrorCode::kUnavailable,
                        fmt::format("after {:.1f} s there were left: {} threads, {} calls of the outside{}",
                                    double(spent) / 1e9, drain.view.left.threads, drain.view.left.outsideCalls,
                                    drain.view.left.nothing() ? ", and objects" : "")});
  if (refusals > places.size()) return toException({ErrorCode::kUnavailable, "no node has room for its objects"});
  const uint32_t target = places[(drain.view.movedBytes / kDrainBytes + refusals) % places.size()];
  return vm(node)
      .evacuateRequest()
      .send()
      .then([this, node, target](auto response) {
        drains_.at(node).view.left = decode(response.getLeft());
        auto request = vm(node).moveBlocksRequest();
        request.setTarget(target);
        request.setBytes(kDrainBytes);
        return request.send();
      })
      .then([this, node, refusals](auto response) -> kj::Promise<void> {
        const BlocksMovedView moved = decode(response.getMoved());
        DrainView& view = drains_.at(node).view;
        view.movedBytes += moved.bytes;
        const bool noBlocks = moved.bytes == 0 && moved.revoked == 0 && moved.refusal.empty();
        if (noBlocks && view.left.nothing()) return kj::READY_NOW;
        const uint32_t refused = moved.refusal.empty() || moved.bytes > 0 ? 0 : refusals + 1;
        return loop_.timer()
            .afterDelay(moved.bytes > 0 ? 0 * kj::MILLISECONDS : kDrainPause)
            .then([this, node, refused] { return evacuate(node, refused); });
      });
}

/// Nothing is left on the node.
kj::Promise<void> ProgramRun::dismiss(uint32_t node) {
  return vm(node)
      .bequeathRequest()
      .send()
      .then([this, node](auto response) {
        auto bequest = response.getBequest();
        const auto homes = bequest.getHomes();
        request_.plan.homes.emplace_back(homes.begin(), homes.end());
        request_.plan.peers[node].clear();
        nodes_[node].state = Node::State::Gone;
        return tellMembers(schema::Bequest::Reader(bequest)).attach(kj::mv(response));
      })
      .then([this, node] { return vm(node).flushRequest().send().ignoreResult(); })
      .then([this, node] {
        outcome_.stats.resize(nodes_.size());
        return finish(node);
      })
      .then([this, node] {
        spdlog::info("node {} has left", node);
        drains_.at(node).view.state = "left";
        nodes_[node].threads = 0;
        // Not from within the connection's own event. The process ends.
        loop_.post([this, node] {
          nodes_[node].vm = nullptr;
          nodes_[node].connection = nullptr;
        });
      });
}

}  // namespace jvmc::cluster
