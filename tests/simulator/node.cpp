#include "tests/simulator/node.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include "runtime/abi/guest_memory.h"

namespace jvmc::sim {

using rt::GuestThread;
using rt::Resumption;
using rt::SyncOp;
using rt::SyncRequest;
using rt::ThreadContext;
using rt::ThreadMail;
using rt::ThreadState;

namespace {

constexpr int32_t kThreadEnded = 2;
/// Tickets of flushes before a move: a thread's wait keeps its own.
constexpr uint64_t kFlushTickets = uint64_t(1) << 63;
constexpr uint32_t kWorkers = 2;
constexpr int64_t kWakeNanosMax = 20 * kMicros;

uint64_t blockOf(uint64_t address) {
  return address & ~uint64_t(rt::kBlockBytes - 1);
}

}  // namespace

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

// ---------------------------------------------------------------- threads here

/// A fiber that waits inside a slow path.
struct SimNode::Suspension {
  ThreadId thread = 0;
  bool woken = false, waits = false;
};

struct SimNode::Entry {
  enum class End { Suspended, Polls, Parked, Over };

  std::unique_ptr<GuestThread> thread;
  rt::Fiber* fiber = nullptr;
  cluster::WaitToken suspension;
  End end = End::Polls;
  bool isDue = false;        ///< an event will run it
  bool moving = false;       ///< it leaves when its writes are home
  bool flushes = false;      ///< it runs only to send its writes home
  uint64_t flushTicket = 0;  ///< they are on their way
  bool pollWanted = false;
  std::vector<ObjectRef> held;  ///< checked since the last poll: what its stack refers to
};

/// The thread that runs on a fiber now.
class SimNode::RunningGuest final : public Guest {
 public:
  RunningGuest(SimNode& node, Entry& entry, ThreadContext& ctx) : node_(node), entry_(entry), ctx_(ctx) {}

  GuestThread& thread() override { return *entry_.thread; }
  uint64_t read(const Field& field) override {
    ensureReadable(field.object);
    return load(field);
  }
  void write(const Field& field, uint64_t value) override {
    ensureWritable(field.object);
    store(field, value);
  }
  uint64_t readAfterChecking(const Field& field, const Field& other) override {
    ensureReadable(field.object);
    ensureReadable(other.object);
    return load(field);
  }
  void writeAfterChecking(const Field& field, uint64_t value, const Field& other) override {
    ensureWritable(field.object);
    ensureReadable(other.object);
    store(field, value);
  }
  ObjectRef readReference(const Field& field) override {
    const ObjectRef value = read(field);
    if (!node_.around_.cells.isAlive(value)) node_.around_.history.fail("a reference to an object that was buried");
    return value;
  }
  void writeReference(const Field& field, ObjectRef value) override {
    ensureWritable(field.object);
    if (rt::isHomeEpoch(rt::header(field.object)->epochWord.load()))
      node_.beforeReferenceStore(field.object, field.offset, value);
    store(field, value);
  }
  ObjectRef make() override { return node_.make(); }
  void freeze(ObjectRef object) override {
    entry_.held.push_back(object);
    if (ctx_.writerSlot != 0 || node_.space.owesWrites()) node_.space.publish(ctx_);
    if (rt::isHomeEpoch(rt::header(object)->epochWord.load())) rt::header(object)->classWord |= rt::kFlagFrozen;
  }
  bool submit(SyncRequest request, rt::WaitKind kind) override {
    GuestThread& thread = *entry_.thread;
    request.thread = thread.ref;
    request.ticket = thread.beginWait(kind, request.object, false);
    node_.around_.history.note(What::Asks, node_.id_.value, thread.ref.id, uint64_t(request.op), request.object);
    const std::optional<Resumption> answer = node_.space.submit(ctx_, request);
    if (!answer) return false;
    thread.endWait();
    thread.resumption = *answer;
    return true;
  }
  void launch(size_t index) override { node_.launch(ctx_, index); }
  void wantMove() override {
    const std::vector<NodeId> places = node_.net.places();
    if (!places.empty()) node_.wantMove(entry_, places[node_.around_.events.random.below(places.size())]);
  }

