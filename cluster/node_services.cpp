#include "cluster/node_services.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "cluster/balance/memory_keeper.h"
#include "cluster/collect/collector.h"
#include "cluster/objects/staleness_bound.h"
#include "cluster/vm_host.h"

namespace jvmc::cluster {

namespace {

constexpr std::array<const char*, kChannels> kChannelNames = {"objects", "threads", "control"};

}  // namespace

/// Zeal: hands blocks to the next node again and again.
class BlockShaker {
 public:
  static constexpr uint64_t kBytes = 4 * rt::kBlockBytes;

  BlockShaker(NodeNet& net, BlockMover& mover, uint64_t everyMillis)
      : net_(net), mover_(mover), everyNanos_(int64_t(everyMillis) * 1'000'000) {}

  void start() {
    if (everyNanos_ > 0) schedule();
  }
  void stop() { stopped_ = true; }

 private:
  void schedule() {
    net_.postAfter(everyNanos_, [this] {
      if (stopped_) return;
      const NodeId next = net_.nextPlace();
      if (next == net_.self()) return schedule();
      mover_.move({next}, kBytes, [this](const MoveResult&) { schedule(); });
    });
  }

  NodeNet& net_;
  BlockMover& mover_;
  const int64_t everyNanos_;
  std::atomic<bool> stopped_{false};
};

static SpaceOptions withZeal(SpaceOptions options, const rt::Zeal& zeal) {
  options.leaseEverything = zeal.leasesEvery != 0;
  if (options.leaseEverything) options.leaseNanos = int64_t(zeal.leasesEvery) * 1'000'000;
  return options;
}

/// Everything that knows the VM. Made by attach(), in the order in which the parts need each other.
struct NodeServices::Parts {
  ControlChannel& control;
  NodeServicesOptions options;

  struct Attached {
    Attached(ControlChannel& control, const NodeServicesOptions& options, rt::Vm& vm, ThreadCodec codec)
        : homes(vm.options().plan, rt::kNodesMax),
          regions(homes, vm.options().node),
          host(vm, homes, vm.options().node, std::move(codec), options.fatal),
          space(host, host, control.net(), homes, vm.clock(), withZeal(options.space, vm.options().zeal)),
          router(host, control.net(), homes),
          migrator(host, control.net(), router, homes),
          collector(
              control, space, host, vm.heap(), [this, &vm](rt::Trace& trace) { greyMore(vm, trace); },
              DueRounds(vm.heap())),
          keeper(control, host, space, vm, !options.space.noCache, collector),
          meter({vm.options().node, vm.options().workers, options.balance.policy == BalancePolicy::Rotate},
                vm.scheduler(), space.remoteUse(), space.blockUsers(), [this] { return keeper.load(); }),
          balancer(control, options.balance, options.balanceDryRun, meter,
                   {router, [this](const BlockGift& gift) { keeper.give(gift); }, migrator.placer()}),
          shaker(control.net(), space.mover(), vm.options().zeal.blocksEvery),
          staleness(control.net(), vm.clock(), space.stats(), [this, &vm] {
            space.flushDeferred();
            vm.world().pollAll();
          }) {
      if (options.balance.policy == BalancePolicy::Affinity) space.blockUsers().enable();
      host.router = &router;
      host.space = &space;
      host.threadsLeaving = [this](const auto& visit) { migrator.forEachLeaving(visit); };
      host.openHome(router);
      control.net().setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
        migrator.handleMessage(payload, *responder);
      });
    }

    /// What this node has hold of besides the roots of heap and object space. Statics objects are the same everywhere,
    /// so their home need not be told.
    void greyMore(rt::Vm& vm, rt::Trace& trace) {
      for (uint32_t i = 0; i < vm.module().classes.size(); ++i)
        trace.greyHere(vm.layout()[ir::ClassId(i)].staticsAddress);
      router.visitAnswers([this](const rt::Resumption& answer) { space.core().answerArrived(answer); });
    }

    HomeMap homes;
    DealtRegions regions;
    VmHost host;
    ClusterObjectSpace space;
    ThreadRouter router;
    ThreadMigrator migrator;
    ClusterCollector collector;
    MemoryKeeper keeper;
    LoadMeter meter;
    Balancer balancer;
    BlockShaker shaker;
    StalenessBound staleness;
  };
  std::unique_ptr<Attached> attached;
  uint64_t collectEvery = 0;  ///< zeal, milliseconds
};

NodeServices::NodeServices(ControlChannel& control, NodeServicesOptions options)
    : parts_(new Parts{control, std::move(options), nullptr, 0}) {}

NodeServices::~NodeServices() = default;

