#include "cluster/launch/vm_program_node.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "cluster/launch/freezer.h"
#include "cluster/launch/observer.h"
#include "cluster/launch/state_name.h"
#include "cluster/migration/departure_plan.h"
#include "cluster/node_services.h"
#include "ir/binary/reader.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/frames/codec.h"
#include "runtime/frames/function_info.h"
#include "runtime/helpers/throwing.h"
#include "runtime/natives/native_table.h"
#include "runtime/sync/local_object_space.h"

namespace jvmc::cluster {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kCpuWindowNanos = 100e6;  // of ThreadSnapshot::cpuNanosRecent

ThreadView viewOf(const rt::ThreadSnapshot& snapshot, NodeId node) {
  ThreadView view;
  view.id = snapshot.ref.id;
  view.name = snapshot.name;
  view.node = node.value;
  view.state = stateName(snapshot.state);
  if (snapshot.state == rt::ThreadState::Parked) view.wait = rt::waitName(snapshot.wait.kind);
  view.moves = snapshot.incarnation;
  view.cpuNanos = snapshot.stats.cpuNanosInterpreter + snapshot.stats.cpuNanosCompiled + snapshot.cpuNanosRunning;
  view.pinned = snapshot.pinned;
  view.cpuShare = double(snapshot.cpuNanosRecent) / kCpuWindowNanos;
  return view;
}

DecisionView viewOf(const DecisionRecord& record, NodeId node) {
  DecisionView view;
  view.number = record.number;
  view.node = node.value;
  view.ageNanos = steadyNanos() - record.nanos;
  std::visit(
      [&](const auto& move) {
        view.from = move.from.value;
        view.to = move.to.value;
        view.predicted = move.gain;
        view.reason = move.reason;
      },
      record.move);
  if (const Move* move = std::get_if<Move>(&record.move)) view.thread = move->thread.id;
  if (const BlockMove* move = std::get_if<BlockMove>(&record.move)) view.bytes = move->bytes;
  view.isMeasured = record.measured.has_value();
  view.measured = record.measured.value_or(0);
  view.outcome = nameOf(record.outcome);
  view.times = record.times;
  return view;
}

Json heapJson(const rt::HeapStats& heap) {
  return {{"allocatedBytes", heap.allocatedBytes},
          {"liveBytesAfterLast", heap.liveBytesAfterLast},
          {"reservedBytes", heap.reservedBytes},
          {"collections", heap.collections},
          {"fullCollections", heap.fullCollections},
          {"cycles", heap.cycles},
          {"pauses", heap.pauses},
          {"pauseNanosTotal", heap.pauseNanosTotal},
          {"pauseNanosP50", heap.pauseNanosP50},
          {"pauseNanosP99", heap.pauseNanosP99},
          {"pauseNanosMax", heap.pauseNanosMax},
          {"barrierCalls", heap.barrierCalls}};
}

Json codeJson(const rt::CodeStats& code) {
  return {{"functions", code.functions},
          {"continuations", code.continuations},
          {"codeBytes", code.codeBytes},
          {"compileNanos", code.compileNanos},
          {"failures", code.failures}};
}

/// Objects homed here, those of the classes with most bytes one by one.
Json homedJson(rt::Vm& vm, uint32_t classesMax) {
  struct Count {
    rt::ClassIndex index;
    uint64_t objects = 0, bytes = 0;
  };
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Count> counts;
  Count all{};
  vm.heap().forEachSurvivor([&](rt::ClassIndex index, uint64_t bytes) {
    while (counts.size() <= index) counts.push_back({rt::ClassIndex(counts.size())});
    for (Count* count : {&counts[index], &all}) {
      ++count->objects;
      count->bytes += bytes;
    }
  });
  const auto nanos = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
  std::sort(counts.begin(), counts.end(),
            [](const Count& a, const Count& b) { return a.bytes != b.bytes ? a.bytes > b.bytes : a.index < b.index; });
  Json classes = Json::array();
  for (const Count& count : counts) {
    if (count.objects == 0 || classes.size() == classesMax) break;
    classes.push_back(
        {{"class", rt::className(vm.layout(), count.index)}, {"objects", count.objects}, {"bytes", count.bytes}});
  }
  return {{"objects", all.objects}, {"bytes", all.bytes}, {"classes", classes}, {"countNanos", nanos}};
}

/// "objects.fetches" becomes {"objects": {"fetches": ...}}.
void putNested(Json& into, const std::string& name, uint64_t value) {
  Json* at = &into;
  size_t from = 0;
  for (size_t dot; (dot = name.find('.', from)) != std::string::npos; from = dot + 1)
    at = &(*at)[name.substr(from, dot - from)];
  (*at)[name.substr(from)] = value;
}

/// What stands behind the VM's ports on this node.
class Surroundings {
 public:
  virtual ~Surroundings() = default;
  virtual rt::VmPorts attach(rt::Vm& vm) = 0;
  virtual void start() {}
  virtual void stop() {}
  virtual void report(const StatSink&) const {}
  virtual const rt::SyncHome& syncHome() = 0;
  /// Null: there are no other nodes.
  virtual NodeServices* services() { return nullptr; }
};

/// The only node: everything is at home.
class AloneSurroundings final : public Surroundings {
 public:
  rt::VmPorts attach(rt::Vm& vm) override {
    regions_.emplace(vm.options().plan);
    space_.emplace(vm.layout(), vm.scheduler(), vm.scheduler().timers(), vm.clock());
    rt::VmPorts ports;
    ports.space = &*space_;
    ports.regions = &*regions_;
    return ports;
  }
  const rt::SyncHome& syncHome() override { return space_->syncHome(); }

