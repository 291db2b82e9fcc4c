#include "cluster/launch/program_run.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "cluster/launch/outside_link.h"
#include "cluster/launch/views_codec.h"
#include "cluster/membership/drain_estimate.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

constexpr auto kFinishTime = 5 * kj::SECONDS;       // for a node to stop its threads and report
constexpr auto kCommandTime = 5 * kj::SECONDS;      // for a node to answer a question
constexpr auto kInspectTime = 12 * kj::SECONDS;     // for one that counts its objects, or collects first
constexpr uint64_t kDrainBytes = 64 << 20;          // moved to one node before it is the next one's turn
constexpr auto kDrainPause = 2 * kj::MILLISECONDS;  // between two looks at a node that is to leave
constexpr auto kLeaseCheck = 1 * kj::SECONDS;
constexpr auto kSilence = 20 * kj::SECONDS;          // of a node on another machine: then it is lost
constexpr auto kExitGrace = 200 * kj::MILLISECONDS;  // between a lost connection and the word how the process ended

/// The promise, or nothing if it fails or takes too long.
template <class T>
kj::Promise<kj::Maybe<T>> orNothing(kj::Timer& timer, kj::Duration time, kj::Promise<T> promise) {
  return timer.timeoutAfter(time, kj::mv(promise))
      .then([](T value) -> kj::Maybe<T> { return kj::mv(value); },
            [](kj::Exception&&) -> kj::Maybe<T> { return nullptr; });
}

template <class T>
std::vector<T> present(kj::Array<kj::Maybe<std::vector<T>>> parts) {
  std::vector<T> all;
  for (auto& part : parts) {
    KJ_IF_MAYBE (some, part) all.insert(all.end(), some->begin(), some->end());
  }
  return all;
}

constexpr uint32_t kWhereItIs = ~uint32_t(0);

/// Each node was asked whether it has the thread.
kj::Promise<void> anyFound(kj::Array<kj::Promise<bool>> asks, uint64_t thread) {
  return kj::joinPromises(kj::mv(asks)).then([thread](kj::Array<bool> found) -> kj::Promise<void> {
    for (bool one : found)
      if (one) return kj::READY_NOW;
    return toException({ErrorCode::kNotFound, fmt::format("there is no thread {}", thread)});
  });
}

}  // namespace

// ---------------------------------------------------------------- what nodes call

class ProgramRun::LauncherServer final : public schema::Launcher::Server {
 public:
  LauncherServer(ProgramRun& run, uint32_t node) : run_(run), node_(node) {}

  kj::Promise<void> outside(OutsideContext context) override {
    auto call = decode(context.getParams().getCall());
    context.releaseParams();
    return run_.outside_.call(std::move(call)).then([context](rt::OutsideResult result) mutable {
      encode(result, context.getResults().initResult());
    });
  }

  kj::Promise<void> programEnded(ProgramEndedContext context) override {
    run_.end(context.getParams().getExitCode() & 0xFF, "");
    return kj::READY_NOW;
  }

  kj::Promise<void> uncaught(UncaughtContext context) override {
    std::fprintf(stderr, "%s\n", context.getParams().getReport().cStr());
    return kj::READY_NOW;
  }

  kj::Promise<void> peerLost(PeerLostContext context) override {
    uint32_t lost = context.getParams().getNode();
    std::string reason = context.getParams().getReason().cStr();
    if (run_.nodes_[node_].state == Node::State::Gone) return kj::READY_NOW;
    if (run_.state_ == "running" && run_.nodes_[node_].state == Node::State::Joining) {
      run_.nodes_[node_].lost = true;  // it cannot become a member
      return kj::READY_NOW;
    }
    spdlog::debug("node {} has lost node {}: {}", node_, lost, reason);
    if (lost >= run_.nodes_.size() || run_.ended_ == nullptr) return kj::READY_NOW;
    // If the process has died, its own end says more; give that a moment.
    run_.loop_.detach(run_.loop_.timer().afterDelay(2 * kExitGrace).then([&run = run_, from = node_, lost, reason] {
      run.loseNode(lost, fmt::format("cannot be reached by node {} any more ({})", from, reason));
    }));
    return kj::READY_NOW;
  }

  kj::Promise<void> alive(AliveContext context) override {
    auto params = context.getParams();
    Node& node = run_.nodes_[node_];
    node.threads = params.getThreads();
    node.threadNames.clear();
    for (auto name : params.getNames()) node.threadNames.emplace_back(name.cStr());
    return kj::READY_NOW;
  }

