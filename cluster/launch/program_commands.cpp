// What commands (ps, nodes, threads, migrate, stop, ...) ask of a running program.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "cluster/balance/decision_log.h"
#include "cluster/launch/or_nothing.h"
#include "cluster/launch/program_run.h"
#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

constexpr auto kCommandTime = 5 * kj::SECONDS;   // for a node to answer a question
constexpr auto kInspectTime = 12 * kj::SECONDS;  // for one that counts its objects, or collects first

template <class T>
std::vector<T> present(kj::Array<kj::Maybe<std::vector<T>>> parts) {
  std::vector<T> all;
  for (auto& part : parts) {
    KJ_IF_MAYBE (some, part) all.insert(all.end(), some->begin(), some->end());
  }
  return all;
}

constexpr size_t kDecisionsKept = 1000;  // as many as a node keeps (decision_log.h)

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
      if (has(i, MemberChanges::State::Leaving)) view.state = "leaving";
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

/// A node that is gone by the time it should answer, or does not answer in time, is left out; a request that a node
/// refuses fails. What nodes have left that have ended comes first.
kj::Promise<std::vector<std::string>> ProgramRun::observe(const std::string& text) {
  std::vector<std::string> left = lastWords_.take(text, port_->now());
  if (state_ == "over") {
    if (!lastWords_.any())
      KJ_IF_MAYBE (fulfiller, lastWordsTaken_) (*fulfiller)->fulfill();
    return left;
  }
  kj::Vector<kj::Promise<kj::Maybe<std::vector<std::string>>>> asks;
  asks.add(kj::Maybe<std::vector<std::string>>(std::move(left)));
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
    auto late =
        loop_.timer().afterDelay(kCommandTime).then([]() -> kj::Maybe<std::vector<std::string>> { return nullptr; });
    asks.add(answer.exclusiveJoin(kj::mv(late)));
  }
  return kj::joinPromises(asks.releaseAsArray()).then([](auto parts) { return present(kj::mv(parts)); });
}

kj::Promise<BlocksMovedView> ProgramRun::moveBlocks(uint32_t source, uint32_t target, uint64_t bytes) {
  for (uint32_t node : {source, target})
    if (!isMember(node)) return toException({ErrorCode::kNotFound, fmt::format("there is no node {}", node)});
  if (source == target) return toException({ErrorCode::kInvalidInput, "the blocks are on that node already"});
  auto request = vm(source).moveBlocksRequest();
  request.initTargets(1).set(0, target);
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

/// What the balancer has decided on a node that leaves would go with it. What it had not looked at nobody will.
kj::Promise<void> ProgramRun::keepDecisions(uint32_t node) {
  auto asked = vm(node).decisionsRequest().send().then(
      [](auto response) { return decodeList<DecisionView>(response.getDecisions()); });
  return orNothing(loop_.timer(), kCommandTime, kj::mv(asked)).then([this](kj::Maybe<std::vector<DecisionView>> left) {
    KJ_IF_MAYBE (views, left)
      for (DecisionView& view : *views) {
        if (view.outcome == nameOf(DecisionRecord::Outcome::Pending))
          view.outcome = nameOf(DecisionRecord::Outcome::Unseen);
        decisionsLeft_.push_back({std::move(view), loop_.timer().now()});
      }
    const size_t tooMany = decisionsLeft_.size() - std::min(decisionsLeft_.size(), kDecisionsKept);
    decisionsLeft_.erase(decisionsLeft_.begin(), decisionsLeft_.begin() + ptrdiff_t(tooMany));
  });
}

/// Of all nodes: each has what it has decided while it led.
kj::Promise<std::vector<DecisionView>> ProgramRun::decisions() {
  kj::Vector<kj::Promise<kj::Maybe<std::vector<DecisionView>>>> asks;
  for (uint32_t i : members())
    asks.add(orNothing(loop_.timer(), kCommandTime, vm(i).decisionsRequest().send().then([](auto response) {
      return decodeList<DecisionView>(response.getDecisions());
    })));
  return kj::joinPromises(asks.releaseAsArray()).then([this](auto parts) {
    std::vector<DecisionView> all = present(kj::mv(parts));
    for (const KeptDecision& kept : decisionsLeft_) {
      all.push_back(kept.view);
      all.back().ageNanos += (loop_.timer().now() - kept.keptAt) / kj::NANOSECONDS;
    }
    std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.ageNanos > b.ageNanos; });
    return all;
  });
}

}  // namespace jvmc::cluster