 private:
  std::optional<rt::LocalRegionSource> regions_;
  std::optional<rt::LocalObjectSpace> space_;
};

class ClusterSurroundings final : public Surroundings {
 public:
  ClusterSurroundings(ControlChannel& control, NodeServicesOptions options) : services_(control, std::move(options)) {}
  rt::VmPorts attach(rt::Vm& vm) override {
    ThreadCodec codec;
    codec.encode = [&vm](const rt::GuestThread& thread) { return rt::encodeThread(vm.functionInfos(), thread); };
    codec.decode = [&vm](std::span<const uint8_t> image) {
      // Whether a reference leads to an object is asked later (VmHost::decode), by who knows where homes are.
      return rt::decodeThread(vm.functionInfos(), image, [&vm](rt::ObjectRef object) {
        return vm.options().plan.contains(object) && object % rt::kObjectAlignment == 0;
      });
    };
    return services_.attach(vm, std::move(codec));
  }
  void start() override { services_.start(); }
  void stop() override { services_.stop(); }
  void report(const StatSink& sink) const override { services_.report(sink); }
  const rt::SyncHome& syncHome() override { return services_.syncHome(); }
  NodeServices* services() override { return &services_; }

 private:
  NodeServices services_;
};

Result<std::unique_ptr<Surroundings>> makeSurroundings(const ProgramNodeParts& parts) {
  if (isAlone(parts.plan)) return std::unique_ptr<Surroundings>(std::make_unique<AloneSurroundings>());
  auto policy = parsePolicy(parts.plan.balance);
  if (!policy.ok()) return policy.error();
  NodeServicesOptions options;
  options.balance.policy = *policy;
  options.balanceDryRun = parts.plan.balanceDryRun;
  options.collects = parts.plan.collects;
  options.startsHere = parts.plan.startsHere;
  options.space.noCache = noCacheFromEnvironment();
  options.space.leases = !noLeasesFromEnvironment();
  options.fatal = parts.fatal;
  return std::unique_ptr<Surroundings>(std::make_unique<ClusterSurroundings>(parts.control, std::move(options)));
}

class VmProgramNode final : public ProgramNode {
 public:
  VmProgramNode(const ProgramNodeParts& parts, std::unique_ptr<ir::Module> module,
                std::unique_ptr<Surroundings> surroundings, const rt::MakeCodeProvider& makeCode)
      : net_(parts.control.net()),
        self_(net_.self()),
        module_(std::move(module)),
        surroundings_(std::move(surroundings)) {
    vm_ = rt::Vm::create(*module_, vmOptions(parts.plan, self_.value), makeCode, [&](rt::Vm& vm) {
      rt::VmPorts ports = surroundings_->attach(vm);
      ports.outside = &parts.outside;
      ports.events = &parts.events;
      return ports;
    });
    freezer_.emplace(vm_->world());
    observer_.emplace(*vm_, surroundings_->syncHome(), surroundings_->services(), net_);
  }

  /// What nodes that have gone have left behind. False if it makes no sense.
  bool takeOver(const std::vector<std::vector<uint8_t>>& homes) {
    return std::all_of(homes.begin(), homes.end(), [this](const auto& each) { return takeOverHomes(each); });
  }

  Status profileFromStart(const std::string& options) {
    return options.empty() ? Status(Unit{}) : observer_->startProfile(options);
  }

  void begin() override {
    surroundings_->start();
    if (self_.value == 0) vm_->startMain();
  }

