#include "cluster/launch/launcher.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "cluster/dashboard/dashboard.h"
#include "cluster/launch/children.h"
#include "cluster/launch/endpoint.h"
#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"
#include "cluster/registry/registry.h"

namespace jvmc::cluster {

namespace {

constexpr auto kChildPatience = 2 * kj::SECONDS;
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

std::string newProgramId() {
  Nonce random = randomNonce();
  std::string id;
  for (int i = 0; i < 6; ++i) id += fmt::format("{:02x}", random[size_t(i)]);
  return id;
}

/// Everything of one launch; lives on the loop of the main thread.
class Launch {
 public:
  Launch(IoLoop& loop, const LaunchOptions& options)
      : loop_(loop), options_(options), outside_(loop, options.execute) {}

  kj::Promise<RunOutcome> run() {
    auto targets = options_.cluster.empty() ? startHere() : startOnAgents();
    return targets
        .then([this](std::vector<RunTarget> targets) { return runOn(std::move(targets)); },
              [](kj::Exception&& exception) {
                RunOutcome outcome;
                outcome.exitCode = kExitOwnFailure;
                outcome.error = plainText(exception);
                return kj::Promise<RunOutcome>(std::move(outcome));
              })
        .then([this](RunOutcome outcome) {
          for (size_t i = 0; i < children_.size(); ++i)
            if (!run_.get() || run_->isJoining(childNodes_[i])) children_[i]->kill(SIGKILL);
          return waitForAll(loop_, children_, kChildPatience).then([outcome = std::move(outcome)]() mutable {
            return std::move(outcome);
          });
        });
  }

  void end(int exitCode, std::string error) {
    if (run_.get()) return run_->end(exitCode, std::move(error));
    early_ = {exitCode, std::move(error)};
  }

 private:
  struct EarlyEnd {
    int exitCode = -1;
    std::string error;
  };
  /// An agent of the cluster.
  struct Agent {
    kj::Own<RpcConnection> connection;
    schema::Agent::Client agent;
  };

  // -- on this machine
  kj::Promise<std::vector<RunTarget>> startHere();
  Result<RunTarget> startChild(uint32_t node);
  void serveCommands();
  void takeCommand(kj::Own<kj::AsyncIoStream> stream);

  // -- on agents
  kj::Promise<std::vector<RunTarget>> startOnAgents();
  kj::Promise<Agent*> agentAt(std::string address);
  kj::Promise<Agent*> anyAgent(size_t entry);
  kj::Promise<std::vector<AgentView>> agents();
  kj::Promise<RunTarget> startOn(std::string address, uint32_t node);
  /// For a program that grows.
  kj::Promise<RunTarget> startLater(uint32_t node, std::string agent);
  void registerProgram(const std::string& agent);
  void agentLost(const std::string& agent);

  kj::Promise<RunOutcome> runOn(std::vector<RunTarget> targets);
  void noteEnd(uint32_t node, const std::string& how);

  IoLoop& loop_;
  const LaunchOptions& options_;
  OutsideService outside_;
  std::string program_ = newProgramId();
  uint32_t nodes_ = 0;
  Credentials credentials_;
  EarlyEnd early_;  // wanted before the program ran

  std::optional<RuntimeDir> dir_;
  kj::Vector<kj::Own<VmChild>> children_;
  std::vector<uint32_t> childNodes_;  // whose they are

  std::vector<std::string> entries_;  // addresses of agents to begin with
  std::map<std::string, kj::Own<Agent>> agents_;
  std::vector<RunTarget> remoteTargets_;
  kj::Vector<schema::VmHandle::Client> handles_;
  kj::Vector<kj::Promise<void>> handleWatches_;
  kj::Maybe<schema::Registration::Client> registration_;
  std::string registeredAt_;  // address of an agent