 private:
  static uint64_t load(const Field& field) {
    return field.isByte ? rt::loadGuest<uint8_t>(field.address()) : rt::loadGuest<uint64_t>(field.address());
  }
  static void store(const Field& field, uint64_t value) {
    field.isByte ? rt::storeGuest<uint8_t>(field.address(), uint8_t(value))
                 : rt::storeGuest<uint64_t>(field.address(), value);
  }
  void ensureReadable(ObjectRef object) {
    entry_.held.push_back(object);
    if (rt::header(object)->epochWord.load() < ctx_.epoch) node_.space.checkRead(ctx_, object);
  }
  void ensureWritable(ObjectRef object) {
    entry_.held.push_back(object);
    const uint64_t word = rt::header(object)->epochWord.load();
    const bool writable = word >= rt::kEpochHome || (word >= ctx_.epoch && (word & rt::kWriterMask) == ctx_.writerSlot);
    if (!writable) node_.space.checkWrite(ctx_, object);
  }

  SimNode& node_;
  Entry& entry_;
  ThreadContext& ctx_;
};

// ---------------------------------------------------------------- the node

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
                                        ObjectRef value) { beforeReferenceStore(object, offset, value); },
                 .self = id}),
      trace_(World::plan(), rt::ObjectModel(surroundings.world.classes.table())),
      space(*this, *this, net, homes, clock_, surroundings.profile.space),
      router(*this, net, homes),
      migrator(*this, net, router, homes),
      collector(
          control, space, *this, *this,
          [this](rt::Trace&) { router.visitAnswers([this](const Resumption& answer) { answerArrived(answer); }); },
          [](uint64_t) { return false; }),
      staleness_(net, clock_, space.stats(),
                 [this] {
                   space.flushDeferred();
                   pollAll();
                 }),
      load_(surroundings.events, kWorkers),
      meter_({id, kWorkers, surroundings.profile.balance.policy == cluster::BalancePolicy::Rotate}, load_,
             space.remoteUse(), space.blockUsers(), [] { return cluster::MemoryLoad{}; }),
      balancer_(
          control, surroundings.profile.balance, false, meter_,
          {*this, [this](const cluster::BlockGift& gift) { space.mover().move(gift.to, gift.bytes, [](auto&) {}); },
           migrator.placer()}) {
  space.loans().open(syncHome_);
  net.setHandler(Channel::Threads, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
    migrator.handleMessage(payload, *responder);
  });
}

SimNode::~SimNode() {
  *alive_ = false;
  for (auto& [id, entry] : entries_)
    if (entry->fiber) around_.fibers.release(entry->fiber);
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
  staleness_.stop();
  balancer_.stop();
  collector.stop();
  space.mover().stop();
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
  space.mover().move(target, rt::kBlockBytes * (1 + around_.events.random.below(2)), [this](const auto& result) {
    around_.history.note(What::Blocks, id_.value, result.groups, result.revoked, result.bytes);
  });
}

void SimNode::evict() {
  around_.history.note(What::Evicted, id_.value, space.evictor().evict(rt::kBlockBytes));
  space.releaseEarly(around_.events.chance(around_.profile.earlyReleases));
}

void SimNode::pollAll() {
  for (auto& [id, entry] : entries_) entry->pollWanted = true;
}

// ---------------------------------------------------------------- waiting in a slow path

cluster::WaitToken SimNode::prepareWait(ThreadContext& ctx) {
  auto token = std::make_shared<Suspension>();
  token->thread = ctx.thread->ref.id;
  return token;
}

void SimNode::wait(ThreadContext& ctx, cluster::WaitToken token) {
  auto& suspension = *static_cast<Suspension*>(token.get());
  if (suspension.woken) return;
  suspension.waits = true;
  // Nothing on the fiber's stack owns anything meanwhile: a program that ends discards it.
  Entry& entry = *entries_.at(ctx.thread->ref.id);
  entry.suspension = std::move(token);
  around_.history.note(What::Suspended, id_.value, ctx.thread->ref.id);
  entry.fiber->suspend();
}

void SimNode::wake(const cluster::WaitToken& token) {
  auto& suspension = *static_cast<Suspension*>(token.get());
  if (std::exchange(suspension.woken, true)) return around_.history.fail("a slow path is woken twice");
  if (suspension.waits) runSoon(*entries_.at(suspension.thread));
}