  std::string finish() override {
    surroundings_->stop();
    const std::string profile = observer_->finishProfile();
    vm_->scheduler().stopAll();
    Json stats = {{"node", self_.value}, {"pid", getpid()}};
    stats["captures"] = Json::parse(vm_->captureStats().toJson());
    addStats(stats);
    if (!profile.empty()) stats["profile"] = Json::parse(profile);
    return stats.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  std::string inspect(uint32_t classes, bool collect) override {
    if (collect) vm_->heap().collect(nullptr);
    Json report = {{"node", self_.value}, {"pid", getpid()}};
    report["homed"] = homedJson(*vm_, classes);
    addStats(report);
    return report.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  std::string counters() override {
    Json report = {{"node", self_.value}, {"pid", getpid()}};
    addStats(report);
    return report.dump();
  }

  Result<std::string> observe(const std::string& request) override { return observer_->answer(request); }

  std::vector<ThreadView> threads() override {
    std::vector<ThreadView> views;
    NodeServices* services = surroundings_->services();
    for (auto& snapshot : vm_->scheduler().snapshot()) {
      ThreadView& view = views.emplace_back(viewOf(snapshot, self_));
      if (!services) continue;
      for (const HomeUse& use : services->usesOf(snapshot.ref.id))
        view.uses.push_back({use.home.value, use.requests, use.bytes, use.requestsPerSecond, use.bytesPerSecond});
    }
    return views;
  }

  void describe(NodeView& view) override {
    view.threads = uint32_t(vm_->scheduler().threadCount());
    view.heapBytes = heapBytes();
    view.heapLimitBytes = vm_->heap().use().limit;
    view.workers = vm_->options().workers;
    view.queued = vm_->scheduler().queuedThreads();
    NodeServices* services = surroundings_->services();
    if (!services) return;
    const NodeLoad load = services->load();
    view.workerCpu = load.workerCpu;
    view.copyBytes = load.memory.copies;
    view.remoteRequests = load.remote.requests;
    view.remoteBytes = load.remote.bytes;
  }

  bool migrate(uint64_t thread, NodeId target) override {
    for (auto& snapshot : vm_->scheduler().snapshot()) {
      if (snapshot.ref.id != thread) continue;
      rt::ThreadMail mail{};
      mail.kind = rt::ThreadMail::Kind::Migrate;
      mail.target = target;
      if (target != self_) vm_->post().send(snapshot.ref, mail);
      return true;
    }
    return false;
  }

  bool pin(uint64_t thread, bool pinned, NodeId target) override {
    for (auto& snapshot : vm_->scheduler().snapshot()) {
      if (snapshot.ref.id != thread) continue;
      rt::ThreadMail mail{};
      mail.kind = pinned ? rt::ThreadMail::Kind::Pin : rt::ThreadMail::Kind::Unpin;
      mail.target = target;
      vm_->post().send(snapshot.ref, mail);
      return true;
    }
    return false;
  }

  std::vector<DecisionView> decisions() override {
    std::vector<DecisionView> views;
    NodeServices* services = surroundings_->services();
    if (!services) return views;
    for (const DecisionRecord& record : services->balancer().decisions()) views.push_back(viewOf(record, self_));
    return views;
  }

  void moveBlocks(std::vector<NodeId> targets, uint64_t bytes, std::function<void(BlocksMovedView)> done) override {
    NodeServices* services = surroundings_->services();
    if (!services) {
      BlocksMovedView nothing;
      nothing.refusal = "there is no other node";
      return done(nothing);
    }
    const auto moved = [this, done = std::move(done)](const MoveResult& result) {
      departures_.blocksHaveLeft(result.bytes);
      done({result.bytes, result.groups, result.revoked, result.refusal.message});
    };
    const auto onItsWay = [this](const rt::BlockGroup& group, NodeId target) {
      for (const Departing& each : departures_.takeWith(group.address)) sendAway(each, target);
    };
    services->mover().move(std::move(targets), bytes, moved, {}, onItsWay);
  }

  LeftView evacuate() override {
    LeftView left;
    left.threads = vm_->scheduler().threadCount();
    NodeServices* services = surroundings_->services();
    if (!services) return left;
    left.threads += services->threadsOnTheirWay() + services->sendLettersOn() + services->roundsLed();
    left.incomingBytes = services->awaitedBlockBytes();
    std::vector<NodeId> places = net_.places();
    std::erase(places, self_);
    if (places.empty()) return left;
    const bool mayWait = departures_.mayWait(heapBytes());
    for (const Departing& each : departures_.make(threadsToLeave(services->homes(), mayWait)))
      sendAway(each, places[each.thread.id / rt::kNodesMax % places.size()]);
    return left;
  }

  std::vector<uint8_t> homes() override {
    NodeServices* services = surroundings_->services();
    return services ? services->homes().beliefs() : std::vector<uint8_t>();
  }

  bool takeOverHomes(std::span<const uint8_t> homes) override {
    NodeServices* services = surroundings_->services();
    return services && services->homes().takeOver(homes);
  }

  void noteMembers(std::span<const NodeId> nodes, std::span<const NodeId> places) override {
    observer_->noteMembers(nodes, places);
    if (std::find(places.begin(), places.end(), self_) != places.end()) departures_.forget();
  }

  void freeze(bool frozen) override {
    isFrozen_ = frozen;
    freezer_->set(frozen);
  }

  /// On the launcher's thread, as freeze() is: while the node stands still it must not wait for guest access, because
  /// the permission to go on comes by it.
  void completeOutside(const rt::ThreadRef& thread, uint64_t ticket, rt::OutsideResult result) override {
    if (!isFrozen_) return void(vm_->scheduler().completeOutside(thread, ticket, std::move(result)));
    net_.post([this, thread, ticket, result = std::move(result)] {
      vm_->scheduler().completeOutside(thread, ticket, result);
    });
  }

 private:
  /// With the blocks here that those refer to who wait for something, if they may wait for blocks.
  std::vector<Departing> threadsToLeave(const HomeMap& homes, bool mayWait) {
    std::vector<Departing> threads;
    vm_->scheduler().visitThreads([&](const rt::GuestThread& thread, bool moving, bool) {
      Departing& each = threads.emplace_back(Departing{thread.ref, thread.pinned, {}});
      if (!mayWait || moving || thread.state != rt::ThreadState::Parked) return;
      rt::visitThreadReferences(vm_->functionInfos(), thread, [&](rt::ObjectRef object) {
        if (object != thread.ref.object && homes.isServedBy(self_, object))
          each.blocks.push_back(object & ~uint64_t(rt::kBlockBytes - 1));
      });
    });
    return threads;
  }

  /// As far as is known.
  uint64_t heapBytes() const {
    const rt::HeapStats heap = vm_->heap().stats();
    return heap.collections ? heap.liveBytesAfterLast : heap.allocatedBytes;
  }

  void sendAway(const Departing& departing, NodeId target) {
    rt::ThreadMail mail{};
    mail.kind = departing.pinned ? rt::ThreadMail::Kind::Pin : rt::ThreadMail::Kind::Migrate;
    mail.target = target;
    vm_->post().send(departing.thread, mail);
  }

  /// What may be read while the program runs.
  void addStats(Json& into) {
    into["heap"] = heapJson(vm_->heap().stats());
    if (vm_->options().mode != rt::RunMode::Interp && vm_->code()) into["code"] = codeJson(vm_->code()->stats());
    surroundings_->report([&](const std::string& name, uint64_t value) { putNested(into, name, value); });
  }

  NodeNet& net_;
  NodeId self_;
  std::unique_ptr<ir::Module> module_;
  std::unique_ptr<Surroundings> surroundings_;
  std::unique_ptr<rt::Vm> vm_;  // first to go but one: it uses the rest
  std::optional<Freezer> freezer_;
  bool isFrozen_ = false;
  DeparturePlan departures_;
  std::optional<Observer> observer_;
};

}  // namespace

MakeProgramNode vmProgramNodes(rt::MakeCodeProvider makeCode) {
  return [makeCode = std::move(makeCode)](const ProgramNodeParts& parts) -> Result<std::unique_ptr<ProgramNode>> {
    auto module = ir::openModuleBytes(parts.plan.module);
    if (!module.ok()) return std::move(module).error().withContext("cannot load the program");
    if (auto natives = rt::checkNatives(**module); !natives.ok()) return natives.error();
    auto surroundings = makeSurroundings(parts);
    if (!surroundings.ok()) return surroundings.error();
    auto node = std::make_unique<VmProgramNode>(parts, std::move(*module), std::move(*surroundings), makeCode);
    if (auto profiled = node->profileFromStart(parts.plan.profile); !profiled.ok()) return profiled.error();
    if (!node->takeOver(parts.plan.homes)) return Error{ErrorCode::kCorrupt, "the homes of moved blocks make no sense"};
    return std::unique_ptr<ProgramNode>(std::move(node));
  };
}

}  // namespace jvmc::cluster