rt::VmPorts NodeServices::attach(rt::Vm& vm, ThreadCodec codec) {
  parts_->attached = std::make_unique<Parts::Attached>(parts_->control, parts_->options, vm, std::move(codec));
  parts_->collectEvery = vm.options().zeal.roundsEvery;
  Parts::Attached& attached = *parts_->attached;
  rt::VmPorts ports;
  ports.space = &attached.space;
  ports.post = &attached.router;
  ports.shipper = &attached.migrator;
  ports.regions = &attached.regions;
  ports.relief = &attached.keeper;
  return ports;
}

void NodeServices::start() {
  if (parts_->options.startsHere) parts_->attached->migrator.placer().alwaysHere();
  if (parts_->options.collects || parts_->collectEvery > 0) parts_->attached->collector.start(parts_->collectEvery);
  parts_->attached->keeper.start();
  parts_->attached->balancer.start();
  parts_->attached->shaker.start();
  parts_->attached->staleness.start();
}

void NodeServices::stop() {
  parts_->attached->balancer.stop();
  parts_->attached->staleness.stop();
  parts_->attached->shaker.stop();
  parts_->attached->keeper.stop();
  parts_->attached->collector.stop();
  parts_->attached->space.mover().stop();
  parts_->attached->space.objectLoans().stop();
  parts_->attached->migrator.close();
}

void NodeServices::report(const StatSink& sink) const {
  const Parts::Attached& attached = *parts_->attached;
  attached.space.stats().report(sink);
  attached.migrator.stats().report(sink);
  attached.router.report(sink);
  attached.balancer.report(sink);
  attached.keeper.report(sink);
  attached.collector.report(sink);
  const NetStats net = parts_->control.net().stats();
  for (size_t i = 0; i < kChannels; ++i) {
    const std::string name = std::string("net.") + kChannelNames[i];
    sink(name + ".messages_out", net.channels[i].messagesSent);
    sink(name + ".bytes_out", net.channels[i].bytesSent);
    sink(name + ".messages_in", net.channels[i].messagesReceived);
    sink(name + ".bytes_in", net.channels[i].bytesReceived);
  }
}

std::vector<rt::ThreadId> NodeServices::threadsLastSeenAt(NodeId node) const {
  return parts_->attached->router.lastSeenAt(node);
}

std::vector<std::string> NodeServices::threadsInTransit() const {
  return parts_->attached->migrator.inTransit();
}

const Balancer& NodeServices::balancer() const {
  return parts_->attached->balancer;
}

NodeLoad NodeServices::load() const {
  return parts_->attached->meter.latest();
}

std::vector<HomeUse> NodeServices::usesOf(rt::ThreadId thread) const {
  return parts_->attached->space.remoteUse().of(thread);
}

BlockMover& NodeServices::mover() {
  return parts_->attached->space.mover();
}

uint64_t NodeServices::awaitedBlockBytes() const {
  return parts_->attached->space.arrivals().awaitedBytes();
}

HomeMap& NodeServices::homes() {
  return parts_->attached->homes;
}

const rt::SyncHome& NodeServices::syncHome() const {
  return parts_->attached->host.syncHome();
}

size_t NodeServices::threadsOnTheirWay() const {
  return parts_->attached->migrator.onTheirWay();
}

size_t NodeServices::sendLettersOn() {
  Parts::Attached& attached = *parts_->attached;
  attached.space.flushDeferred();
  return attached.router.sendLettersOn() + attached.space.deferred() + attached.space.loans().end() +
         attached.space.objectLoans().giveUp();
}

size_t NodeServices::roundsLed() const {
  return parts_->attached->collector.leads() ? 1 : 0;
}

NodeState NodeServices::state() {
  Parts::Attached& attached = *parts_->attached;
  return {attached.space.state(),          attached.migrator.onTheirWay(),           attached.migrator.inTransit(),
          attached.migrator.lastRefusal(), attached.space.arrivals().awaitedBytes(), attached.collector.describe()};
}

std::string NodeState::text() const {
  std::string text = fmt::format("objects: {} being fetched or flushed, {} with writes that are not home yet, clock {}",
                                 space.busy, space.written, space.clock);
  text += fmt::format("\nthreads on their way from here: {}", threadsLeaving);
  for (const std::string& transfer : threadsSent) text += fmt::format("\n  sent, not answered: {}", transfer);
  if (incomingBlockBytes > 0) text += fmt::format("\nblocks on their way to here: {} KiB", incomingBlockBytes / 1024);
  if (!collected.empty()) text += "\n" + collected;
  if (!lastRefusal.empty()) text += "\nlast refused move: " + lastRefusal;
  return text;
}

static bool isSetInEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value && std::strcmp(value, "1") == 0;
}

bool noCacheFromEnvironment() {
  return isSetInEnvironment("JVMC_NO_CACHE");
}

bool noLeasesFromEnvironment() {
  return isSetInEnvironment("JVMC_NO_LEASES");
}

}  // namespace jvmc::cluster
