#include "cluster/launch/agent.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "cluster/dashboard/agent_metrics.h"
#include "cluster/launch/children.h"
#include "cluster/launch/endpoint.h"
#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/rpc_connection.h"
#include "cluster/net/tls_stream.h"
#include "cluster/registry/registry_watch.h"
#include "ir/support/version.h"
#include "schema/agent.capnp.h"

namespace jvmc::cluster {

namespace {

constexpr auto kAskTime = 5 * kj::SECONDS;
constexpr auto kEndPause = 50 * kj::MILLISECONDS;  // between two looks whether a process has ended
constexpr int kEndLooks = 100;
constexpr auto kDrainPause = 5 * kj::MILLISECONDS;  // between two questions how far it is

/// Runs `then` when the connection is lost, for whatever reason.
kj::Promise<void> whenLost(RpcConnection& connection, std::function<void()> then) {
  return connection.onDisconnect().then([then] { then(); }, [then](kj::Exception&&) { then(); });
}

/// Another agent. The connection was made by either side.
struct Peer {
  kj::Own<RpcConnection> connection;
  schema::Agent::Client agent;
};

/// A VM process here.
struct Vm {
  std::string program;
  uint32_t node = 0;
};

/// A program whose launcher is registered here.
struct Program {
  schema::Control::Client control;
};

class Agent {
 public:
  Agent(IoLoop& loop, const AgentOptions& options, Credentials credentials, RuntimeDir dir)
      : loop_(loop), options_(options), credentials_(std::move(credentials)), dir_(std::move(dir)) {}

  Status listen();
  void serveMetrics();
  /// From now on the registry tells of other agents, and others of this one. Fails if it cannot be reached.
  Status enterRegistry();
  kj::Promise<void> join();
  const std::string& address() const { return address_; }
  /// Has all nodes here drained, each until it has left or the time is up; true if all have left.
  kj::Promise<bool> drain();

 private:
  class Server;
  class Handle;
  class Registered;

  schema::Agent::Client newServer(std::shared_ptr<kj::Own<RpcConnection>> incoming);
  void takeCaller(HelloInfo caller, kj::Own<kj::AsyncIoStream> stream);
  void addPeer(const std::string& address, kj::Own<RpcConnection> connection);
  kj::Promise<void> joinAt(std::string text);
  void joinListed(const std::vector<std::string>& addresses);
  AgentView describe() const;
  /// Where this agent and its VM processes may listen.
  Reach reach() const { return credentials_.identity ? Reach::Network : Reach::ThisMachine; }
  kj::Promise<bool> drain(Vm vm);
  kj::Promise<bool> awaitEnd(Vm vm, int looks);
  /// `begin`: the first question, which is the order. `told`: the user knows that it will not fit.
  kj::Promise<bool> awaitDrain(schema::Control::Client control, Vm vm, bool begin, bool told);

  /// Programs of this agent whose id begins with `prefix`, as their launchers describe them.
  kj::Promise<std::vector<ProgramView>> localPrograms();
  kj::Promise<std::vector<ProgramView>> allPrograms();
  /// Who answers for the one program that `prefix` names: its launcher, or the agent where that is registered.
  kj::Promise<schema::Control::Client> controlOf(std::string prefix);

  IoLoop& loop_;
  const AgentOptions& options_;
  Credentials credentials_;
  RuntimeDir dir_;
  std::string address_, host_;
  const std::shared_ptr<std::set<const Handle*>> vms_ = std::make_shared<std::set<const Handle*>>();
  std::map<std::string, kj::Own<Peer>> peers_;                                // by address
  const std::shared_ptr<std::map<std::string, kj::Own<Program>>> programs_ =  // by id
      std::make_shared<std::map<std::string, kj::Own<Program>>>();
  std::vector<std::shared_ptr<kj::Own<RpcConnection>>> callers_;
  kj::Own<Listener> listener_;
  std::optional<AgentMetrics> metrics_;
  std::set<std::string> joining_;                 // listed, being called
  std::unique_ptr<RegistryWatch> registryWatch_;  // first to go: it posts to this object
};

// ---------------------------------------------------------------- capabilities given out

/// Keeps a VM process alive: dropped when its launcher lets go or is lost.
class Agent::Handle final : public schema::VmHandle::Server {
 public:
  Handle(Agent& agent, Vm vm, kj::Own<VmChild> child) : all_(agent.vms_), vm_(std::move(vm)), child_(kj::mv(child)) {
    all_->insert(this);
  }
  ~Handle() noexcept(false) { all_->erase(this); }
  const Vm& vm() const { return vm_; }
  bool running() const { return child_->running(); }
  kj::Promise<void> ended(EndedContext context) override {
    return child_->ended().then([context](std::string how) mutable { context.getResults().setHow(how); });
  }