  kj::Promise<void> renewLease(RenewLeaseContext) override {
    run_.nodes_[node_].lastWord = run_.loop_.timer().now();
    return kj::READY_NOW;
  }

  kj::Promise<void> fatal(FatalContext context) override {
    run_.end(kExitOwnFailure, fmt::format("node {}: {}", node_, context.getParams().getReason().cStr()));
    return kj::READY_NOW;
  }

 private:
  ProgramRun& run_;
  uint32_t node_;
};

// ---------------------------------------------------------------- start

ProgramRun::ProgramRun(IoLoop& loop, Credentials credentials, RunRequest request, OutsideService& outside,
                       StartNode startNode)
    : loop_(loop),
      credentials_(std::move(credentials)),
      request_(std::move(request)),
      outside_(outside),
      startNode_(std::move(startNode)),
      nodes_(request_.targets.size()),
      startedUnixMillis_(
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()),
      begunAt_(loop.timer().now()) {
  for (auto& target : request_.targets) request_.plan.peers.push_back(target.address);
  auto paf = kj::newPromiseAndFulfiller<void>();
  end_ = kj::mv(paf.promise);
  ended_ = kj::mv(paf.fulfiller);
  changes_ = kj::Promise<void>(kj::READY_NOW).fork();
}

ProgramRun::~ProgramRun() noexcept(false) = default;

kj::Promise<void> ProgramRun::connect(uint32_t node) {
  auto address = Address::parse(request_.targets[node].address);
  if (!address.ok()) return toException(address.error());
  HelloInfo self;
  self.role = Role::Launcher;
  self.program = request_.program;
  return callPeer(loop_, *address, credentials_, self, kj::heap<LauncherServer>(*this, node))
      .then([this, node](kj::Own<RpcConnection> connection) {
        nodes_[node].vm = connection->peer().castAs<schema::VmProcess>();
        nodes_[node].connection = kj::mv(connection);
        loop_.detach(nodes_[node].connection->onDisconnect().then(
            [this, node] { connectionLost(node); }, [this, node](kj::Exception&&) { connectionLost(node); }));
      });
}

kj::Promise<void> ProgramRun::prepare(uint32_t node) {
  auto request = vm(node).prepareRequest(capnp::MessageSize{request_.plan.module.size() / 8 + 256, 0});
  encode(request_.plan, request.initRequest());
  return request.send().ignoreResult();
}

kj::Promise<void> ProgramRun::startAll() {
  auto connects = kj::heapArrayBuilder<kj::Promise<void>>(nodes_.size());
  for (uint32_t i = 0; i < nodes_.size(); ++i) connects.add(connect(i));
  return kj::joinPromises(connects.finish())
      .then([this] {
        spdlog::info("connected to {} nodes", nodes_.size());
        auto prepares = kj::heapArrayBuilder<kj::Promise<void>>(nodes_.size());
        for (uint32_t i = 0; i < nodes_.size(); ++i) prepares.add(prepare(i));
        return kj::joinPromises(prepares.finish());
      })
      .then([this] {
        spdlog::info("all nodes are ready");
        auto begins = kj::heapArrayBuilder<kj::Promise<void>>(nodes_.size() - 1);
        for (uint32_t i = 1; i < nodes_.size(); ++i) begins.add(vm(i).beginRequest().send().ignoreResult());
        return kj::joinPromises(begins.finish());
      })
      .then([this] {
        state_ = "running";
        for (Node& node : nodes_) node.state = Node::State::Member;
        begunAt_ = loop_.timer().now();
        watchLeases();
        return vm(0).beginRequest().send().ignoreResult();
      });
}

// ---------------------------------------------------------------- end

kj::Promise<RunOutcome> ProgramRun::run() {
  auto started = startAll().catch_([this](kj::Exception&& exception) {
    Error error = toError(exception);
    // A node that is lost says more by its exit than by its broken connection.
    auto wait = error.code == ErrorCode::kUnavailable ? loop_.timer().afterDelay(2 * kExitGrace)
                                                      : kj::Promise<void>(kj::READY_NOW);
    return wait.then([this, error = std::move(error)] {
      int code = error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kCorrupt ? kExitCannotInvoke
                                                                                             : kExitOwnFailure;
      end(code, error.message);
    });
  });
  loop_.detach(kj::mv(started));
  return kj::mv(end_).then([this] { return finishAll(); });
}