  std::vector<std::pair<uint32_t, std::string>> endedEarly_;  // node, how: before run_ is there
  kj::Own<ProgramRun> run_;
  std::map<uint64_t, kj::Own<RpcConnection>> commands_;
  uint64_t nextCommand_ = 0;
  std::optional<Dashboard> dashboard_;
  kj::Own<Listener> commandListener_;  // before what it uses
};

kj::Promise<RunOutcome> Launch::runOn(std::vector<RunTarget> targets) {
  const bool followsAgents = !dir_ && options_.nodes == 0;
  RunRequest request{program_, options_.name, options_.plan, std::move(targets), followsAgents};
  run_ = kj::heap<ProgramRun>(loop_, credentials_, std::move(request), outside_,
                              [this](uint32_t node, std::string agent) { return startLater(node, std::move(agent)); });
  if (dir_) {
    serveCommands();
  } else {
    registerProgram(agents_.begin()->first);
  }
  if (options_.dashboard) dashboard_.emplace(loop_, *options_.dashboard, run_->control(), program_);
  auto outcome = run_->run();
  for (auto& [node, how] : endedEarly_) run_->nodeEnded(node, how);
  if (early_.exitCode >= 0) run_->end(early_.exitCode, early_.error);
  return outcome;
}

// ---------------------------------------------------------------- on this machine

kj::Promise<std::vector<RunTarget>> Launch::startHere() {
  nodes_ = options_.nodes ? options_.nodes : 1;
  auto dir = RuntimeDir::create("run");
  if (!dir.ok()) return toException(dir.error());
  dir_.emplace(std::move(*dir));
  credentials_.key = ClusterKey::random();
  if (auto written = credentials_.key.write(dir_->file("key")); !written.ok()) return toException(written.error());

  std::vector<RunTarget> targets;
  for (uint32_t i = 0; i < nodes_; ++i) {
    auto target = startChild(i);
    if (!target.ok()) return toException(target.error());
    targets.push_back(std::move(*target));
  }
  return targets;
}

Result<RunTarget> Launch::startChild(uint32_t node) {
  Address address;
  address.isUnix = true;
  address.path = dir_->file(fmt::format("node-{}.sock", node));
  auto fd = listenOn(address);
  if (!fd.ok()) return fd.error();
  auto child = VmChild::start(loop_, {program_, node, dir_->file("key"), options_.logLevel, options_.jsonLog}, *fd);
  close(*fd);
  if (!child.ok()) return child.error();
  const uint32_t pid = (*child)->pid();
  loop_.detach((*child)->ended().then([this, node](std::string how) { noteEnd(node, how); }));
  children_.add(kj::mv(*child));
  childNodes_.push_back(node);
  return RunTarget{address.text(), pid, ""};
}

void Launch::noteEnd(uint32_t node, const std::string& how) {
  if (run_.get()) return run_->nodeEnded(node, how);
  endedEarly_.emplace_back(node, how);
}

kj::Promise<RunTarget> Launch::startLater(uint32_t node, std::string agent) {
  if (dir_) {
    if (!agent.empty())
      return toException({ErrorCode::kInvalidInput, "the program runs on this machine, without agents"});
    auto target = startChild(node);
    if (!target.ok()) return toException(target.error());
    return std::move(*target);
  }
  if (!agent.empty()) return startOn(std::move(agent), node);
  return agents().then([this, node](std::vector<AgentView> all) {
    // The one with fewest VM processes.
    const auto least =
        std::min_element(all.begin(), all.end(), [](const AgentView& a, const AgentView& b) { return a.vms < b.vms; });
    return startOn(least->address, node);
  });
}

void Launch::serveCommands() {
  Address address;
  address.isUnix = true;
  address.path = dir_->file("control.sock");
  auto fd = listenOn(address);
  auto published = fd.ok() ? publishEndpoint(*dir_, {address.text(), dir_->file("key")}) : Status(fd.error());
  if (!published.ok()) return spdlog::warn("commands will not find this program: {}", published.error().message);
  commandListener_ = kj::heap<Listener>(
      loop_, *fd, credentials_,
      [](const HelloInfo& caller) -> kj::Promise<std::string> {
        return std::string(caller.role == Role::Command ? "" : "only commands are served here");
      },
      [this](HelloInfo, kj::Own<kj::AsyncIoStream> stream) { takeCommand(kj::mv(stream)); });
}

void Launch::takeCommand(kj::Own<kj::AsyncIoStream> stream) {
  uint64_t number = nextCommand_++;
  auto& connection = commands_[number];
  connection = kj::heap<RpcConnection>(kj::mv(stream), capnp::rpc::twoparty::Side::SERVER, run_->control());
  auto gone = [this, number] {
    // Not from within the connection's own event.
    loop_.post([this, number] { commands_.erase(number); });
  };
  loop_.detach(connection->onDisconnect().then([gone] { gone(); }, [gone](kj::Exception&&) { gone(); }));
}

// ---------------------------------------------------------------- on agents

kj::Promise<Launch::Agent*> Launch::agentAt(std::string text) {
  auto known = agents_.find(text);
  if (known != agents_.end()) return known->second.get();
  auto address = Address::parse(text);
  if (!address.ok()) return toException(address.error());
  HelloInfo self;
  self.role = Role::Command;
  return callPeer(loop_, *address, credentials_, self, nullptr).then([this, text](kj::Own<RpcConnection> connection) {
    auto agent = connection->peer().castAs<schema::Agent>();
    auto& slot = agents_[text];
    slot = kj::heap<Agent>(Agent{kj::mv(connection), kj::mv(agent)});
    // Not from within the connection's own event.
    auto lost = [this, text] { loop_.post([this, text] { agentLost(text); }); };
    loop_.detach(slot->connection->onDisconnect().then([lost] { lost(); }, [lost](kj::Exception&&) { lost(); }));
    return slot.get();
  });
}

/// Its VM processes are reported by their handles; commands are to find the program at another one.
void Launch::agentLost(const std::string& agent) {
  agents_.erase(agent);
  if (registeredAt_ != agent || agents_.empty() || !run_.get()) return;
  registration_ = nullptr;
  registerProgram(agents_.begin()->first);
}

kj::Promise<std::vector<RunTarget>> Launch::startOnAgents() {
  auto credentials = Credentials::read(options_.keyFile);
  if (!credentials.ok()) return toException(credentials.error());
  credentials_ = std::move(*credentials);
  auto entries = agentsOf(options_.cluster);
  if (!entries.ok()) return toException(entries.error());
  entries_ = std::move(*entries);
  return agents()
      .then([this](std::vector<AgentView> agents) {
        nodes_ = options_.nodes ? options_.nodes : uint32_t(agents.size());
        kj::Promise<void> started = kj::READY_NOW;
        for (uint32_t i = 0; i < nodes_; ++i)
          started = started.then([this, i, address = agents[i % agents.size()].address] { return startOn(address, i); })
                        .then([this](RunTarget target) { remoteTargets_.push_back(std::move(target)); });
        return started;
      })
      .then([this] { return std::move(remoteTargets_); });
}

/// One that we talk to already, or the first from `entry` on that answers.
kj::Promise<Launch::Agent*> Launch::anyAgent(size_t entry) {
  if (!agents_.empty()) return agents_.begin()->second.get();
  return agentAt(entries_[entry]).catch_([this, entry](kj::Exception&& exception) -> kj::Promise<Agent*> {
    if (entry + 1 < entries_.size()) return anyAgent(entry + 1);
    return kj::mv(exception);
  });
}

kj::Promise<std::vector<AgentView>> Launch::agents() {
  return anyAgent(0)
      .then([](Agent* agent) { return agent->agent.agentsRequest().send(); })
      .then([](auto response) -> kj::Promise<std::vector<AgentView>> {
        auto all = decodeList<AgentView>(response.getAgents());
        if (all.empty()) return toException({ErrorCode::kUnavailable, "the cluster has no agent"});
        return all;
      });
}

kj::Promise<RunTarget> Launch::startOn(std::string address, uint32_t node) {
  return agentAt(address)
      .then([this, node](Agent* agent) {
        auto request = agent->agent.startVmRequest();
        request.setProgram(program_);
        request.setNode(node);
        return request.send();
      })
      .then([this, node, address](auto response) {
        RunTarget target{response.getAddress().cStr(), response.getPid(), address};
        auto handle = response.getVm();
        handleWatches_.add(handle.endedRequest()
                               .send()
                               .then([this, node](auto ended) { noteEnd(node, ended.getHow().cStr()); },
                                     [this, node](kj::Exception&&) { noteEnd(node, "was lost with its agent"); })
                               .eagerlyEvaluate(nullptr));
        handles_.add(kj::mv(handle));
        return target;
      });
}

/// So that commands find the program at any agent.
void Launch::registerProgram(const std::string& agent) {
  registeredAt_ = agent;
  auto request = agents_.at(agent)->agent.enlistRequest();
  request.setProgram(program_);
  request.setControl(run_->control());
  loop_.detach(request.send().then([this](auto response) { registration_ = response.getRegistration(); }));
}

}  // namespace

RunOutcome launch(const LaunchOptions& options, const std::function<void(std::function<void(int)>)>& whenRunning) {
  for (int signal : kSignals) kj::UnixEventPort::captureSignal(signal);
  kj::UnixEventPort::captureChildExit();
  RunOutcome outcome;
  std::optional<Launch> run;
  IoLoop loop({});
  loop.atStop([&] { run.reset(); });
  loop.post([&] {
    run.emplace(loop, options);
    for (int signal : kSignals)
      loop.detach(loop.io().unixEventPort.onSignal(signal).then([&run, signal](siginfo_t) {
        if (run) run->end(kExitSignal + signal, "");
      }));
    whenRunning([&](int exitCode) {
      loop.post([&, exitCode] {
        if (run) run->end(exitCode & 0xFF, "");
      });
    });
    if (options.timeoutSeconds > 0)
      loop.postAfter(int64_t(options.timeoutSeconds * 1e9), [&] {
        if (run) run->end(kExitTimeout, fmt::format("the program did not end within {} s", options.timeoutSeconds));
      });
    loop.detach(run->run()
                    .then([&](RunOutcome result) { outcome = std::move(result); },
                          [&](kj::Exception&& exception) {
                            outcome.exitCode = kExitOwnFailure;
                            outcome.error = plainText(exception);
                          })
                    .then([&] { loop.stop(); }));
  });
  loop.runHere();
  return outcome;
}

}  // namespace jvmc::cluster