// ---------------------------------------------------------------- at the home

std::optional<Resumption> SimNode::carryOut(const SyncRequest& request, NodeId from) {
  const bool remote = from != id_ && around_.profile.space.fault != cluster::Fault::HomeClockNotBumped;
  around_.history.note(What::CarriedOut, id_.value, request.thread.id, uint64_t(request.op), request.object);
  if (request.op == SyncOp::ThreadStart) router.starting(request.a, from);
  if (request.op == SyncOp::ThreadEnd) router.ended(request.thread.id);
  return syncHome_.handle(request, remote ? from : NodeId());
}

bool SimNode::hasEnded(const rt::ThreadRef& thread) {
  return rt::loadGuest<int32_t>(thread.object + kThreadStateOffset) == kThreadEnded;
}

// ---------------------------------------------------------------- blocks

std::set<uint64_t> SimNode::heldBlocks() {
  std::set<uint64_t> blocks;
  for (const auto& [id, entry] : entries_) {
    if (!entry->fiber || entry->fiber->context().quiescent) continue;
    for (ObjectRef object : entry->held) blocks.insert(blockOf(object));
  }
  return blocks;
}

std::vector<rt::BlockGroup> SimNode::withdraw(uint64_t bytes, const std::set<uint64_t>& only) {
  std::vector<uint64_t> here;
  for (uint64_t block : around_.world.blocks())
    if (homes.isSettledAt(id_, block) && (only.empty() || only.contains(block))) here.push_back(block);
  std::vector<rt::BlockGroup> taken;
  for (uint64_t sum = 0; sum < bytes && !here.empty(); sum += rt::kBlockBytes) {
    const size_t at = around_.events.random.below(here.size());
    taken.push_back({here[at], 1, false});
    here.erase(here.begin() + ptrdiff_t(at));
  }
  return taken;
}

rt::ObjectStarts SimNode::objectsOf(const rt::BlockGroup& group) {
  rt::ObjectStarts objects;
  around_.world.forEachObject(group.address, group.end(), [&](ObjectRef object) {
    if (plausible(object)) objects.add(object - group.address);
  });
  return objects;
}

void SimNode::adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects, const std::vector<ObjectRef>&) {
  objects.forEach([&](uint64_t offset) {
    exported_.insert(group.address + offset);
    if (trace_.isActive()) trace_.blacken(group.address + offset);
  });
}

void SimNode::giveAway(const rt::BlockGroup& group) {
  madvise(reinterpret_cast<void*>(group.address), group.bytes(), MADV_DONTNEED);
}