 private:
  const std::shared_ptr<std::set<const Handle*>> all_;  // the agent may be gone before
  const Vm vm_;
  kj::Own<VmChild> child_;
};

class Agent::Registered final : public schema::Registration::Server {
 public:
  Registered(Agent& agent, std::string program) : all_(agent.programs_), program_(std::move(program)) {}
  ~Registered() noexcept(false) {
    spdlog::info("program {} is gone", program_);
    all_->erase(program_);
  }

 private:
  const std::shared_ptr<std::map<std::string, kj::Own<Program>>> all_;  // the agent may be gone before
  const std::string program_;
};

class Agent::Server final : public schema::Agent::Server {
 public:
  /// `incoming` is the connection this object serves; null on connections that this agent made.
  Server(Agent& agent, std::shared_ptr<kj::Own<RpcConnection>> incoming)
      : agent_(agent), incoming_(std::move(incoming)) {}

  kj::Promise<void> join(JoinContext context) override {
    std::string address = context.getParams().getAddress().cStr();
    if (!incoming_ || !incoming_->get()) return toException({ErrorCode::kRefused, "join is for agents that call"});
    auto results = context.getResults();
    auto list = results.initAgents(uint32_t(agent_.peers_.size() + 1));
    list.set(0, agent_.address_);
    uint32_t i = 1;
    for (auto& [known, peer] : agent_.peers_) list.set(i++, known);
    agent_.addPeer(address, kj::mv(*incoming_));
    for (auto& [id, program] : *agent_.programs_) {
      auto request = program->control.agentJoinedRequest();
      request.setAgent(address);
      agent_.loop_.detach(request.send().ignoreResult().catch_([](kj::Exception&&) {}));
    }
    return kj::READY_NOW;
  }

  kj::Promise<void> startVm(StartVmContext context) override {
    auto params = context.getParams();
    Address address;
    address.host = agent_.host_;
    auto fd = listenOn(address, agent_.reach());
    if (!fd.ok()) return toException(fd.error());
    auto bound = boundAddress(*fd);
    VmArguments arguments{params.getProgram().cStr(), params.getNode(), agent_.options_.keyFile,
                          agent_.options_.logLevel, agent_.options_.jsonLog};
    auto child = VmChild::start(agent_.loop_, arguments, *fd);
    close(*fd);
    if (!child.ok()) return toException(child.error());
    spdlog::info("node {} of program {} is process {}", arguments.node, arguments.program, (*child)->pid());
    auto results = context.getResults();
    results.setAddress(bound->text());
    results.setPid((*child)->pid());
    results.setVm(kj::heap<Handle>(agent_, Vm{arguments.program, arguments.node}, kj::mv(*child)));
    return kj::READY_NOW;
  }

  kj::Promise<void> enlist(EnlistContext context) override {
    auto params = context.getParams();
    std::string program = params.getProgram().cStr();
    spdlog::info("program {} runs", program);
    (*agent_.programs_)[program] = kj::heap<Program>(Program{params.getControl()});
    context.getResults().setRegistration(kj::heap<Registered>(agent_, program));
    return kj::READY_NOW;
  }

  kj::Promise<void> localPrograms(LocalProgramsContext context) override {
    return agent_.localPrograms().then([context](std::vector<ProgramView> views) mutable {
      encodeList(views, context.getResults().initPrograms(uint32_t(views.size())));
    });
  }