void ProgramRun::end(int exitCode, std::string error) {
  KJ_IF_MAYBE (fulfiller, ended_) {
    spdlog::info("the program ends with code {}{}{}", exitCode, error.empty() ? "" : ": ", error);
    state_ = "ending";
    outcome_.exitCode = exitCode;
    outcome_.error = std::move(error);
    outcome_.wallNanos = (loop_.timer().now() - begunAt_) / kj::NANOSECONDS;
    (*fulfiller)->fulfill();
    ended_ = nullptr;
  }
}

kj::Promise<RunOutcome> ProgramRun::finishAll() {
  outside_.close();
  outcome_.stats.resize(nodes_.size());
  auto finishes = kj::heapArrayBuilder<kj::Promise<void>>(nodes_.size());
  for (uint32_t i = 0; i < nodes_.size(); ++i) finishes.add(finish(i));
  return kj::joinPromises(finishes.finish()).then([this] {
    state_ = "over";
    for (auto& node : nodes_) node.connection = nullptr;  // the processes end
    return std::move(outcome_);
  });
}

kj::Promise<void> ProgramRun::finish(uint32_t node) {
  if (nodes_[node].lost || nodes_[node].vm == nullptr || !outcome_.stats[node].empty()) return kj::READY_NOW;
  return orNothing(loop_.timer(), kFinishTime, vm(node).finishRequest().send().then([](auto response) {
           return std::string(response.getStats().cStr());
         }))
      .then([this, node](kj::Maybe<std::string> stats) {
        KJ_IF_MAYBE (text, stats)
          outcome_.stats[node] = *text;
        else
          spdlog::debug("node {} did not finish", node);
      });
}

void ProgramRun::connectionLost(uint32_t node) {
  if (ended_ == nullptr) return;
  loop_.detach(
      loop_.timer().afterDelay(kExitGrace).then([this, node] { loseNode(node, "cannot be reached any more"); }));
}

/// A machine that is gone closes no connection. Long before it counts as lost here it stands still (vm_process.cpp).
void ProgramRun::watchLeases() {
  if (ended_ == nullptr) return;
  const kj::TimePoint now = loop_.timer().now();
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const bool remote =
        !request_.targets[i].agent.empty() && isMember(i) && nodes_[i].lastWord > kj::origin<kj::TimePoint>();
    if (remote && now - nodes_[i].lastWord > kSilence)
      loseNode(i, fmt::format("has been silent for {} s", kSilence / kj::SECONDS));
  }
  loop_.detach(loop_.timer().afterDelay(kLeaseCheck).then([this] { watchLeases(); }));
}

void ProgramRun::nodeEnded(uint32_t node, const std::string& how) {
  loseNode(node, how);
}

void ProgramRun::loseNode(uint32_t index, const std::string& how) {
  Node& node = nodes_[index];
  if (node.lost || ended_ == nullptr) return;
  node.lost = true;
  // Nothing is on it yet, or any more; whoever takes it in notices.
  if (state_ == "running" && node.state == Node::State::Joining) return;
  if (node.state == Node::State::Gone) return;
  std::string names;
  for (auto& name : node.threadNames) names += (names.empty() ? "" : ", ") + name;
  if (node.threads > node.threadNames.size()) names += ", ...";
  std::string lost = state_ != "running" ? "the program had not started"
                     : node.threads == 0 ? "no thread, but all objects whose home it was"
                                         : fmt::format("{} thread{} ({}) and all objects whose home it was",
                                                       node.threads, node.threads == 1 ? "" : "s", names);
  end(kExitOwnFailure, fmt::format("node {} (process {}) {}; lost with it: {}; the program cannot go on", index,
                                   request_.targets[index].pid, how, lost));
}

// ---------------------------------------------------------------- members

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

// ---------------------------------------------------------------- commands

class ProgramRun::ControlServer final : public schema::Control::Server {
 public:
  explicit ControlServer(ProgramRun& run) : run_(run) {}

  kj::Promise<void> programs(ProgramsContext context) override {
    encode(run_.describe(), context.getResults().initPrograms(1)[0]);
    return kj::READY_NOW;
  }

  kj::Promise<void> nodes(NodesContext context) override {
    check(context.getParams().getProgram());
    return run_.nodeViews().then([context](std::vector<NodeView> views) mutable {
      encodeList(views, context.getResults().initNodes(uint32_t(views.size())));
    });
  }

  kj::Promise<void> threads(ThreadsContext context) override {
    check(context.getParams().getProgram());
    return run_.threadViews().then([context](std::vector<ThreadView> views) mutable {
      encodeList(views, context.getResults().initThreads(uint32_t(views.size())));
    });
  }

