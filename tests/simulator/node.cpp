#include "tests/simulator/node.h"

#include <fmt/format.h>

#include "runtime/abi/guest_memory.h"

namespace jvmc::sim {

using rt::GuestThread;
using rt::Resumption;
using rt::SyncOp;
using rt::SyncRequest;
using rt::ThreadMail;
using rt::ThreadState;

SimTimers::Id SimTimers::arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) {
  const Id id = ++next_;
  armed_[id] = &sink;
  events_.at(node_, nanos, [this, alive = alive_, id, a, b, c] {
    if (!*alive) return;
    const auto armed = armed_.extract(id);
    if (!armed.empty()) armed.mapped()->onTimer(a, b, c);
  });
  return id;
}

SimNode::SimNode(Surroundings& surroundings, NodeId id, std::vector<NodeId> members)
    : MemberNode(
          surroundings.network, id, std::move(members), World::plan(), World::kNodesMax,
          {.onEnd = [&surroundings](int32_t exitCode) { surroundings.programEnded(exitCode); }, .onUncaught = {}}),
      around_(surroundings),
      id_(id),
      timers_(surroundings.events, id.value),
      syncHome_({.post = *this,
                 .timers = timers_,
                 .clock = clock_,
                 .threadStateOffset = kThreadStateOffset,
                 .storeBarrier = [this](ObjectRef object, uint32_t offset,
                                        ObjectRef) { heap_.beforeReferenceStore(object, offset); },
                 .self = id}),
      heap_(surroundings, id, homes,
            [this](const std::function<void(ObjectRef)>& visit) {
              scheduler_.visitRoots(visit);
              space.visitRoots(visit);
            }),
      scheduler_(surroundings, id, {clock_, heap_, net, programEnd, space, migrator}),
      space(*this, *this, net, homes, clock_, surroundings.profile.space),
      router(scheduler_, net, homes),
      migrator(scheduler_, net, router, homes),
      collector(
          control, space, *this, heap_,
          [this](rt::Trace&) {
            router.visitAnswers([this](const Resumption& answer) { scheduler_.answerArrived(answer); });
          },
          [](uint64_t) { return false; }),
      staleness_(net, clock_, space.stats(),
                 [this] {
                   space.flushDeferred();
                   scheduler_.pollAll();
                 }),
      meter_({id, SimScheduler::kWorkers, surroundings.profile.balance.policy == cluster::BalancePolicy::Rotate},
             scheduler_.load(), space.remoteUse(), space.blockUsers(), [] { return cluster::MemoryLoad{}; }),
      balancer_(
          control, surroundings.profile.balance, false, meter_,
          {*this, [this](const cluster::BlockGift& gift) { space.mover().move({gift.to}, gift.bytes, [](auto&) {}); },
           migrator.placer()}) {
  space.loans().open(syncHome_);
  net.setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
    migrator.handleMessage(payload, *responder);
  });
}

SimNode::~SimNode() {
  *alive_ = false;
}

void SimNode::start() {
  staleness_.start();
  balancer_.start();
  if (around_.profile.roundMillis > 0) collector.start(around_.profile.roundMillis);
  if (around_.profile.shakeNanos > 0) every(around_.profile.shakeNanos, [this] { shake(); });
  if (around_.profile.evictNanos > 0) every(around_.profile.evictNanos, [this] { evict(); });
}

void SimNode::stop() {
  stopped_ = true;
  scheduler_.stop();
  staleness_.stop();
  balancer_.stop();
  collector.stop();
  space.mover().stop();
  space.objectLoans().stop();
  migrator.close();
}

void SimNode::every(int64_t nanos, std::function<void()> what) {
  net.postAfter(around_.events.between(1, 2 * nanos), [this, nanos, what = std::move(what), alive = alive_] {
    if (!*alive || stopped_) return;
    what();
    every(nanos, what);
  });
}

void SimNode::shake() {
  const std::vector<NodeId> places = net.places();
  if (places.empty()) return;
  const NodeId target = places[around_.events.random.below(places.size())];
  if (target == id_) return;
  around_.history.note(What::BlocksSent, id_.value, target.value);
  space.mover().move({target}, rt::kBlockBytes * (1 + around_.events.random.below(2)), [this](const auto& result) {
    around_.history.note(What::Blocks, id_.value, result.groups, result.revoked, result.bytes);
  });
}

void SimNode::evict() {
  around_.history.note(What::Evicted, id_.value, space.evictor().evict(rt::kBlockBytes));
  space.releaseEarly(around_.events.chance(around_.profile.earlyReleases));
}

// ---------------------------------------------------------------- at the home

std::optional<Resumption> SimNode::carryOut(const SyncRequest& request, NodeId from) {
  const bool remote = from != id_ && around_.profile.space.fault != cluster::Fault::HomeClockNotBumped;
  around_.history.note(What::CarriedOut, id_.value, request.thread.id, uint64_t(request.op), request.object);
  if (request.op == SyncOp::ThreadStart) router.starting(request.a, from);
  if (request.op == SyncOp::ThreadEnd) router.ended(request.thread.id);
  return syncHome_.handle(request, remote ? from : NodeId());
}