  kj::Promise<void> describe(DescribeContext context) override {
    encode(agent_.describe(), context.getResults().initAgent());
    return kj::READY_NOW;
  }

  // -- commands
  kj::Promise<void> programs(ProgramsContext context) override {
    return agent_.allPrograms().then([context](std::vector<ProgramView> views) mutable {
      encodeList(views, context.getResults().initPrograms(uint32_t(views.size())));
    });
  }

  kj::Promise<void> nodes(NodesContext context) override {
    std::string program = context.getParams().getProgram().cStr();
    return agent_.controlOf(program).then([context, program](schema::Control::Client control) mutable {
      auto request = control.nodesRequest();
      request.setProgram(program);
      return request.send().then(
          [context](auto response) mutable { context.getResults().setNodes(response.getNodes()); });
    });
  }

  kj::Promise<void> threads(ThreadsContext context) override {
    std::string program = context.getParams().getProgram().cStr();
    return agent_.controlOf(program).then([context, program](schema::Control::Client control) mutable {
      auto request = control.threadsRequest();
      request.setProgram(program);
      return request.send().then(
          [context](auto response) mutable { context.getResults().setThreads(response.getThreads()); });
    });
  }

  kj::Promise<void> inspect(InspectContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([context, classes = params.getClasses(), collect = params.getCollect(),
               countersOnly = params.getCountersOnly(),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.inspectRequest();
          request.setProgram(program);
          request.setClasses(classes);
          request.setCollect(collect);
          request.setCountersOnly(countersOnly);
          return request.send().then(
              [context](auto response) mutable { context.getResults().setReports(response.getReports()); });
        });
  }

  kj::Promise<void> observe(ObserveContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([context, text = std::string(params.getRequest().cStr()),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.observeRequest();
          request.setProgram(program);
          request.setRequest(text);
          return request.send().then(
              [context](auto response) mutable { context.getResults().setReports(response.getReports()); });
        });
  }

  kj::Promise<void> migrate(MigrateContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([thread = params.getThread(), node = params.getNode(),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.migrateRequest();
          request.setProgram(program);
          request.setThread(thread);
          request.setNode(node);
          return request.send().ignoreResult();
        });
  }

  kj::Promise<void> pin(PinContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([thread = params.getThread(), pinned = params.getPinned(), moves = params.getMoves(),
               node = params.getNode(),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.pinRequest();
          request.setProgram(program);
          request.setThread(thread);
          request.setPinned(pinned);
          request.setMoves(moves);
          request.setNode(node);
          return request.send().ignoreResult();
        });
  }

  kj::Promise<void> decisions(DecisionsContext context) override {
    std::string program = context.getParams().getProgram().cStr();
    return agent_.controlOf(program).then([context, program](schema::Control::Client control) mutable {
      auto request = control.decisionsRequest();
      request.setProgram(program);
      return request.send().then([context](auto response) mutable {
        auto results = context.getResults();
        results.setPolicy(response.getPolicy());
        results.setDryRun(response.getDryRun());
        results.setDecisions(response.getDecisions());
      });
    });
  }

  kj::Promise<void> moveBlocks(MoveBlocksContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([context, source = params.getSource(), target = params.getTarget(), bytes = params.getBytes(),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.moveBlocksRequest();
          request.setProgram(program);
          request.setSource(source);
          request.setTarget(target);
          request.setBytes(bytes);
          return request.send().then(
              [context](auto response) mutable { context.getResults().setMoved(response.getMoved()); });
        });
  }

  kj::Promise<void> grow(GrowContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([context, agent = kj::str(params.getAgent()),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.growRequest();
          request.setProgram(program);
          request.setAgent(agent);
          return request.send().then(
              [context](auto response) mutable { context.getResults().setNode(response.getNode()); });
        });
  }