  kj::Promise<void> inspect(InspectContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    return run_.inspect(params.getClasses(), params.getCollect(), params.getCountersOnly())
        .then([context](std::vector<std::string> reports) mutable {
          auto out = context.getResults().initReports(uint32_t(reports.size()));
          for (uint32_t i = 0; i < reports.size(); ++i) out.set(i, reports[i]);
        });
  }

  kj::Promise<void> observe(ObserveContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    return run_.observe(params.getRequest().cStr()).then([context](std::vector<std::string> reports) mutable {
      auto out = context.getResults().initReports(uint32_t(reports.size()));
      for (uint32_t i = 0; i < reports.size(); ++i) out.set(i, reports[i]);
    });
  }

  kj::Promise<void> migrate(MigrateContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    return run_.migrate(params.getThread(), params.getNode());
  }

  kj::Promise<void> pin(PinContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    return run_.pin(params.getThread(), params.getPinned(), params.getMoves() ? params.getNode() : kWhereItIs);
  }

  kj::Promise<void> decisions(DecisionsContext context) override {
    check(context.getParams().getProgram());
    return run_.decisions().then([this, context](std::vector<DecisionView> decisions) mutable {
      auto results = context.getResults();
      results.setPolicy(run_.request_.plan.balance);
      results.setDryRun(run_.request_.plan.balanceDryRun);
      encodeList(decisions, results.initDecisions(uint32_t(decisions.size())));
    });
  }

  kj::Promise<void> moveBlocks(MoveBlocksContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    return run_.moveBlocks(params.getSource(), params.getTarget(), params.getBytes())
        .then([context](BlocksMovedView moved) mutable { encode(moved, context.getResults().initMoved()); });
  }

  kj::Promise<void> stop(StopContext context) override {
    check(context.getParams().getProgram());
    context.getResults().setId(run_.request_.program);
    run_.loop_.postAfter(0, [&run = run_] { run.end(kExitSignal + SIGTERM, "stopped by a command"); });
    return kj::READY_NOW;
  }

  kj::Promise<void> grow(GrowContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    return run_.grow(params.getAgent().cStr()).then([context](uint32_t node) mutable {
      context.getResults().setNode(node);
    });
  }

  kj::Promise<void> agentJoined(AgentJoinedContext context) override {
    run_.agentJoined(context.getParams().getAgent().cStr());
    return kj::READY_NOW;
  }

  kj::Promise<void> drain(DrainContext context) override {
    auto params = context.getParams();
    check(params.getProgram());
    auto view = run_.drain(params.getNode(), params.getBegin(), params.getDeadlineNanos());
    if (!view.ok()) return toException(view.error());
    encode(*view, context.getResults().initDrain());
    return kj::READY_NOW;
  }

  kj::Promise<void> agents(AgentsContext context) override { return kj::READY_NOW; }

 private:
  void check(capnp::Text::Reader program) {
    if (!run_.request_.program.starts_with(program.cStr()))
      kj::throwFatalException(
          toException({ErrorCode::kNotFound, fmt::format("no program '{}' runs here", program.cStr())}));
    if (run_.state_ == "starting")
      kj::throwFatalException(toException({ErrorCode::kUnavailable, "the program is still starting"}));
  }

  ProgramRun& run_;
};

schema::Control::Client ProgramRun::control() {
  return kj::heap<ControlServer>(*this);
}

ProgramView ProgramRun::describe() const {
  ProgramView view{request_.program,   request_.name,     state_, uint32_t(members().size()), 0,
                   startedUnixMillis_, uint32_t(getpid())};
  for (auto& node : nodes_) view.threads += node.threads;
  return view;
}

kj::Promise<std::vector<NodeView>> ProgramRun::nodeViews() {
  kj::Vector<kj::Promise<kj::Maybe<std::vector<NodeView>>>> asks;
  for (uint32_t i : members())
    asks.add(orNothing(loop_.timer(), kCommandTime, vm(i).infoRequest().send().then([this, i](auto response) {
      NodeView view = decode(response.getInfo());
      if (nodes_[i].state == Node::State::Leaving) view.state = "leaving";
      return std::vector<NodeView>{std::move(view)};
    })));
  return kj::joinPromises(asks.releaseAsArray()).then([](auto parts) { return present(kj::mv(parts)); });
}

