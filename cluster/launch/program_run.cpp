#include "cluster/launch/program_run.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdio>

#include "cluster/launch/or_nothing.h"
#include "cluster/launch/outside_link.h"
#include "cluster/launch/views_codec.h"
#include "cluster/membership/lease.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

constexpr auto kFinishTime = 5 * kj::SECONDS;         // for a node to stop its threads and report
constexpr auto kLastWordsTime = 2 * kj::SECONDS;      // for a node to say what nobody has asked it yet
constexpr auto kLastLookTime = 1 * kj::SECONDS;       // for a tool to take that at the end; it comes twice a second
constexpr auto kLastAnswer = 100 * kj::MILLISECONDS;  // for our answer to that tool
constexpr auto kLeaseCheck = 1 * kj::SECONDS;
constexpr auto kExitGrace = 200 * kj::MILLISECONDS;  // between a lost connection and the word how the process ended

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
    if (run_.has(node_, MemberChanges::State::Gone)) return kj::READY_NOW;
    if (run_.state_ == "running" && run_.has(node_, MemberChanges::State::Joining)) {
      run_.nodes_[node_].lost = true;
      run_.changes_.lost(NodeId(node_));  // it cannot become a member
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
      port_(memberPort()),
      changes_(*port_, uint32_t(request_.targets.size())),
      startedUnixMillis_(
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count()),
      begunAt_(loop.timer().now()) {
  for (auto& target : request_.targets) request_.plan.peers.push_back(target.address);
  auto paf = kj::newPromiseAndFulfiller<void>();
  end_ = kj::mv(paf.promise);
  ended_ = kj::mv(paf.fulfiller);
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
        changes_.begun();
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
  return kj::joinPromises(finishes.finish())
      .then([this] {
        state_ = "over";
        return lastWordsTaken();
      })
      .then([this] {
        for (auto& node : nodes_) node.connection = nullptr;  // the processes end
        return outcome_;  // a copy: a node that is just leaving may still have something to say
      });
}

kj::Promise<void> ProgramRun::finish(uint32_t node) {
  if (nodes_[node].lost || nodes_[node].vm == nullptr || !outcome_.stats[node].empty()) return kj::READY_NOW;
  return hearLastWords(node)
      .then([this, node]() -> kj::Promise<kj::Maybe<std::string>> {
        if (nodes_[node].vm == nullptr) return kj::Maybe<std::string>();  // it was dismissed meanwhile
        return orNothing(loop_.timer(), kFinishTime, vm(node).finishRequest().send().then([](auto response) {
          return std::string(response.getStats().cStr());
        }));
      })
      .then([this, node](kj::Maybe<std::string> stats) {
        KJ_IF_MAYBE (text, stats)
          outcome_.stats[node] = *text;
        else
          spdlog::debug("node {} did not finish", node);
      });
}

/// Of a node that is about to end.
kj::Promise<void> ProgramRun::hearLastWords(uint32_t node) {
  kj::Vector<kj::Promise<void>> asks;
  for (const std::string& question : lastWords_.questions(port_->now())) {
    auto request = vm(node).observeRequest();
    request.setRequest(question);
    auto answer = request.send().then([](auto response) { return std::string(response.getReport().cStr()); });
    asks.add(
        orNothing(loop_.timer(), kLastWordsTime, kj::mv(answer)).then([this, question](kj::Maybe<std::string> text) {
          KJ_IF_MAYBE (words, text) lastWords_.keep(question, kj::mv(*words));
        }));
  }
  return kj::joinPromises(asks.releaseAsArray());
}

/// All nodes have ended: who has looked at them has a moment for what they have left.
kj::Promise<void> ProgramRun::lastWordsTaken() {
  if (!lastWords_.any()) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  lastWordsTaken_ = kj::mv(paf.fulfiller);
  return paf.promise.then([this] { return loop_.timer().afterDelay(kLastAnswer); })
      .exclusiveJoin(loop_.timer().afterDelay(kLastLookTime));
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
    if (remote && (now - nodes_[i].lastWord) / kj::NANOSECONDS > Lease::kSilenceNanos)
      loseNode(i, fmt::format("has been silent for {} s", Lease::kSilenceNanos / 1'000'000'000));
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
  changes_.lost(NodeId(index));
  if (state_ == "running" && has(index, MemberChanges::State::Joining)) return;
  if (has(index, MemberChanges::State::Gone)) return;
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

}  // namespace jvmc::cluster