  kj::Promise<void> drain(DrainContext context) override {
    auto params = context.getParams();
    return agent_.controlOf(params.getProgram().cStr())
        .then([context, node = params.getNode(), begin = params.getBegin(), deadline = params.getDeadlineNanos(),
               program = std::string(params.getProgram().cStr())](schema::Control::Client control) mutable {
          auto request = control.drainRequest();
          request.setProgram(program);
          request.setNode(node);
          request.setBegin(begin);
          request.setDeadlineNanos(deadline);
          return request.send().then(
              [context](auto response) mutable { context.getResults().setDrain(response.getDrain()); });
        });
  }

  kj::Promise<void> stop(StopContext context) override {
    const std::string program = context.getParams().getProgram().cStr();
    return agent_.controlOf(program).then([context, program](schema::Control::Client control) mutable {
      auto request = control.stopRequest();
      request.setProgram(program);
      return request.send().then([context](auto response) mutable { context.getResults().setId(response.getId()); });
    });
  }

  kj::Promise<void> agents(AgentsContext context) override {
    auto asks = kj::heapArrayBuilder<kj::Promise<AgentView>>(agent_.peers_.size() + 1);
    asks.add(agent_.describe());
    for (auto& [address, peer] : agent_.peers_) {
      AgentView silent{address, 0, 0};
      asks.add(agent_.loop_.timer()
                   .timeoutAfter(kAskTime, peer->agent.describeRequest().send().then(
                                               [](auto response) { return decode(response.getAgent()); }))
                   .catch_([silent](kj::Exception&&) { return silent; }));
    }
    return kj::joinPromises(asks.finish()).then([context](kj::Array<AgentView> views) mutable {
      encodeList(std::vector<AgentView>(views.begin(), views.end()),
                 context.getResults().initAgents(uint32_t(views.size())));
    });
  }