kj::Promise<std::vector<ThreadView>> ProgramRun::threadViews() {
  kj::Vector<kj::Promise<kj::Maybe<std::vector<ThreadView>>>> asks;
  for (uint32_t i : members())
    asks.add(orNothing(loop_.timer(), kCommandTime, vm(i).threadsRequest().send().then([](auto response) {
      return decodeList<ThreadView>(response.getThreads());
    })));
  return kj::joinPromises(asks.releaseAsArray()).then([](auto parts) { return present(kj::mv(parts)); });
}

kj::Promise<std::vector<std::string>> ProgramRun::inspect(uint32_t classes, bool collect, bool countersOnly) {
  kj::Vector<kj::Promise<kj::Maybe<std::vector<std::string>>>> asks;
  for (uint32_t i : members()) {
    auto request = vm(i).inspectRequest();
    request.setClasses(classes);
    request.setCollect(collect);
    request.setCountersOnly(countersOnly);
    asks.add(orNothing(loop_.timer(), kInspectTime, request.send().then([](auto response) {
      return std::vector<std::string>{response.getReport().cStr()};
    })));
  }
  return kj::joinPromises(asks.releaseAsArray()).then([](auto parts) { return present(kj::mv(parts)); });
}

/// A node that is gone by the time it should answer is left out; a request that a node refuses fails.
kj::Promise<std::vector<std::string>> ProgramRun::observe(const std::string& text) {
  kj::Vector<kj::Promise<kj::Maybe<std::vector<std::string>>>> asks;
  for (uint32_t i : members()) {
    auto request = vm(i).observeRequest();
    request.setRequest(text);
    auto answer = request.send().then(
        [](auto response) -> kj::Maybe<std::vector<std::string>> {
          return std::vector<std::string>{response.getReport().cStr()};
        },
        [](kj::Exception&& exception) -> kj::Maybe<std::vector<std::string>> {
          if (toError(exception).code != ErrorCode::kUnavailable) kj::throwFatalException(kj::mv(exception));
          return nullptr;
        });
    asks.add(loop_.timer().timeoutAfter(kInspectTime, kj::mv(answer)));
  }
  return kj::joinPromises(asks.releaseAsArray()).then([](auto parts) { return present(kj::mv(parts)); });
}

kj::Promise<BlocksMovedView> ProgramRun::moveBlocks(uint32_t source, uint32_t target, uint64_t bytes) {
  for (uint32_t node : {source, target})
    if (!isMember(node)) return toException({ErrorCode::kNotFound, fmt::format("there is no node {}", node)});
  if (source == target) return toException({ErrorCode::kInvalidInput, "the blocks are on that node already"});
  auto request = vm(source).moveBlocksRequest();
  request.setTarget(target);
  request.setBytes(bytes);
  return request.send().then([](auto response) { return decode(response.getMoved()); });
}

kj::Promise<void> ProgramRun::migrate(uint64_t thread, uint32_t target) {
  if (!isMember(target)) return toException({ErrorCode::kNotFound, fmt::format("there is no node {}", target)});
  kj::Vector<kj::Promise<bool>> asks;
  for (uint32_t i : members()) {
    auto request = vm(i).migrateRequest();
    request.setThread(thread);
    request.setTarget(target);
    asks.add(request.send().then([](auto response) { return bool(response.getFound()); }));
  }
  return anyFound(asks.releaseAsArray(), thread);
}

kj::Promise<void> ProgramRun::pin(uint64_t thread, bool pinned, uint32_t target) {
  if (target != kWhereItIs && !isMember(target))
    return toException({ErrorCode::kNotFound, fmt::format("there is no node {}", target)});
  kj::Vector<kj::Promise<bool>> asks;
  for (uint32_t i : members()) {
    auto request = vm(i).pinRequest();
    request.setThread(thread);
    request.setPinned(pinned);
    request.setTarget(target == kWhereItIs ? i : target);
    asks.add(request.send().then([](auto response) { return bool(response.getFound()); }));
  }
  return anyFound(asks.releaseAsArray(), thread);
}

/// Of all nodes: each has what it has decided while it led.
kj::Promise<std::vector<DecisionView>> ProgramRun::decisions() {
  kj::Vector<kj::Promise<kj::Maybe<std::vector<DecisionView>>>> asks;
  for (uint32_t i : members())
    asks.add(orNothing(loop_.timer(), kCommandTime, vm(i).decisionsRequest().send().then([](auto response) {
      return decodeList<DecisionView>(response.getDecisions());
    })));
  return kj::joinPromises(asks.releaseAsArray()).then([](auto parts) {
    std::vector<DecisionView> all = present(kj::mv(parts));
    std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.ageNanos > b.ageNanos; });
    return all;
  });
}

}  // namespace jvmc::cluster
