#include "cluster/launch/vm_process.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cluster/launch/main_thread.h"
#include "cluster/launch/outside_link.h"
#include "cluster/launch/views_codec.h"
#include "cluster/membership/lease.h"
#include "cluster/membership/program_end.h"
#include "cluster/net/idle_cores.h"
#include "cluster/net/peer_connections.h"
#include "cluster/net/tls_stream.h"

namespace jvmc::cluster {

namespace {

constexpr uint32_t kFirstView = 1;
constexpr int64_t kAliveNanos = 500'000'000;
constexpr int64_t kLauncherNanos = 30'000'000'000;  ///< time for the launcher to call
constexpr auto kSettlePause = 500 * kj::MICROSECONDS;
constexpr size_t kNamesReported = 8;
constexpr uint32_t kThreadsListed = 1000;
constexpr int kOwnFailure = 125;

/// Ascending, whatever came.
std::vector<NodeId> decodeNodes(capnp::List<uint32_t>::Reader list) {
  std::vector<NodeId> nodes;
  for (uint32_t node : list) nodes.emplace_back(node);
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

struct Members {
  std::vector<NodeId> nodes, places, joining{};
  uint64_t view = 0;
  NodeId leaver{};    ///< who is no member any more, if somebody
  EndBequest left{};  ///< by it
};

/// Ends the process. Memory, sockets and threads are the kernel's to take back; nothing here outlives the process.
[[noreturn]] void leave(int code) {
  spdlog::default_logger()->flush();
  std::fflush(nullptr);
  _exit(code);
}

uint64_t processCpuNanos() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto nanos = [](const timeval& t) { return uint64_t(t.tv_sec) * 1'000'000'000 + uint64_t(t.tv_usec) * 1000; };
  return nanos(usage.ru_utime) + nanos(usage.ru_stime);
}

uint64_t residentBytes() {
  unsigned long total = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return uint64_t(resident) * uint64_t(sysconf(_SC_PAGESIZE));
}

class VmProcess {
 public:
  VmProcess(const VmProcessOptions& options, const MakeProgramNode& makeNode, Credentials credentials)
      : options_(options),
        makeNode_(makeNode),
        credentials_(std::move(credentials)),
        loop_({}),
        main_(loop_),
        messageLoop_(messageLoopOptions()) {}

  void run() {
    messageLoop_.start();
    loop_.startThread();
    loop_.runSync([this] { listen(); });
    main_.run();
  }

 private:
  class Server;

  MessageLoopOptions messageLoopOptions() {
    MessageLoopOptions options;
    options.maySpin = [this] { return idleCores_.any(); };
    return options;
  }

  // -- connections (on the loop)
  void listen();
  kj::Promise<std::string> admit(const HelloInfo& caller);
  std::string admitPeer(const HelloInfo& caller) const;
  void takeCaller(HelloInfo caller, kj::Own<kj::AsyncIoStream> stream);
  void takeLauncher(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> callPeers();
  kj::Promise<void> callPeer(NodeId peer, const Address& address);
  kj::Promise<void> callData(NodeId peer, const Address& address, LinkRole role);
  HelloInfo introduction(LinkRole link) const;
  schema::Launcher::Client& launcher() { return KJ_ASSERT_NONNULL(launcher_); }

  // -- the launcher's requests (on the loop)
  kj::Promise<void> prepare(StartPlan plan);
  void openNet();
  kj::Promise<void> setMembers(Members members);
  kj::Promise<void> settle(NodeId peer);
  kj::Promise<void> awaitAnswers(NodeId peer, uint64_t count);
  kj::Promise<void> ping(NodeId peer);
  kj::Promise<void> pingAll();
  void onPeerLost(NodeId peer, const std::string& reason);
  void reportAlive();
  void renewLease();
  void checkLease();
  int64_t nowNanos() { return (loop_.timer().now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS; }
  void reportFatal(Error error);
  NodeView describe();  // main thread

  const VmProcessOptions& options_;
  const MakeProgramNode& makeNode_;
  Credentials credentials_;
  IdleCores idleCores_;  // message loop only
  IoLoop loop_;
  MainThread main_;
  MessageLoop messageLoop_;

  // On the loop only, once they are made.
  kj::Own<Listener> listener_;
  kj::Own<RpcConnection> launcherConnection_;
  kj::Maybe<schema::Launcher::Client> launcher_;
  uint64_t membersView_ = 0;  // number of the latest setMembers
  bool hasLease_ = false;     // the launcher is on another machine, and may be there without our hearing of it
  Lease lease_;
  bool frozen_ = false;
  StartPlan plan_;
  std::vector<uint8_t> moduleHash_;
  bool hasPlan_ = false;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> awaitingPlan_;
  std::unique_ptr<SocketNodeNet> net_;
  kj::Own<PeerConnections> peers_;
  std::unique_ptr<ControlChannel> control_;
  std::unique_ptr<ProgramEnd> programEnd_;
  std::unique_ptr<OutsideLink> outside_;

  std::unique_ptr<ProgramNode> node_;  // made and used by the main thread; completeOutside by the loop after that
};

// ---------------------------------------------------------------- what the launcher calls

class VmProcess::Server final : public schema::VmProcess::Server {
 public:
  explicit Server(VmProcess& process) : process_(process) {}

  kj::Promise<void> prepare(PrepareContext context) override {
    auto plan = decode(context.getParams().getRequest());
    if (!plan.ok()) return toException(plan.error());
    context.releaseParams();
    return process_.prepare(std::move(*plan));
  }

  kj::Promise<void> begin(BeginContext) override {
    return onNode([](ProgramNode& node) {
             node.begin();
             return Status(Unit{});
           })
        .ignoreResult();
  }

  kj::Promise<void> finish(FinishContext context) override {
    return onNode([](ProgramNode& node) { return Result<std::string>(node.finish()); })
        .then([context](std::string stats) mutable { context.getResults().setStats(stats); });
  }

  kj::Promise<void> threads(ThreadsContext context) override {
    return onNode([](ProgramNode& node) { return Result<std::vector<ThreadView>>(node.threads()); })
        .then([context](std::vector<ThreadView> threads) mutable {
          encodeList(threads, context.getResults().initThreads(uint32_t(threads.size())));
        });
  }

  kj::Promise<void> info(InfoContext context) override {
    return onNode([this](ProgramNode&) { return Result<NodeView>(process_.describe()); })
        .then([context](NodeView view) mutable { encode(view, context.getResults().initInfo()); });
  }

  kj::Promise<void> inspect(InspectContext context) override {
    const uint32_t classes = context.getParams().getClasses();
    const bool collect = context.getParams().getCollect(), countersOnly = context.getParams().getCountersOnly();
    return onNode([classes, collect, countersOnly](ProgramNode& node) {
             return Result<std::string>(countersOnly ? node.counters() : node.inspect(classes, collect));
           })
        .then([context](std::string report) mutable { context.getResults().setReport(report); });
  }

  kj::Promise<void> observe(ObserveContext context) override {
    return onNode([request = std::string(context.getParams().getRequest().cStr())](ProgramNode& node) {
             return node.observe(request);
           })
        .then([context](std::string report) mutable { context.getResults().setReport(report); });
  }

  kj::Promise<void> migrate(MigrateContext context) override {
    uint64_t thread = context.getParams().getThread();
    NodeId target(context.getParams().getTarget());
    return onNode([thread, target](ProgramNode& node) { return Result<bool>(node.migrate(thread, target)); })
        .then([context](bool found) mutable { context.getResults().setFound(found); });
  }

  kj::Promise<void> pin(PinContext context) override {
    auto params = context.getParams();
    const uint64_t thread = params.getThread();
    const bool pinned = params.getPinned();
    const NodeId target(params.getTarget());
    return onNode([=](ProgramNode& node) { return Result<bool>(node.pin(thread, pinned, target)); })
        .then([context](bool found) mutable { context.getResults().setFound(found); });
  }

  kj::Promise<void> decisions(DecisionsContext context) override {
    return onNode([](ProgramNode& node) { return Result<std::vector<DecisionView>>(node.decisions()); })
        .then([context](std::vector<DecisionView> decisions) mutable {
          encodeList(decisions, context.getResults().initDecisions(uint32_t(decisions.size())));
        });
  }

  kj::Promise<void> setMembers(SetMembersContext context) override {
    auto params = context.getParams();
    Members members{decodeNodes(params.getNodes()), decodeNodes(params.getPlaces()), decodeNodes(params.getJoining())};
    members.view = params.getView();
    if (params.hasLeaver()) {
      auto bequest = params.getLeaver();
      if (!process_.node_ || !process_.node_->takeOverHomes({bequest.getHomes().begin(), bequest.getHomes().size()}))
        return toException({ErrorCode::kCorrupt, "the homes of moved blocks make no sense"});
      members.leaver = NodeId(bequest.getNode());
      members.left = {bequest.getCreated(), bequest.getEnded(), bequest.getMainEnded(), bequest.getExitCode()};
    }
    return process_.setMembers(std::move(members));
  }

  kj::Promise<void> settle(SettleContext context) override {
    return process_.settle(NodeId(context.getParams().getNode()));
  }

  kj::Promise<void> flush(FlushContext) override { return process_.pingAll(); }

  kj::Promise<void> evacuate(EvacuateContext context) override {
    return onNode([](ProgramNode& node) { return Result<LeftView>(node.evacuate()); })
        .then([this, context](LeftView left) mutable {
          left.outsideCalls = process_.outside_->pending();
          auto results = context.getResults();
          encode(left, results.initLeft());
          if (left.threads > 0 || left.outsideCalls == 0) return;
          const std::vector<rt::OutsideCall> calls = process_.outside_->giveAway();
          auto list = results.initCalls(uint32_t(calls.size()));
          for (uint32_t i = 0; i < calls.size(); ++i) cluster::encode(calls[i], list[i]);
        });
  }

  kj::Promise<void> takeOverCalls(TakeOverCallsContext context) override {
    for (auto call : context.getParams().getCalls()) process_.outside_->call(cluster::decode(call));
    return kj::READY_NOW;
  }

  kj::Promise<void> bequeath(BequeathContext context) override {
    return onNode([](ProgramNode& node) { return Result<std::vector<uint8_t>>(node.homes()); })
        .then([this, context](std::vector<uint8_t> homes) mutable {
          auto bequest = context.getResults().initBequest();
          bequest.setNode(process_.options_.node);
          bequest.setHomes({homes.data(), homes.size()});
          return callOn(process_.messageLoop_, process_.loop_,
                        [this] { return Result<EndBequest>(process_.programEnd_->bequeath()); });
        })
        .then([context](EndBequest end) mutable {
          auto bequest = context.getResults().getBequest();
          bequest.setCreated(end.created);
          bequest.setEnded(end.ended);
          bequest.setMainEnded(end.mainEnded);
          bequest.setExitCode(end.exitCode);
        });
  }

  kj::Promise<void> moveBlocks(MoveBlocksContext context) override {
    const uint64_t bytes = context.getParams().getBytes();
    std::vector<NodeId> targets;
    for (uint32_t target : context.getParams().getTargets()) targets.emplace_back(target);
    auto paf = kj::newPromiseAndCrossThreadFulfiller<BlocksMovedView>();
    using Fulfiller = kj::Own<kj::CrossThreadPromiseFulfiller<BlocksMovedView>>;
    auto fulfiller = std::make_shared<Fulfiller>(kj::mv(paf.fulfiller));
    auto asked = onNode([targets = std::move(targets), bytes, fulfiller](ProgramNode& node) {
      node.moveBlocks(targets, bytes, [fulfiller](BlocksMovedView moved) { (*fulfiller)->fulfill(std::move(moved)); });
      return Status(Unit{});
    });
    return asked.ignoreResult()
        .then([moved = kj::mv(paf.promise)]() mutable {
          return moved.catch_([](kj::Exception&&) -> kj::Promise<BlocksMovedView> {
            return toException({ErrorCode::kUnavailable, "the program ended before the blocks had moved"});
          });
        })
        .then([context](BlocksMovedView moved) mutable { encode(moved, context.getResults().initMoved()); });
  }

 private:
  template <class Work>
  auto onNode(Work work)
      -> kj::Promise<std::decay_t<decltype(*std::declval<decltype(work(*std::declval<ProgramNode*>()))&>())>> {
    return process_.main_.call([this, work = std::move(work)]() -> decltype(work(*process_.node_)) {
      if (!process_.node_) return Error{ErrorCode::kUnavailable, "the program has not been prepared on this node"};
      return work(*process_.node_);
    });
  }

  VmProcess& process_;
};

// ---------------------------------------------------------------- connections

void VmProcess::listen() {
  listener_ = kj::heap<Listener>(
      loop_, options_.listenFd, credentials_, [this](const HelloInfo& caller) { return admit(caller); },
      [this](HelloInfo caller, kj::Own<kj::AsyncIoStream> stream) { takeCaller(std::move(caller), kj::mv(stream)); });
  loop_.postAfter(kLauncherNanos, [this] {
    if (launcherConnection_.get()) return;
    spdlog::error("no launcher has called");
    leave(kOwnFailure);
  });
}

kj::Promise<std::string> VmProcess::admit(const HelloInfo& caller) {
  if (caller.program != options_.program) return std::string("this process runs another program");
  if (caller.role == Role::Launcher)
    return std::string(launcherConnection_.get() ? "the program has a launcher already" : "");
  if (caller.role != Role::Node) return fmt::format("a VM process does not serve the role {}", roleName(caller.role));
  if (hasPlan_) return admitPeer(caller);
  auto paf = kj::newPromiseAndFulfiller<void>();
  awaitingPlan_.push_back(kj::mv(paf.fulfiller));
  return paf.promise.then([this, caller] { return admitPeer(caller); });
}

std::string VmProcess::admitPeer(const HelloInfo& caller) const {
  if (caller.node <= options_.node || !peers_->expects(NodeId(caller.node)))
    return fmt::format("no node {} is expected", caller.node);
  if (caller.moduleHash != moduleHash_) return "the modules differ";
  if (!(caller.plan == plan_.plan)) return "the address plans differ";
  if (caller.view != kFirstView) return fmt::format("view {} is not the current one", caller.view);
  if (peers_->has(NodeId(caller.node), caller.link)) return fmt::format("node {} is connected already", caller.node);
  return "";
}

void VmProcess::takeCaller(HelloInfo caller, kj::Own<kj::AsyncIoStream> stream) {
  if (caller.role == Role::Launcher) return takeLauncher(kj::mv(stream));
  NodeId peer(caller.node);
  switch (caller.link) {
    case LinkRole::Control:
      return peers_->addControl(
          peer, kj::heap<RpcConnection>(kj::mv(stream), capnp::rpc::twoparty::Side::SERVER, peers_->ownLink()));
    case LinkRole::Small:
      return peers_->addData(peer, DataLink::Small, kj::mv(stream));
    case LinkRole::Bulk:
      return peers_->addData(peer, DataLink::Bulk, kj::mv(stream));
  }
}

void VmProcess::takeLauncher(kj::Own<kj::AsyncIoStream> stream) {
  KJ_IF_MAYBE (fd, stream->getFd()) hasLease_ = !staysOnMachine(*fd, /*accepted=*/true);
  launcherConnection_ =
      kj::heap<RpcConnection>(kj::mv(stream), capnp::rpc::twoparty::Side::SERVER, kj::heap<Server>(*this));
  launcher_ = launcherConnection_->peer().castAs<schema::Launcher>();
  loop_.detach(launcherConnection_->onDisconnect().then(
      [] {
        spdlog::debug("the launcher is gone");
        leave(0);
      },
      [](kj::Exception&&) { leave(0); }));
}

HelloInfo VmProcess::introduction(LinkRole link) const {
  HelloInfo info;
  info.role = Role::Node;
  info.program = options_.program;
  info.node = options_.node;
  info.moduleHash = moduleHash_;
  info.plan = plan_.plan;
  info.view = kFirstView;
  info.link = link;
  return info;
}

kj::Promise<void> VmProcess::callPeers() {
  kj::Vector<kj::Promise<void>> calls;
  for (NodeId peer : members(plan_)) {
    if (peer.value >= options_.node) break;
    auto address = Address::parse(plan_.peers[peer.index()]);
    if (!address.ok()) return toException(address.error());
    calls.add(callPeer(peer, *address));
  }
  return kj::joinPromises(calls.releaseAsArray()).then([this] { return peers_->whenComplete(); });
}

/// One connection after the other: the acceptor lets only so many callers greet at a time.
kj::Promise<void> VmProcess::callPeer(NodeId peer, const Address& address) {
  return cluster::callPeer(loop_, address, credentials_, introduction(LinkRole::Control), peers_->ownLink())
      .then([this, peer](kj::Own<RpcConnection> connection) { peers_->addControl(peer, kj::mv(connection)); })
      .then([this, peer, address] { return callData(peer, address, LinkRole::Small); })
      .then([this, peer, address] { return callData(peer, address, LinkRole::Bulk); });
}

kj::Promise<void> VmProcess::callData(NodeId peer, const Address& address, LinkRole role) {
  return callStream(loop_, address, credentials_, introduction(role))
      .then([this, peer, role](kj::Own<kj::AsyncIoStream> stream) {
        peers_->addData(peer, role == LinkRole::Small ? DataLink::Small : DataLink::Bulk, kj::mv(stream));
      });
}

// ---------------------------------------------------------------- the program

kj::Promise<void> VmProcess::prepare(StartPlan plan) {
  if (hasPlan_) return toException({ErrorCode::kInvalidInput, "the program has been prepared already"});
  if (plan.peers.size() <= options_.node || plan.peers[options_.node].empty())
    return toException({ErrorCode::kInvalidInput, fmt::format("node {} is none of the program's", options_.node)});
  plan_ = std::move(plan);
  moduleHash_ = moduleHashBytes(plan_.module);
  hasPlan_ = true;
  openNet();
  control_ = std::make_unique<ControlChannel>(*net_);
  ProgramEnd::Callbacks callbacks;
  callbacks.onEnd = [this](int32_t exitCode) {
    loop_.post([this, exitCode] {
      auto request = launcher().programEndedRequest();
      request.setExitCode(exitCode);
      loop_.detach(request.send().ignoreResult());
    });
  };
  callbacks.onUncaught = [this](const rt::ThreadEnd& end) {
    loop_.post([this, end] {
      auto request = launcher().uncaughtRequest();
      request.setThread(end.id);
      request.setReport(end.report);
      loop_.detach(request.send().ignoreResult());
    });
  };
  programEnd_ = std::make_unique<ProgramEnd>(*control_, std::move(callbacks));
  outside_ = std::make_unique<OutsideLink>(
      loop_, launcher(),
      [this](const rt::ThreadRef& thread, uint64_t ticket, rt::OutsideResult result) {
        node_->completeOutside(thread, ticket, std::move(result));
      },
      plan_.zeal.outsideEvery);

  for (auto& fulfiller : awaitingPlan_) fulfiller->fulfill();
  awaitingPlan_.clear();
  auto connected = callPeers().fork();
  auto built = main_.call([this]() -> Status {
    auto node =
        makeNode_({plan_, *control_, *outside_, *programEnd_, [this](Error error) { reportFatal(std::move(error)); }});
    if (!node.ok()) return node.error();
    node_ = std::move(*node);
    return Unit{};
  });
  return built.ignoreResult()
      .then([connected = connected.addBranch()]() mutable { return kj::mv(connected); })
      .then([this] {
        spdlog::info("ready, process {}", getpid());
        reportAlive();
        lease_.renewed(nowNanos());
        renewLease();
        if (hasLease_) checkLease();
      });
}

/// The data plane and the connections that feed it.
void VmProcess::openNet() {
  SocketNodeNetOptions netOptions;
  netOptions.self = NodeId(options_.node);
  netOptions.nodes = members(plan_);
  netOptions.view = kFirstView;
  netOptions.onPeerLost = [this](NodeId peer, std::string reason) {
    loop_.post([this, peer, reason = std::move(reason)] { onPeerLost(peer, reason); });
  };
  net_ = std::make_unique<SocketNodeNet>(messageLoop_, std::move(netOptions));
  PeerConnectionsOptions peerOptions;
  peerOptions.nodes = members(plan_);
  peerOptions.view = kFirstView;
  peers_ = kj::heap<PeerConnections>(loop_, *net_, peerOptions);
}

kj::Promise<void> VmProcess::setMembers(Members members) {
  if (!hasPlan_) return toException({ErrorCode::kUnavailable, "the program has not been prepared on this node"});
  if (members.view <= membersView_)
    return toException({ErrorCode::kRefused, fmt::format("view {} of the members is older than {}, which is known here",
                                                         members.view, membersView_)});
  membersView_ = members.view;
  spdlog::debug("view {}: {} members, {} places", members.view, members.nodes.size(), members.places.size());
  const std::vector<NodeId>& nodes = members.nodes;
  if (std::find(nodes.begin(), nodes.end(), NodeId(options_.node)) == nodes.end() ||
      nodes.back().value >= rt::kNodesMax)
    return toException({ErrorCode::kInvalidInput, "members that cannot be"});
  std::vector<NodeId> connected = members.joining;
  connected.insert(connected.end(), nodes.begin(), nodes.end());
  if (members.leaver.valid()) connected.push_back(members.leaver);  // it hangs up
  peers_->setMembers(connected);
  if (node_) node_->noteMembers(nodes, members.places);
  auto known = callOn(messageLoop_, loop_, [this, members] {
    net_->setMembers(members.nodes, members.places);
    programEnd_->membersChanged(members.left);
    return Status(Unit{});
  });
  return known.then([this, leaver = members.leaver](Unit) -> kj::Promise<void> {
    if (!leaver.valid()) return kj::READY_NOW;
    return settle(leaver).then([this, leaver] { return ping(leaver); });
  });
}

kj::Promise<void> VmProcess::settle(NodeId peer) {
  return awaitAnswers(peer, net_->asked(peer));
}

kj::Promise<void> VmProcess::awaitAnswers(NodeId peer, uint64_t count) {
  if (net_->answered(peer, count)) return kj::READY_NOW;
  return loop_.timer().afterDelay(kSettlePause).then([this, peer, count] { return awaitAnswers(peer, count); });
}

/// Completes when the peer has got all notifications that were sent before.
kj::Promise<void> VmProcess::ping(NodeId peer) {
  auto paf = kj::newPromiseAndCrossThreadFulfiller<void>();
  auto fulfiller = std::make_shared<kj::Own<kj::CrossThreadPromiseFulfiller<void>>>(kj::mv(paf.fulfiller));
  control_->request(peer, ControlKind::Ping, {}, [fulfiller](Result<Bytes> answer) {
    if (answer.ok()) return (*fulfiller)->fulfill();
    (*fulfiller)->reject(toException(answer.error()));
  });
  return kj::mv(paf.promise);
}

kj::Promise<void> VmProcess::pingAll() {
  kj::Vector<kj::Promise<void>> pings;
  for (NodeId peer : net_->nodes())
    if (peer.value != options_.node) pings.add(ping(peer));
  return kj::joinPromises(pings.releaseAsArray());
}

void VmProcess::onPeerLost(NodeId peer, const std::string& reason) {
  spdlog::debug("node {} is lost: {}", peer.value, reason);
  auto request = launcher().peerLostRequest();
  request.setNode(peer.value);
  request.setReason(reason);
  loop_.detach(request.send().ignoreResult());
}

/// What would be lost with this node, so that the launcher can say so. Names only while there are few threads: listing
/// many takes time.
void VmProcess::reportAlive() {
  struct Summary {
    uint32_t threads = 0;
    std::vector<std::string> names;
  };
  auto summary = main_.call([this] {
    NodeView view;
    node_->describe(view);
    Summary summary{view.threads, {}};
    if (view.threads > kThreadsListed) return Result<Summary>(std::move(summary));
    for (auto& thread : node_->threads()) {
      if (summary.names.size() == kNamesReported) break;
      summary.names.push_back(thread.name.empty() ? fmt::format("thread {}", thread.id) : thread.name);
    }
    return Result<Summary>(std::move(summary));
  });
  loop_.detach(summary.then([this](Summary summary) {
    auto request = launcher().aliveRequest();
    request.setNode(options_.node);
    request.setThreads(summary.threads);
    auto names = request.initNames(uint32_t(summary.names.size()));
    for (uint32_t i = 0; i < names.size(); ++i) names.set(i, summary.names[i]);
    return request.send().ignoreResult();
  }));
  loop_.postAfter(kAliveNanos, [this] { reportAlive(); });
}

void VmProcess::renewLease() {
  loop_.detach(launcher().renewLeaseRequest().send().then([this, asked = nowNanos()](auto) {
    lease_.renewed(asked);
    if (!frozen_ || lease_.at(nowNanos()) != Lease::State::Held) return;
    frozen_ = false;
    node_->freeze(false);
    spdlog::warn("the launcher is there again: going on");
  }));
  loop_.postAfter(Lease::kRenewalNanos, [this] { renewLease(); });
}

/// A node that is cut off must not go on: the others may be told to go on without it, or have been.
void VmProcess::checkLease() {
  const int64_t silence = lease_.silence(nowNanos());
  const Lease::State state = lease_.at(nowNanos());
  if (state == Lease::State::StandsStill && !frozen_) {
    frozen_ = true;
    node_->freeze(true);
    spdlog::warn("no word from the launcher for {} s: standing still", silence / 1'000'000'000);
  }
  if (state == Lease::State::Over) {
    spdlog::error("no word from the launcher for {} s: giving up", silence / 1'000'000'000);
    leave(kOwnFailure);
  }
  loop_.postAfter(Lease::kRenewalNanos, [this] { checkLease(); });
}

void VmProcess::reportFatal(Error error) {
  spdlog::error("the program cannot go on: {}", error.message);
  loop_.post([this, error] {
    auto request = launcher().fatalRequest();
    request.setNode(options_.node);
    request.setReason(error.message);
    loop_.detach(request.send().ignoreResult());
  });
}

NodeView VmProcess::describe() {
  NodeView view;
  view.node = options_.node;
  view.pid = uint32_t(getpid());
  view.address = plan_.peers[options_.node];
  view.cpuNanos = processCpuNanos();
  view.rssBytes = residentBytes();
  view.state = "running";
  node_->describe(view);
  return view;
}

}  // namespace

int runVmProcess(const VmProcessOptions& options, const MakeProgramNode& makeNode) {
  auto credentials = Credentials::read(options.keyFile);
  if (!credentials.ok()) {
    spdlog::error("{}", credentials.error().message);
    return kOwnFailure;
  }
  VmProcess process(options, makeNode, std::move(*credentials));
  process.run();
  leave(0);
}

}  // namespace jvmc::cluster