/// As VmHost does it.
Bytes SimNode::takeHomeState(ObjectRef object) {
  const ThreadId thread = around_.world.threadOf(object);
  if (thread == 0 && !(rt::header(object)->lockWord.load() & rt::kLockInflated)) return {};
  std::optional<cluster::LastSeen> seen = thread != 0 ? router.takeLocation(thread) : std::nullopt;
  if (thread != 0 && !seen && isHere(thread)) seen = cluster::LastSeen{id_, 0};
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

// ---------------------------------------------------------------- the heap, as far as rounds see it

/// Of a block that is home here, so that nobody need be asked.
ObjectRef SimNode::make() {
  const ObjectRef cell = around_.cells.make([this](ObjectRef place) { return homes.isSettledAt(id_, place); });
  if (cell == rt::kNullRef) return cell;
  rt::header(cell)->classWord = kRecord;
  for (uint32_t i = 0; i < kRecordReferences + kRecordNumbers; ++i)
    rt::storeGuest<uint64_t>(cell + rt::kHeaderBytes + 8 * i, 0);
  rt::header(cell)->epochWord = rt::kEpochHome;
  if (trace_.isActive()) trace_.blacken(cell);
  return cell;
}

void SimNode::exportObject(ObjectRef object) {
  if (trace_.isActive()) trace_.grey(object);
  exported_.insert(object);
}

void SimNode::beforeReferenceStore(ObjectRef object, uint64_t offset, ObjectRef) {
  if (trace_.isActive()) trace_.grey(rt::loadGuest<uint64_t>(object + offset));
}

void SimNode::visitHomeRoots(const std::function<void(ObjectRef)>& visit) {
  migrator.forEachLeaving([&](const GuestThread& thread) { visitReferences(thread, visit); });
}

/// Answers are words that may be references.
void SimNode::visitReferences(const GuestThread& thread, const std::function<void(ObjectRef)>& visit) {
  for (uint64_t word : Script::references(const_cast<GuestThread&>(thread)))
    if (word != rt::kNullRef) visit(word);
  const auto visitWord = [&](uint64_t word) {
    if (word != rt::kNullRef && space.core().isConceivable(word)) visit(word);
  };
  visitWord(thread.resumption.value);
  if (thread.earlyAnswer) visitWord(thread.earlyAnswer->value);
}

void SimNode::exportReferences(const GuestThread& thread) {
  visitReferences(thread, [this](ObjectRef object) { space.core().exportOut(object); });
}

void SimNode::exportAnswer(const Resumption& answer) {
  if (space.core().isConceivable(answer.value)) space.core().exportOut(answer.value);
}

bool SimNode::beginTrace(const rt::TraceHost& host, const std::function<void(rt::Trace&)>& moreRoots) {
  trace_.begin(host);
  const auto grey = [this](ObjectRef object) { trace_.grey(object); };
  // Constants of the code, as statics are.
  around_.world.forEachObject(0, UINT64_MAX, [this](ObjectRef object) {
    if (!around_.world.isCell(object)) trace_.greyHere(object);
  });
  for (const auto& [id, entry] : entries_) {
    visitReferences(*entry->thread, grey);
    for (ObjectRef object : entry->held) trace_.grey(object);
  }
  space.visitRoots(grey);
  moreRoots(trace_);
  // A word of a stack that looks like a reference; mostly there is no such node.
  trace_.grey(World::plan().regionBase(World::kNodesMax - 1) + 8 * id_.value);
  return true;
}

void SimNode::greyIfExported(uint64_t address) {
  if (exported_.contains(address)) trace_.grey(address);
}

rt::TraceResult SimNode::endTrace(bool isComplete) {
  rt::TraceResult result;
  std::vector<ObjectRef> dead;
  if (isComplete)
    around_.cells.forEachAlive([&](ObjectRef cell) {
      if (homes.isServedBy(id_, cell) && !trace_.isMarked(cell)) dead.push_back(cell);
    });
  for (ObjectRef cell : dead) {
    around_.cells.bury(cell);
    rt::header(cell)->epochWord = rt::kEpochInvalid;
    exported_.erase(cell);
    ++result.objects;
  }
  around_.history.note(What::Collected, id_.value, isComplete, result.objects);
  trace_.end();
  return result;
}

// ---------------------------------------------------------------- the scheduler: running

void SimNode::runSoon(Entry& entry) {
  if (std::exchange(entry.isDue, true)) return;
  const int64_t delay = around_.events.between(1, entry.suspension ? kWakeNanosMax : around_.profile.stepNanos);
  around_.events.at(id_.value, delay, [this, alive = alive_, id = entry.thread->ref.id] {
    if (*alive && !stopped_ && entries_.contains(id)) run(id);
  });
}

void SimNode::run(ThreadId thread) {
  Entry& entry = *entries_.at(thread);
  entry.isDue = false;
  entry.thread->state = ThreadState::Running;
  around_.history.note(What::Runs, id_.value, thread);
  bool returned = false;
  if (entry.fiber) {
    entry.suspension = nullptr;
    returned = entry.fiber->resume();
  } else {
    entry.fiber = around_.fibers.acquire();
    JVMC_CHECK(entry.fiber != nullptr);
    returned = entry.fiber->start([this, &entry] { runOnFiber(entry, entry.fiber->context()); });
  }
  if (!returned) return;
  around_.fibers.release(std::exchange(entry.fiber, nullptr));
  settle(entry);
}

void SimNode::runOnFiber(Entry& entry, ThreadContext& ctx) {
  GuestThread& thread = *entry.thread;
  ctx.thread = &thread;
  ctx.clock = &clock_;
  ctx.epoch = thread.epoch;
  ctx.writerSlot = thread.writerSlot;
  RunningGuest guest(*this, entry, ctx);
  entry.end = Entry::End::Polls;
  if (!std::exchange(entry.flushes, false)) {
    if (thread.resumption.acquire) space.acquire(ctx, thread.resumption.remote);
    thread.resumption.acquire = false;
    for (uint64_t steps = 1 + around_.events.random.below(3); steps > 0; --steps) {
      entry.held.clear();
      ctx.quiescent = true;
      space.standsInPoll(ctx);
      ctx.quiescent = false;
      if (std::exchange(entry.pollWanted, false)) space.acquire(ctx, false);
      if (thread.requests.load() & rt::kRequestMigrate) break;
      const StepEnd end = around_.script.step(guest);
      if (end == StepEnd::Parked) entry.end = Entry::End::Parked;
      if (end == StepEnd::Over) entry.end = Entry::End::Over;
      if (end != StepEnd::Polls) break;
    }
  } else if (thread.wait.kind != rt::WaitKind::None) {
    entry.end = Entry::End::Parked;
  }
  entry.held.clear();
  ctx.quiescent = true;
  if (entry.end != Entry::End::Over) flushIfMoving(entry, ctx);
  thread.epoch = ctx.epoch;
  thread.writerSlot = ctx.writerSlot;
}

/// A thread that leaves sends its writes home first.
void SimNode::flushIfMoving(Entry& entry, ThreadContext& ctx) {
  GuestThread& thread = *entry.thread;
  if (!entry.moving && !(thread.requests.load() & rt::kRequestMigrate && mayMove(entry, thread.migrateTarget))) {
    thread.requests = 0;
    return;
  }
  entry.moving = true;
  const uint64_t ticket = entry.flushTicket = kFlushTickets | ++flushTickets_;
  if (space.release(ctx, ticket)) entry.flushTicket = 0;
}

void SimNode::settle(Entry& entry) {
  GuestThread& thread = *entry.thread;
  if (entry.end == Entry::End::Over) return finish(entry);
  thread.state = ThreadState::Parked;
  if (entry.moving) {
    if (entry.flushTicket == 0) ship(entry);
    return;
  }
  if (entry.end == Entry::End::Parked) {
    around_.history.note(What::Parked, id_.value, thread.ref.id, thread.wait.ticket);
    if (thread.earlyAnswer) endWait(entry, *thread.earlyAnswer);
    return;
  }
  thread.state = ThreadState::Ready;
  runSoon(entry);
}

void SimNode::finish(Entry& entry) {
  const ThreadId thread = entry.thread->ref.id;
  threadHistory_.note(thread, entry.thread->incarnation, rt::ThreadHistory::Fate::Ended);
  around_.history.ended(id_, thread);
  load_.remove(thread);
  entries_.erase(thread);
  rt::ThreadEnd end;
  end.id = thread;
  programEnd.threadEnded(std::move(end));
}

// ---------------------------------------------------------------- the scheduler: mail

bool SimNode::deliver(const rt::ThreadRef& to, const ThreadMail& mail) {
  const auto found = entries_.find(to.id);
  if (found == entries_.end()) {
    // As NodeScheduler: what has never been here waits with the router.
    return threadHistory_.fateOf(to.id) == rt::ThreadHistory::Fate::Ended;
  }
  Entry& entry = *found->second;
  switch (mail.kind) {
    case ThreadMail::Kind::Answer:
      answer(entry, mail);
      break;
    case ThreadMail::Kind::Migrate:
      wantMove(entry, mail.target);
      break;
    default:
      around_.history.fail("mail of a kind that nobody sends here");
  }
  return true;
}

void SimNode::answer(Entry& entry, const ThreadMail& mail) {
  GuestThread& thread = *entry.thread;
  around_.history.note(What::Mail, id_.value, thread.ref.id, mail.ticket);
  if (mail.ticket & kFlushTickets) {
    if (mail.ticket != entry.flushTicket) return;
    entry.flushTicket = 0;
    if (thread.state == ThreadState::Parked) ship(entry);
    return;
  }
  if (thread.wait.kind == rt::WaitKind::None || thread.wait.ticket != mail.ticket) return;
  if (thread.state == ThreadState::Parked && !entry.moving) return endWait(entry, mail.answer);
  if (thread.earlyAnswer) around_.history.fail("a request is answered twice");
  thread.earlyAnswer = mail.answer;
}

void SimNode::endWait(Entry& entry, Resumption answer) {
  GuestThread& thread = *entry.thread;
  if (answer.kind != Resumption::Kind::Value) around_.history.fail("a request ends with an exception");
  thread.resumption = answer;
  thread.wait.kind = rt::WaitKind::None;
  thread.earlyAnswer.reset();
  thread.state = ThreadState::Ready;
  runSoon(entry);
}

// ---------------------------------------------------------------- the scheduler: moving

bool SimNode::mayMove(const Entry& entry, NodeId target) const {
  return !stopped_ && target.valid() && target != id_ && !entry.thread->ending;
}

void SimNode::wantMove(Entry& entry, NodeId target) {
  GuestThread& thread = *entry.thread;
  if (entry.moving || !mayMove(entry, target)) return;
  thread.migrateTarget = target;
  if (thread.state != ThreadState::Parked) {
    thread.requests |= rt::kRequestMigrate;
    return;
  }
  entry.moving = true;
  if (!thread.writeSet) return ship(entry);
  // Its writes go home from a fiber, with a context, as those of any other thread.
  entry.flushes = true;
  runSoon(entry);
}

void SimNode::ship(Entry& entry) {
  GuestThread& thread = *entry.thread;
  if (thread.earlyAnswer) {
    thread.resumption = *thread.earlyAnswer;
    thread.wait.kind = rt::WaitKind::None;
    thread.earlyAnswer.reset();
  }
  load_.remove(thread.ref.id);
  const NodeId target = thread.migrateTarget;
  std::unique_ptr<GuestThread> leaving = std::move(entry.thread);
  const ThreadId id = leaving->ref.id;
  entries_.erase(id);
  threadHistory_.note(id, leaving->incarnation, rt::ThreadHistory::Fate::Left);
  ++leaving->incarnation;
  leaving->requests = 0;
  around_.history.departed(id_, id, leaving->incarnation, target);
  migrator.ship(std::move(leaving), target);
}

bool SimNode::adopt(std::unique_ptr<GuestThread> thread) {
  const ThreadId id = thread->ref.id;
  if (threadHistory_.wasHere(id, thread->incarnation)) return false;
  around_.history.adopted(id_, id, thread->incarnation);
  if (entries_.contains(id)) return false;  // the run has failed with that; a fiber may still belong to the first one
  auto entry = std::make_unique<Entry>();
  entry->thread = std::move(thread);
  Entry& here = *(entries_[id] = std::move(entry));
  load_.add(here.thread->ref);
  const bool waits = here.thread->wait.kind != rt::WaitKind::None;
  here.thread->state = waits ? ThreadState::Parked : ThreadState::Ready;
  if (!waits) runSoon(here);
  return true;
}

Bytes SimNode::encode(const GuestThread& thread) {
  cluster::ByteWriter out;
  putThreadRef(out, thread.ref);
  putResumption(out, thread.resumption);
  out.put(uint8_t(thread.wait.kind));
  out.put(thread.wait.ticket);
  out.put(thread.wait.object);
  out.put(thread.frames.header(0).slotCount);
  for (uint32_t i = 0; i < thread.frames.header(0).slotCount; ++i) out.put(thread.frames.slots(0)[i]);
  return out.take();
}

Result<std::unique_ptr<GuestThread>> SimNode::decode(std::span<const uint8_t> image) {
  if (around_.events.chance(around_.profile.refusals)) return Error{ErrorCode::kCorrupt, "refused at random"};
  cluster::ByteReader in(image);
  auto thread = std::make_unique<GuestThread>();
  thread->ref = cluster::getThreadRef(in);
  thread->resumption = cluster::getResumption(in);
  thread->wait.kind = in.getEnum(rt::WaitKind::Yield);
  thread->wait.ticket = in.get<uint64_t>();
  thread->wait.object = in.get<uint64_t>();
  const uint32_t slots = in.getCount(8);
  uint64_t* to = thread->frames.push(0, 0, slots);
  for (uint32_t i = 0; i < slots; ++i) to[i] = in.get<uint64_t>();
  if (!in.finished()) return Error{ErrorCode::kCorrupt, "an image that is cut off"};
  for (ObjectRef object : Script::references(*thread))
    if (!space.core().acceptable(object)) return Error{ErrorCode::kCorrupt, "a frame holds a reference to no object"};
  answerArrived(thread->resumption);
  return thread;
}

// ---------------------------------------------------------------- beginnings, and leaving the program

void SimNode::startMain() {
  auto thread = std::make_unique<GuestThread>();
  thread->ref = around_.world.thread(0);
  thread->epoch = clock_;
  around_.script.begin(*thread, 0, around_.seed);
  around_.history.created(thread->ref.id);
  programEnd.threadCreated(thread->ref.id);
  adopt(std::move(thread));
}

void SimNode::launch(ThreadContext& ctx, size_t index) {
  auto thread = std::make_unique<GuestThread>();
  thread->ref = around_.world.thread(index);
  thread->epoch = ctx.epoch;
  thread->resumption.acquire = true;
  around_.script.begin(*thread, index, around_.seed);
  around_.history.note(What::Started, id_.value, thread->ref.id);
  around_.history.created(thread->ref.id);
  programEnd.threadCreated(thread->ref.id);
  const NodeId target = migrator.placeNewThread({});
  migrator.ship(std::move(thread), target);
}

void SimNode::noteMembers() {
  if (net.isPlace(id_)) departures_.forget();
}

cluster::LeftView SimNode::evacuate() {
  std::vector<NodeId> places = net.places();
  std::erase(places, id_);
  cluster::LeftView left;
  left.threads = entries_.size() + migrator.onTheirWay() + router.sendLettersOn() + space.deferred() +
                 space.loans().end() + collector.leads();
  space.flushDeferred();
  left.incomingBytes = space.arrivals().awaitedBytes();
  if (places.empty()) return left;
  uint64_t bytes = 0;
  for (uint64_t block : around_.world.blocks()) bytes += homes.isServedBy(id_, block) ? rt::kBlockBytes : 0;
  const bool mayWait = departures_.mayWait(bytes);
  std::vector<cluster::Departing> threads;
  for (const auto& [id, entry] : entries_) {
    cluster::Departing& each = threads.emplace_back(cluster::Departing{entry->thread->ref, false, {}});
    if (!mayWait || entry->moving || entry->thread->state != ThreadState::Parked) continue;
    // What it does next is not known here; any block will do.
    for (uint64_t block : around_.world.blocks())
      if (homes.isServedBy(id_, block) && around_.events.chance(0.3)) each.blocks.push_back(block);
  }
  for (const cluster::Departing& each : departures_.make(std::move(threads)))
    sendAway(each.thread, places[each.thread.id / rt::kNodesMax % places.size()]);
  if (around_.profile.space.fault == cluster::Fault::LeavesUncounted) return {};
  return left;
}

void SimNode::moveBlocks(NodeId target, uint64_t bytes, std::function<void(const cluster::MoveResult&)> done) {
  const auto moved = [this, done = std::move(done)](const cluster::MoveResult& result) {
    departures_.blocksHaveLeft(result.bytes);
    done(result);
  };
  const auto onItsWay = [this, target](const rt::BlockGroup& group) {
    for (const cluster::Departing& each : departures_.takeWith(group.address)) sendAway(each.thread, target);
  };
  space.mover().move(target, bytes, moved, {}, onItsWay);
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
  for (const auto& [id, entry] : entries_)
    text += fmt::format("  thread {}: state {}, waits {} for {:#x}, ticket {}{}{}{}\n", id,
                        uint32_t(entry->thread->state), rt::waitName(entry->thread->wait.kind),
                        entry->thread->wait.object, entry->thread->wait.ticket, entry->fiber ? ", in a slow path" : "",
                        entry->moving ? ", moving" : "", entry->flushTicket ? ", flushing" : "");
  router.report([&](const std::string& name, uint64_t value) { text += fmt::format("  {} {}\n", name, value); });
  for (const std::string& transfer : migrator.inTransit()) text += "  on its way: " + transfer + "\n";
  return text;
}

}  // namespace jvmc::sim
