// Nodes that join a running program and leave it: what the steps (cluster/membership/member_changes.h) are over RPC.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cluster/launch/outside_link.h"
#include "cluster/launch/program_run.h"
#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

template <class List>
void putNodes(const std::vector<NodeId>& nodes, List list) {
  for (uint32_t i = 0; i < nodes.size(); ++i) list.set(i, nodes[i].value);
}

Bequest decodeBequest(schema::Bequest::Reader in) {
  const auto homes = in.getHomes();
  return {NodeId(in.getNode()),
          {homes.begin(), homes.end()},
          {in.getCreated(), in.getEnded(), in.getMainEnded(), in.getExitCode()}};
}

void encodeBequest(const Bequest& bequest, schema::Bequest::Builder out) {
  out.setNode(bequest.node.value);
  out.setHomes({bequest.homes.data(), bequest.homes.size()});
  out.setCreated(bequest.end.created);
  out.setEnded(bequest.end.ended);
  out.setMainEnded(bequest.end.mainEnded);
  out.setExitCode(bequest.end.exitCode);
}

}  // namespace

/// Each request to a node is an RPC.
class ProgramRun::MemberRpc final : public MemberPort {
 public:
  explicit MemberRpc(ProgramRun& run) : run_(run) {}

  void setMembers(NodeId node, const MembersView& view, const Bequest* leaver, Done done) override {
    auto request = run_.vm(node.value).setMembersRequest();
    request.setView(view.number);
    putNodes(view.nodes, request.initNodes(uint32_t(view.nodes.size())));
    putNodes(view.places, request.initPlaces(uint32_t(view.places.size())));
    putNodes(view.joining, request.initJoining(uint32_t(view.joining.size())));
    if (leaver) encodeBequest(*leaver, request.initLeaver());
    whenDone(request.send().ignoreResult(), std::move(done));
  }
  void prepare(NodeId node, const std::vector<std::vector<uint8_t>>& homes, Done done) override {
    run_.request_.plan.homes = homes;
    whenDone(run_.prepare(node.value), std::move(done));
  }
  void begin(NodeId node, Done done) override {
    whenDone(run_.vm(node.value).beginRequest().send().ignoreResult(), std::move(done));
  }
  void settle(NodeId node, NodeId with, Done done) override {
    auto request = run_.vm(node.value).settleRequest();
    request.setNode(with.value);
    whenDone(request.send().ignoreResult(), std::move(done));
  }
  void contents(NodeId node, Answer<Contents> answer) override {
    whenAnswered(run_.vm(node.value).infoRequest().send(), std::move(answer), [](auto& response) {
      const NodeView view = decode(response.getInfo());
      return Contents{view.threads, view.heapBytes};
    });
  }
  void evacuate(NodeId node, Answer<Evacuated> answer) override {
    whenAnswered(run_.vm(node.value).evacuateRequest().send(), std::move(answer), [](auto& response) {
      Evacuated evacuated{decode(response.getLeft())};
      for (auto call : response.getCalls()) evacuated.calls.push_back(decode(call));
      return evacuated;
    });
  }
  void takeOverCalls(NodeId node, const std::vector<rt::OutsideCall>& calls, Done done) override {
    auto request = run_.vm(node.value).takeOverCallsRequest();
    auto list = request.initCalls(uint32_t(calls.size()));
    for (uint32_t i = 0; i < calls.size(); ++i) encode(calls[i], list[i]);
    whenDone(request.send().ignoreResult(), std::move(done));
  }
  void moveBlocks(NodeId node, const std::vector<NodeId>& targets, uint64_t bytes,
                  Answer<BlocksMovedView> answer) override {
    auto request = run_.vm(node.value).moveBlocksRequest();
    putNodes(targets, request.initTargets(uint32_t(targets.size())));
    request.setBytes(bytes);
    whenAnswered(request.send(), std::move(answer), [](auto& response) { return decode(response.getMoved()); });
  }
  void bequeath(NodeId node, Answer<Bequest> answer) override {
    whenAnswered(run_.vm(node.value).bequeathRequest().send(), std::move(answer),
                 [](auto& response) { return decodeBequest(response.getBequest()); });
  }
  void flush(NodeId node, Done done) override {
    whenDone(run_.vm(node.value).flushRequest().send().ignoreResult(), std::move(done));
  }
  void dismiss(NodeId node, Done done) override { whenDone(run_.dismiss(node.value), std::move(done)); }

