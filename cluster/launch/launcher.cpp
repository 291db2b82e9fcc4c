#include "cluster/launch/launcher.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <map>

#include "cluster/launch/children.h"
#include "cluster/launch/endpoint.h"
#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"

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
  void serveCommands();
  void takeCommand(kj::Own<kj::AsyncIoStream> stream);

  // -- on agents
  kj::Promise<std::vector<RunTarget>> startOnAgents();
  kj::Promise<Agent*> agentAt(std::string address);
  kj::Promise<void> startOn(std::string address, uint32_t node);
  void registerProgram();

  kj::Promise<RunOutcome> runOn(std::vector<RunTarget> targets);

  IoLoop& loop_;
  const LaunchOptions& options_;
  OutsideService outside_;
  std::string program_ = newProgramId();
  uint32_t nodes_ = 0;
  ClusterKey key_;
  EarlyEnd early_;  // wanted before the program ran

  std::optional<RuntimeDir> dir_;
  kj::Vector<kj::Own<VmChild>> children_;

  std::map<std::string, kj::Own<Agent>> agents_;
  std::vector<RunTarget> remoteTargets_;
  kj::Vector<schema::VmHandle::Client> handles_;
  kj::Vector<kj::Promise<void>> handleWatches_;
  kj::Maybe<schema::Registration::Client> registration_;

  kj::Own<ProgramRun> run_;
  std::map<uint64_t, kj::Own<RpcConnection>> commands_;
  uint64_t nextCommand_ = 0;
  kj::Own<Listener> commandListener_;  // before what it uses
};

kj::Promise<RunOutcome> Launch::runOn(std::vector<RunTarget> targets) {
  RunRequest request{program_, options_.name, options_.plan, std::move(targets)};
  run_ = kj::heap<ProgramRun>(loop_, key_, std::move(request), outside_);
  for (uint32_t i = 0; i < children_.size(); ++i)
    loop_.detach(children_[i]->ended().then([this, i](std::string how) { run_->nodeEnded(i, how); }));
  if (dir_) {
    serveCommands();
  } else {
    registerProgram();
  }
  auto outcome = run_->run();
  if (early_.exitCode >= 0) run_->end(early_.exitCode, early_.error);
  return outcome;
}

// ---------------------------------------------------------------- on this machine

kj::Promise<std::vector<RunTarget>> Launch::startHere() {
  nodes_ = options_.nodes ? options_.nodes : 1;
  auto dir = RuntimeDir::create("run");
  if (!dir.ok()) return toException(dir.error());
  dir_.emplace(std::move(*dir));
  key_ = ClusterKey::random();
  if (auto written = key_.write(dir_->file("key")); !written.ok()) return toException(written.error());

  std::vector<RunTarget> targets;
  for (uint32_t i = 0; i < nodes_; ++i) {
    Address address;
    address.isUnix = true;
    address.path = dir_->file(fmt::format("node-{}.sock", i));
    auto fd = listenOn(address);
    if (!fd.ok()) return toException(fd.error());
    auto child =
        VmChild::start(loop_, {program_, i, nodes_, dir_->file("key"), options_.logLevel, options_.jsonLog}, *fd);
    close(*fd);
    if (!child.ok()) return toException(child.error());
    targets.push_back({address.text(), (*child)->pid()});
    children_.add(kj::mv(*child));
  }
  return targets;
}

void Launch::serveCommands() {
  Address address;
  address.isUnix = true;
  address.path = dir_->file("control.sock");
  auto fd = listenOn(address);
  auto published = fd.ok() ? publishEndpoint(*dir_, {address.text(), dir_->file("key")}) : Status(fd.error());
  if (!published.ok()) return spdlog::warn("commands will not find this program: {}", published.error().message);
  commandListener_ = kj::heap<Listener>(
      loop_, *fd, key_,
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
  return callPeer(loop_, *address, key_, self, nullptr).then([this, text](kj::Own<RpcConnection> connection) {
    auto agent = connection->peer().castAs<schema::Agent>();
    auto& slot = agents_[text];
    slot = kj::heap<Agent>(Agent{kj::mv(connection), kj::mv(agent)});
    return slot.get();
  });
}

kj::Promise<std::vector<RunTarget>> Launch::startOnAgents() {
  auto key = ClusterKey::read(options_.keyFile);
  if (!key.ok()) return toException(key.error());
  key_ = *key;
  return agentAt(options_.cluster)
      .then([](Agent* agent) { return agent->agent.agentsRequest().send(); })
      .then([this](auto response) {
        auto agents = decodeList<AgentView>(response.getAgents());
        nodes_ = options_.nodes ? options_.nodes : uint32_t(agents.size());
        remoteTargets_.resize(nodes_);
        kj::Promise<void> started = kj::READY_NOW;
        for (uint32_t i = 0; i < nodes_; ++i)
          started =
              started.then([this, i, address = agents[i % agents.size()].address] { return startOn(address, i); });
        return started;
      })
      .then([this] { return remoteTargets_; });
}

kj::Promise<void> Launch::startOn(std::string address, uint32_t node) {
  return agentAt(address)
      .then([this, node](Agent* agent) {
        auto request = agent->agent.startVmRequest();
        request.setProgram(program_);
        request.setNode(node);
        request.setNodeCount(nodes_);
        return request.send();
      })
      .then([this, node](auto response) {
        remoteTargets_[node] = {response.getAddress().cStr(), response.getPid()};
        auto handle = response.getVm();
        handleWatches_.add(handle.endedRequest()
                               .send()
                               .then(
                                   [this, node](auto ended) {
                                     if (run_.get()) run_->nodeEnded(node, ended.getHow().cStr());
                                   },
                                   [this, node](kj::Exception&&) {
                                     if (run_.get()) run_->nodeEnded(node, "was lost with its agent");
                                   })
                               .eagerlyEvaluate(nullptr));
        handles_.add(kj::mv(handle));
      });
}

void Launch::registerProgram() {
  auto request = agents_.at(options_.cluster)->agent.enlistRequest();
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