/// As VmHost does it.
Bytes SimNode::takeHomeState(ObjectRef object) {
  const ThreadId thread = around_.world.threadOf(object);
  if (thread == 0 && !(rt::header(object)->lockWord.load() & rt::kLockInflated)) return {};
  std::optional<cluster::LastSeen> seen = thread != 0 ? router.takeLocation(thread) : std::nullopt;
  if (thread != 0 && !seen && scheduler_.isHere(thread)) seen = cluster::LastSeen{id_, 0};
  cluster::ByteWriter out;
  out.put(seen.has_value());
  out.put(seen ? seen->node.value : 0u);
  out.put(seen ? seen->incarnation : 0u);
  putSyncState(out, syncHome_.take(object));
  return out.take();
}

bool SimNode::putHomeState(ObjectRef object, std::span<const uint8_t> state) {
  cluster::ByteReader in(state);
  const bool seen = in.getBool();
  cluster::LastSeen place;
  place.node = NodeId(in.get<uint32_t>());
  place.incarnation = in.get<uint32_t>();
  const rt::SyncState sync = cluster::getSyncState(in);
  if (!in.finished()) return false;
  if (seen) router.putLocation(around_.world.threadOf(object), place);
  if (!sync.empty()) syncHome_.put(object, sync);
  return true;
}

std::unique_ptr<cluster::HelperThread> SimNode::makeThread() {
  return std::make_unique<FiberThread>(around_.events, around_.fibers, id_.value);
}

void SimNode::visitHomeRoots(const std::function<void(ObjectRef)>& visit) {
  migrator.forEachLeaving([&](const GuestThread& thread) { scheduler_.visitReferences(thread, visit); });
}

// ---------------------------------------------------------------- leaving the program

void SimNode::noteMembers() {
  if (net.isPlace(id_)) departures_.forget();
}

cluster::LeftView SimNode::evacuate() {
  std::vector<NodeId> places = net.places();
  std::erase(places, id_);
  cluster::LeftView left;
  left.threads = scheduler_.threads() + migrator.onTheirWay() + router.sendLettersOn() + space.deferred() +
                 space.loans().end() + collector.leads();
  space.flushDeferred();
  left.incomingBytes = space.arrivals().awaitedBytes();
  if (places.empty()) return left;
  uint64_t bytes = 0;
  for (uint64_t block : around_.world.blocks()) bytes += homes.isServedBy(id_, block) ? rt::kBlockBytes : 0;
  const bool mayWait = departures_.mayWait(bytes);
  std::vector<cluster::Departing> threads;
  scheduler_.visitThreads([&](const GuestThread& thread, bool isMoving) {
    cluster::Departing& each = threads.emplace_back(cluster::Departing{thread.ref, false, {}});
    if (!mayWait || isMoving || thread.state != ThreadState::Parked) return;
    // What it does next is not known here; any block will do.
    for (uint64_t block : around_.world.blocks())
      if (homes.isServedBy(id_, block) && around_.events.chance(0.3)) each.blocks.push_back(block);
  });
  for (const cluster::Departing& each : departures_.make(std::move(threads)))
    sendAway(each.thread, places[each.thread.id / rt::kNodesMax % places.size()]);
  if (around_.profile.space.fault == cluster::Fault::LeavesUncounted) return {};
  return left;
}

void SimNode::moveBlocks(const std::vector<NodeId>& targets, uint64_t bytes,
                         std::function<void(const cluster::MoveResult&)> done) {
  const auto moved = [this, done = std::move(done)](const cluster::MoveResult& result) {
    departures_.blocksHaveLeft(result.bytes);
    done(result);
  };
  const auto onItsWay = [this](const rt::BlockGroup& group, NodeId target) {
    for (const cluster::Departing& each : departures_.takeWith(group.address)) sendAway(each.thread, target);
  };
  space.mover().move(targets, bytes, moved, {}, onItsWay);
}

void SimNode::sendAway(const rt::ThreadRef& thread, NodeId target) {
  ThreadMail mail{};
  mail.kind = ThreadMail::Kind::Migrate;
  mail.target = target;
  router.send(thread, mail);
}

std::string SimNode::describe() {
  const cluster::SpaceState state = space.state();
  std::string text =
      fmt::format("node {}: clock {}, {} busy, {} written\n", id_.value, state.clock, state.busy, state.written);
  text += scheduler_.describe();
  router.report([&](const std::string& name, uint64_t value) { text += fmt::format("  {} {}\n", name, value); });
  for (const std::string& transfer : migrator.inTransit()) text += "  on its way: " + transfer + "\n";
  return text;
}

}  // namespace jvmc::sim