  void forget(NodeId node) override { run_.hangUp(node.value); }
  int64_t now() override { return (run_.loop_.timer().now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS; }
  void after(int64_t nanos, std::function<void()> what) override { run_.loop_.postAfter(nanos, std::move(what)); }
  bool isEnding() override { return run_.ended_ == nullptr; }
  void fail(std::string why) override { run_.end(kExitOwnFailure, std::move(why)); }

 private:
  void whenDone(kj::Promise<void> promise, Done done) {
    run_.loop_.detach(
        promise.then([done] { done(Unit{}); }, [done](kj::Exception&& exception) { done(toError(exception)); }));
  }
  template <class Promise, class T, class Decode>
  void whenAnswered(Promise promise, Answer<T> answer, Decode decode) {
    run_.loop_.detach(promise.then([answer, decode](auto&& response) { answer(decode(response)); },
                                   [answer](kj::Exception&& exception) { answer(toError(exception)); }));
  }

  ProgramRun& run_;
};

std::unique_ptr<MemberPort> ProgramRun::memberPort() {
  return std::make_unique<MemberRpc>(*this);
}

std::vector<uint32_t> ProgramRun::members() const {
  std::vector<uint32_t> ids;
  for (NodeId node : changes_.members()) ids.push_back(node.value);
  return ids;
}

bool ProgramRun::isJoining(uint32_t node) const {
  return !changes_.isKnown(NodeId(node)) || changes_.state(NodeId(node)) == MemberChanges::State::Joining;
}

kj::Promise<uint32_t> ProgramRun::grow(std::string agent) {
  if (state_ != "running") return toException({ErrorCode::kUnavailable, "the program is not running"});
  if (isAlone(request_.plan))
    return toException({ErrorCode::kInvalidInput,
                        "the program was started for one node only: start it with --elastic, or on several nodes"});
  auto paf = kj::newPromiseAndFulfiller<uint32_t>();
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<uint32_t>>>(kj::mv(paf.fulfiller));
  changes_.grow([this, agent = std::move(agent)](NodeId node, MemberPort::Done done) { addNode(node, agent, done); },
                [fulfiller](const Result<NodeId>& node) {
                  node.ok() ? (*fulfiller)->fulfill(uint32_t(node->value))
                            : (*fulfiller)->reject(toException(node.error()));
                });
  return kj::mv(paf.promise);
}

void ProgramRun::agentJoined(const std::string& agent) {
  if (!request_.followsAgents || state_ != "running") return;
  // It may have been here before: two agents that lost each other for a moment join again.
  for (uint32_t i = 0; i < nodes_.size(); ++i)
    if (changes_.state(NodeId(i)) != MemberChanges::State::Gone && !nodes_[i].lost &&
        request_.targets[i].agent == agent)
      return;
  loop_.detach(grow(agent).then(
      [agent](uint32_t node) { spdlog::info("node {} runs on agent {}", node, agent); },
      [agent](kj::Exception&& exception) { spdlog::warn("no node on agent {}: {}", agent, plainText(exception)); }));
}

/// A process for the newcomer, and a connection to it.
void ProgramRun::addNode(NodeId node, const std::string& agent, const MemberPort::Done& done) {
  nodes_.emplace_back();
  request_.targets.emplace_back();
  request_.plan.peers.emplace_back();
  loop_.detach(startNode_(node.value, agent)
                   .then([this, node](RunTarget target) {
                     request_.plan.peers[node.index()] = target.address;
                     request_.targets[node.index()] = std::move(target);
                     return connect(node.value);
                   })
                   .then([done] { done(Unit{}); }, [done](kj::Exception&& exception) { done(toError(exception)); }));
}

/// Forgets a node that is no member; its process ends.
void ProgramRun::hangUp(uint32_t node) {
  nodes_[node].lost = true;
  request_.plan.peers[node].clear();
  loop_.post([this, node] {  // not from within the connection's own event
    nodes_[node].vm = nullptr;
    nodes_[node].connection = nullptr;
  });
}

/// Of a node that has left.
kj::Promise<void> ProgramRun::dismiss(uint32_t node) {
  outcome_.stats.resize(nodes_.size());
  return keepDecisions(node).then([this, node] { return finish(node); }).then([this, node] {
    nodes_[node].threads = 0;
    hangUp(node);
  });
}

}  // namespace jvmc::cluster