 private:
  Agent& agent_;
  std::shared_ptr<kj::Own<RpcConnection>> incoming_;
};

// ---------------------------------------------------------------- connections

Status Agent::listen() {
  auto address = Address::parse(options_.listen);
  if (!address.ok()) return address.error();
  auto fd = listenOn(*address, reach());
  if (!fd.ok()) return fd.error();
  if (reach() == Reach::Network && !credentials_.identity->own().isNode && !staysOnMachine(*fd, true))
    return Error{ErrorCode::kRefused,
                 fmt::format("the certificate beside {} is the user '{}''s: it may not be an agent", options_.keyFile,
                             credentials_.identity->own().name)};
  auto bound = boundAddress(*fd);
  if (!bound.ok()) return bound.error();
  address_ = bound->text();
  host_ = bound->host;
  if (auto published = publishEndpoint(dir_, {address_, options_.keyFile}); !published.ok()) return published.error();
  listener_ = kj::heap<Listener>(
      loop_, *fd, credentials_,
      [](const HelloInfo& caller) -> kj::Promise<std::string> {
        bool served = caller.role == Role::Command || caller.role == Role::Agent;
        return served ? std::string() : fmt::format("an agent does not serve the role {}", roleName(caller.role));
      },
      [this](HelloInfo caller, kj::Own<kj::AsyncIoStream> stream) { takeCaller(std::move(caller), kj::mv(stream)); });
  return Unit{};
}

void Agent::serveMetrics() {
  if (!options_.metrics) return;
  const auto nodesHere = [this] {
    std::map<std::string, std::set<uint32_t>> nodes;
    for (const Handle* handle : *vms_)
      if (handle->running()) nodes[handle->vm().program].insert(handle->vm().node);
    return nodes;
  };
  metrics_.emplace(loop_, *options_.metrics, nodesHere,
                   [this](std::string program) { return controlOf(std::move(program)); });
}

schema::Agent::Client Agent::newServer(std::shared_ptr<kj::Own<RpcConnection>> incoming) {
  return kj::heap<Server>(*this, std::move(incoming));
}

void Agent::takeCaller(HelloInfo caller, kj::Own<kj::AsyncIoStream> stream) {
  auto slot = std::make_shared<kj::Own<RpcConnection>>();
  *slot = kj::heap<RpcConnection>(kj::mv(stream), capnp::rpc::twoparty::Side::SERVER,
                                  newServer(caller.role == Role::Agent ? slot : nullptr));
  callers_.push_back(slot);
  auto gone = [this, slot] {
    // Not from within the connection's own event.
    loop_.post([this, slot] { std::erase(callers_, slot); });
  };
  loop_.detach(whenLost(**slot, std::move(gone)));
}

void Agent::addPeer(const std::string& address, kj::Own<RpcConnection> connection) {
  auto agent = connection->peer().castAs<schema::Agent>();
  auto gone = [this, address, lost = connection.get()] {
    // Not from within the connection's own event; and two agents that join each other at once replace one of the two.
    loop_.post([this, address, lost] {
      auto peer = peers_.find(address);
      if (peer == peers_.end() || peer->second->connection.get() != lost) return;
      peers_.erase(peer);
      spdlog::warn("agent {} has left", address);
    });
  };
  loop_.detach(whenLost(*connection, std::move(gone)));
  peers_[address] = kj::heap<Peer>(Peer{kj::mv(connection), kj::mv(agent)});
  spdlog::info("agent {} is here", address);
}

kj::Promise<void> Agent::join() {
  if (options_.join.empty()) return kj::READY_NOW;
  return joinAt(options_.join);
}

/// Joins there, and at every agent known there that is not known here.
kj::Promise<void> Agent::joinAt(std::string text) {
  auto address = Address::parse(text);
  if (!address.ok()) return toException(address.error());
  HelloInfo self;
  self.role = Role::Agent;
  return callPeer(loop_, *address, credentials_, self, newServer(nullptr))
      .then([this](kj::Own<RpcConnection> connection) {
        auto request = connection->peer().castAs<schema::Agent>().joinRequest();
        request.setAddress(address_);
        return request.send().then([this, connection = kj::mv(connection)](auto response) mutable {
          auto list = response.getAgents();
          addPeer(list[0].cStr(), kj::mv(connection));
          kj::Promise<void> others = kj::READY_NOW;
          for (auto text : list) {
            std::string other = text.cStr();
            if (other == address_ || peers_.count(other)) continue;
            others = others.then([this, other]() -> kj::Promise<void> {
              if (peers_.count(other)) return kj::READY_NOW;
              return joinAt(other);
            });
          }
          return others;
        });
      });
}

Status Agent::enterRegistry() {
  if (options_.registry.empty()) return Unit{};
  auto registry = Registry::open(options_.registry);
  if (!registry.ok()) return registry.error();
  // Once before it serves, so that a wrong key or address is told to the user.
  if (auto listed = (*registry)->announce(address_, credentials_.key); !listed.ok()) return listed;
  registryWatch_ = std::make_unique<RegistryWatch>(
      std::move(*registry), address_, credentials_.key, [this](std::vector<std::string> addresses) {
        loop_.post([this, addresses = std::move(addresses)] { joinListed(addresses); });
      });
  return Unit{};
}

/// Of two agents the one with the larger address calls. One that is gone stays listed for a while.
void Agent::joinListed(const std::vector<std::string>& addresses) {
  for (const std::string& other : addresses) {
    if (other >= address_ || peers_.count(other) || !joining_.insert(other).second) continue;
    loop_.detach(joinAt(other)
                     .catch_([other](kj::Exception&& exception) {
                       spdlog::debug("agent {} is listed, but {}", other, plainText(exception));
                     })
                     .then([this, other] { joining_.erase(other); }));
  }
}

AgentView Agent::describe() const {
  const auto running = std::count_if(vms_->begin(), vms_->end(), [](const Handle* vm) { return vm->running(); });
  const auto clock = std::chrono::system_clock::now().time_since_epoch();
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  return {address_,
          uint32_t(getpid()),
          uint32_t(running),
          std::string(kVersion),
          std::chrono::duration_cast<std::chrono::nanoseconds>(clock).count(),
          files.rlim_cur};
}

// ---------------------------------------------------------------- leaving

kj::Promise<bool> Agent::drain() {
  kj::Vector<kj::Promise<bool>> drains;
  for (const Handle* handle : *vms_)
    if (handle->running()) drains.add(drain(handle->vm()));
  if (drains.empty()) return true;
  spdlog::info("leaving: {} nodes have {:.1f} s to get empty", drains.size(), options_.drainSeconds);
  return kj::joinPromises(drains.releaseAsArray()).then([](kj::Array<bool> left) {
    return std::all_of(left.begin(), left.end(), [](bool one) { return one; });
  });
}

kj::Promise<bool> Agent::drain(Vm vm) {
  return controlOf(vm.program)
      .then([this, vm](schema::Control::Client control) { return awaitDrain(kj::mv(control), vm, true, false); })
      .catch_([this, vm](kj::Exception&& exception) -> kj::Promise<bool> {
        if (toError(exception).code == ErrorCode::kNotFound) return true;  // the program has just ended
        // Or it is about to: its launcher answers no more, or that there is nothing to leave.
        return awaitEnd(vm, kEndLooks).then([vm, why = plainText(exception)](bool ended) {
          if (!ended) spdlog::error("node {} of program {} is lost with this agent: {}", vm.node, vm.program, why);
          return ended;
        });
      });
}

/// Whether the process of the node ends by itself soon.
kj::Promise<bool> Agent::awaitEnd(Vm vm, int looks) {
  const bool runs = std::any_of(vms_->begin(), vms_->end(), [&](const Handle* handle) {
    return handle->running() && handle->vm().program == vm.program && handle->vm().node == vm.node;
  });
  if (!runs || looks == 0) return !runs;
  return loop_.timer().afterDelay(kEndPause).then([this, vm, looks] { return awaitEnd(vm, looks - 1); });
}

kj::Promise<bool> Agent::awaitDrain(schema::Control::Client control, Vm vm, bool begin, bool told) {
  auto request = control.drainRequest();
  request.setProgram(vm.program);
  request.setNode(vm.node);
  request.setBegin(begin);
  request.setDeadlineNanos(int64_t(options_.drainSeconds * 1e9));
  return request.send().then([this, control, vm, told](auto response) mutable -> kj::Promise<bool> {
    const DrainView view = decode(response.getDrain());
    if (const double needed = double(view.estimatedNanos) / 1e9; needed > options_.drainSeconds && !told) {
      spdlog::warn("node {} of program {} needs about {:.1f} s to get empty, and has {:.1f} s", vm.node, vm.program,
                   needed, options_.drainSeconds);
      told = true;
    }
    if (view.state == "leaving")
      return loop_.timer().afterDelay(kDrainPause).then([this, control, vm, told]() mutable {
        return awaitDrain(kj::mv(control), vm, false, told);
      });
    if (view.state == "left") {
      spdlog::info("node {} of program {} has left in {:.0f} ms", vm.node, vm.program, double(view.nanos) / 1e6);
      return true;
    }
    spdlog::error("node {} of program {} is lost with this agent: {}", vm.node, vm.program, view.reason);
    return false;
  });
}

// ---------------------------------------------------------------- programs

kj::Promise<std::vector<ProgramView>> gatherPrograms(IoLoop& loop,
                                                     std::vector<kj::Promise<std::vector<ProgramView>>> asks) {
  auto joined = kj::heapArrayBuilder<kj::Promise<std::vector<ProgramView>>>(asks.size());
  for (auto& ask : asks)
    joined.add(loop.timer().timeoutAfter(kAskTime, kj::mv(ask)).catch_([](kj::Exception&&) {
      return std::vector<ProgramView>();  // its launcher or agent is just going
    }));
  return kj::joinPromises(joined.finish()).then([](kj::Array<std::vector<ProgramView>> parts) {
    std::vector<ProgramView> all;
    for (auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  });
}

kj::Promise<std::vector<ProgramView>> Agent::localPrograms() {
  std::vector<kj::Promise<std::vector<ProgramView>>> asks;
  for (auto& [id, program] : *programs_)
    asks.push_back(program->control.programsRequest().send().then(
        [](auto response) { return decodeList<ProgramView>(response.getPrograms()); }));
  return gatherPrograms(loop_, std::move(asks));
}

kj::Promise<std::vector<ProgramView>> Agent::allPrograms() {
  std::vector<kj::Promise<std::vector<ProgramView>>> asks;
  asks.push_back(localPrograms());
  for (auto& [address, peer] : peers_)
    asks.push_back(peer->agent.localProgramsRequest().send().then(
        [](auto response) { return decodeList<ProgramView>(response.getPrograms()); }));
  return gatherPrograms(loop_, std::move(asks));
}

kj::Promise<schema::Control::Client> Agent::controlOf(std::string prefix) {
  return allPrograms().then([this, prefix](std::vector<ProgramView> views) -> kj::Promise<schema::Control::Client> {
    std::erase_if(views, [&](const ProgramView& view) { return !view.id.starts_with(prefix); });
    if (views.empty())
      return toException(
          {ErrorCode::kNotFound, prefix.empty() ? "no program runs" : fmt::format("no program '{}' runs", prefix)});
    if (views.size() > 1) {
      std::string ids;
      for (auto& view : views) ids += fmt::format("{}{} ({})", ids.empty() ? "" : ", ", view.id, view.name);
      return toException({ErrorCode::kInvalidInput, fmt::format("several programs run, name one of them: {}", ids)});
    }
    auto here = programs_->find(views[0].id);
    if (here != programs_->end()) return here->second->control;
    // It is registered at a peer: find out at which.
    auto asks = kj::heapArrayBuilder<kj::Promise<kj::Maybe<schema::Control::Client>>>(peers_.size());
    for (auto& [address, peer] : peers_)
      asks.add(peer->agent.localProgramsRequest().send().then(
          [id = views[0].id, agent = peer->agent](auto response) mutable -> kj::Maybe<schema::Control::Client> {
            for (auto program : response.getPrograms())
              if (id == program.getId().cStr()) return schema::Control::Client(agent);
            return nullptr;
          },
          [](kj::Exception&&) -> kj::Maybe<schema::Control::Client> { return nullptr; }));
    return kj::joinPromises(asks.finish())
        .then([](kj::Array<kj::Maybe<schema::Control::Client>> found) -> schema::Control::Client {
          for (auto& maybe : found) {
            KJ_IF_MAYBE (control, maybe) return *control;
          }
          kj::throwFatalException(toException({ErrorCode::kNotFound, "the program has just ended"}));
        });
  });
}

}  // namespace

Result<int> runAgent(const AgentOptions& options) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) kj::UnixEventPort::captureSignal(signal);
  kj::UnixEventPort::captureChildExit();
  auto credentials = Credentials::readOrCreateKey(options.keyFile);
  if (!credentials.ok()) return credentials.error();
  auto dir = RuntimeDir::create("agent");
  if (!dir.ok()) return dir.error();

  std::optional<Agent> agent;
  std::optional<Error> failure;
  bool allLeft = true;
  IoLoop loop({});
  loop.atStop([&] { agent.reset(); });
  auto fail = [&](Error error) {
    failure = std::move(error);
    loop.stop();
  };
  loop.post([&] {
    agent.emplace(loop, options, *credentials, std::move(*dir));
    for (int signal : {SIGINT, SIGHUP})
      loop.detach(loop.io().unixEventPort.onSignal(signal).then([&](siginfo_t) { loop.stop(); }));
    loop.detach(loop.io().unixEventPort.onSignal(SIGTERM).then([&](siginfo_t) {
      return agent->drain().then([&](bool left) {
        allLeft = left;
        loop.stop();
      });
    }));
    if (auto listening = agent->listen(); !listening.ok()) return fail(listening.error());
    agent->serveMetrics();
    if (auto listed = agent->enterRegistry(); !listed.ok()) return fail(listed.error());
    loop.detach(agent->join().then([&] { spdlog::info("listening on {}", agent->address()); },
                                   [&](kj::Exception&& exception) { fail(toError(exception)); }));
  });
  loop.runHere();
  if (failure) return *failure;
  return allLeft ? 0 : 1;
}

}  // namespace jvmc::cluster
