#include "tests/simulator/sim_scheduler.h"

#include <fmt/format.h>

#include "runtime/abi/guest_memory.h"

namespace jvmc::sim {

using rt::GuestThread;
using rt::Resumption;
using rt::SyncRequest;
using rt::ThreadContext;
using rt::ThreadMail;
using rt::ThreadState;

namespace {

constexpr int32_t kThreadEnded = 2;
/// Tickets of flushes before a move: a thread's wait keeps its own.
constexpr uint64_t kFlushTickets = uint64_t(1) << 63;
constexpr int64_t kWakeNanosMax = 20 * kMicros;

}  // namespace

/// A fiber that waits inside a slow path.
struct SimScheduler::Suspension {
  ThreadId thread = 0;
  bool woken = false, waits = false;
};

struct SimScheduler::Entry {
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
class SimScheduler::RunningGuest final : public Guest {
 public:
  RunningGuest(SimScheduler& scheduler, Entry& entry, ThreadContext& ctx)
      : scheduler_(scheduler), entry_(entry), ctx_(ctx) {}

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
    if (!scheduler_.around_.cells.isAlive(value))
      scheduler_.around_.history.fail("a reference to an object that was buried");
    return value;
  }
  void writeReference(const Field& field, ObjectRef value) override {
    ensureWritable(field.object);
    if (rt::isHomeEpoch(rt::header(field.object)->epochWord.load()))
      scheduler_.parts_.heap.beforeReferenceStore(field.object, field.offset);
    store(field, value);
  }
  ObjectRef make() override { return scheduler_.parts_.heap.make(); }
  void freeze(ObjectRef object) override {
    entry_.held.push_back(object);
    if (ctx_.writerSlot != 0 || scheduler_.parts_.space.owesWrites()) scheduler_.parts_.space.publish(ctx_);
    const uint64_t epochWord = rt::header(object)->epochWord.load();
    if (rt::isHomeEpoch(epochWord) && !rt::isBorrowedEpoch(epochWord)) rt::header(object)->classWord |= rt::kFlagFrozen;
  }
  bool submit(SyncRequest request, rt::WaitKind kind) override {
    GuestThread& thread = *entry_.thread;
    request.thread = thread.ref;
    request.ticket = thread.beginWait(kind, request.object, false);
    scheduler_.around_.history.note(What::Asks, scheduler_.self_.value, thread.ref.id, uint64_t(request.op),
                                    request.object);
    const std::optional<Resumption> answer = scheduler_.parts_.space.submit(ctx_, request);
    if (!answer) return false;
    thread.endWait();
    thread.resumption = *answer;
    return true;
  }
  void launch(size_t index) override { scheduler_.launch(ctx_, index); }
  void wantMove() override {
    const std::vector<NodeId> places = scheduler_.parts_.net.places();
    if (!places.empty()) scheduler_.wantMove(entry_, places[scheduler_.around_.events.random.below(places.size())]);
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
    if (rt::header(object)->epochWord.load() < ctx_.epoch) scheduler_.parts_.space.checkRead(ctx_, object);
  }
  void ensureWritable(ObjectRef object) {
    entry_.held.push_back(object);
    const uint64_t word = rt::header(object)->epochWord.load();
    const bool writable = word >= rt::kEpochHome || (word >= ctx_.epoch && (word & rt::kWriterMask) == ctx_.writerSlot);
    if (!writable) scheduler_.parts_.space.checkWrite(ctx_, object);
  }

  SimScheduler& scheduler_;
  Entry& entry_;
  ThreadContext& ctx_;
};

SimScheduler::SimScheduler(Surroundings& surroundings, NodeId self, SchedulerParts parts)
    : around_(surroundings), self_(self), parts_(parts), load_(surroundings.events, kWorkers) {}

SimScheduler::~SimScheduler() {
  *alive_ = false;
  for (auto& [id, entry] : entries_)
    if (entry->fiber) around_.fibers.release(entry->fiber);
}

// ---------------------------------------------------------------- beginnings

void SimScheduler::startMain() {
  auto thread = std::make_unique<GuestThread>();
  thread->ref = around_.world.thread(0);
  thread->epoch = parts_.clock;
  around_.script.begin(*thread, 0, around_.seed);
  around_.history.created(thread->ref.id);
  parts_.programEnd.threadCreated(thread->ref.id);
  adopt(std::move(thread));
}

void SimScheduler::launch(ThreadContext& ctx, size_t index) {
  auto thread = std::make_unique<GuestThread>();
  thread->ref = around_.world.thread(index);
  thread->epoch = ctx.epoch;
  thread->resumption.acquire = true;
  around_.script.begin(*thread, index, around_.seed);
  around_.history.note(What::Started, self_.value, thread->ref.id);
  around_.history.created(thread->ref.id);
  parts_.programEnd.threadCreated(thread->ref.id);
  const NodeId target = parts_.migrator.placeNewThread({});
  parts_.migrator.ship(std::move(thread), target);
}

// ---------------------------------------------------------------- running

void SimScheduler::runSoon(Entry& entry) {
  if (std::exchange(entry.isDue, true)) return;
  const int64_t delay = around_.events.between(1, entry.suspension ? kWakeNanosMax : around_.profile.stepNanos);
  around_.events.at(self_.value, delay, [this, alive = alive_, id = entry.thread->ref.id] {
    if (*alive && !stopped_ && entries_.contains(id)) run(id);
  });
}

void SimScheduler::run(ThreadId thread) {
  Entry& entry = *entries_.at(thread);
  entry.isDue = false;
  entry.thread->state = ThreadState::Running;
  around_.history.note(What::Runs, self_.value, thread);
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

void SimScheduler::runOnFiber(Entry& entry, ThreadContext& ctx) {
  GuestThread& thread = *entry.thread;
  ctx.thread = &thread;
  ctx.clock = &parts_.clock;
  ctx.epoch = thread.epoch;
  ctx.writerSlot = thread.writerSlot;
  RunningGuest guest(*this, entry, ctx);
  entry.end = Entry::End::Polls;
  if (!std::exchange(entry.flushes, false)) {
    if (thread.resumption.acquire) parts_.space.acquire(ctx, thread.resumption.remote);
    thread.resumption.acquire = false;
    for (uint64_t steps = 1 + around_.events.random.below(3); steps > 0; --steps) {
      entry.held.clear();
      ctx.quiescent = true;
      parts_.space.standsInPoll(ctx);
      ctx.quiescent = false;
      if (std::exchange(entry.pollWanted, false)) parts_.space.acquire(ctx, false);
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
void SimScheduler::flushIfMoving(Entry& entry, ThreadContext& ctx) {
  GuestThread& thread = *entry.thread;
  if (!entry.moving && !(thread.requests.load() & rt::kRequestMigrate && mayMove(entry, thread.migrateTarget))) {
    thread.requests = 0;
    return;
  }
  entry.moving = true;
  const uint64_t ticket = entry.flushTicket = kFlushTickets | ++flushTickets_;
  if (parts_.space.release(ctx, ticket)) entry.flushTicket = 0;
}

void SimScheduler::settle(Entry& entry) {
  GuestThread& thread = *entry.thread;
  if (entry.end == Entry::End::Over) return finish(entry);
  thread.state = ThreadState::Parked;
  if (entry.moving) {
    if (entry.flushTicket == 0) ship(entry);
    return;
  }
  if (entry.end == Entry::End::Parked) {
    around_.history.note(What::Parked, self_.value, thread.ref.id, thread.wait.ticket);
    if (thread.earlyAnswer) endWait(entry, *thread.earlyAnswer);
    return;
  }
  thread.state = ThreadState::Ready;
  runSoon(entry);
}

void SimScheduler::finish(Entry& entry) {
  const ThreadId thread = entry.thread->ref.id;
  history_.note(thread, entry.thread->incarnation, rt::ThreadHistory::Fate::Ended);
  around_.history.ended(self_, thread);
  load_.remove(thread);
  entries_.erase(thread);
  rt::ThreadEnd end;
  end.id = thread;
  parts_.programEnd.threadEnded(std::move(end));
}

// ---------------------------------------------------------------- waiting in a slow path

cluster::WaitToken SimScheduler::prepareWait(ThreadContext& ctx) {
  auto token = std::make_shared<Suspension>();
  token->thread = ctx.thread->ref.id;
  return token;
}

void SimScheduler::wait(ThreadContext& ctx, cluster::WaitToken token) {
  auto& suspension = *static_cast<Suspension*>(token.get());
  if (suspension.woken) return;
  suspension.waits = true;
  // Nothing on the fiber's stack owns anything meanwhile: a program that ends discards it.
  Entry& entry = *entries_.at(ctx.thread->ref.id);
  entry.suspension = std::move(token);
  around_.history.note(What::Suspended, self_.value, ctx.thread->ref.id);
  entry.fiber->suspend();
}

void SimScheduler::wake(const cluster::WaitToken& token) {
  auto& suspension = *static_cast<Suspension*>(token.get());
  if (std::exchange(suspension.woken, true)) return around_.history.fail("a slow path is woken twice");
  if (suspension.waits) runSoon(*entries_.at(suspension.thread));
}

// ---------------------------------------------------------------- mail

bool SimScheduler::deliver(const rt::ThreadRef& to, const ThreadMail& mail) {
  const auto found = entries_.find(to.id);
  if (found == entries_.end()) {
    // As NodeScheduler: what has never been here waits with the router.
    return history_.fateOf(to.id) == rt::ThreadHistory::Fate::Ended;
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

void SimScheduler::answer(Entry& entry, const ThreadMail& mail) {
  GuestThread& thread = *entry.thread;
  around_.history.note(What::Mail, self_.value, thread.ref.id, mail.ticket);
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

void SimScheduler::endWait(Entry& entry, Resumption answer) {
  GuestThread& thread = *entry.thread;
  if (answer.kind != Resumption::Kind::Value) around_.history.fail("a request ends with an exception");
  thread.resumption = answer;
  thread.wait.kind = rt::WaitKind::None;
  thread.earlyAnswer.reset();
  thread.state = ThreadState::Ready;
  runSoon(entry);
}

// ---------------------------------------------------------------- moving

bool SimScheduler::mayMove(const Entry& entry, NodeId target) const {
  return !stopped_ && target.valid() && target != self_ && !entry.thread->ending;
}

void SimScheduler::wantMove(Entry& entry, NodeId target) {
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

void SimScheduler::ship(Entry& entry) {
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
  history_.note(id, leaving->incarnation, rt::ThreadHistory::Fate::Left);
  ++leaving->incarnation;
  leaving->requests = 0;
  around_.history.departed(self_, id, leaving->incarnation, target);
  parts_.migrator.ship(std::move(leaving), target);
}

bool SimScheduler::adopt(std::unique_ptr<GuestThread> thread) {
  const ThreadId id = thread->ref.id;
  if (history_.wasHere(id, thread->incarnation)) return false;
  around_.history.adopted(self_, id, thread->incarnation);
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

Bytes SimScheduler::encode(const GuestThread& thread) {
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

Result<std::unique_ptr<GuestThread>> SimScheduler::decode(std::span<const uint8_t> image) {
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
    if (!parts_.space.core().acceptable(object))
      return Error{ErrorCode::kCorrupt, "a frame holds a reference to no object"};
  answerArrived(thread->resumption);
  return thread;
}

// ---------------------------------------------------------------- what others ask about threads

/// Answers are words that may be references.
void SimScheduler::visitReferences(const GuestThread& thread, const std::function<void(ObjectRef)>& visit) const {
  for (uint64_t word : Script::references(const_cast<GuestThread&>(thread)))
    if (word != rt::kNullRef) visit(word);
  const auto visitWord = [&](uint64_t word) {
    if (word != rt::kNullRef && parts_.space.core().isConceivable(word)) visit(word);
  };
  visitWord(thread.resumption.value);
  if (thread.earlyAnswer) visitWord(thread.earlyAnswer->value);
}

void SimScheduler::visitRoots(const std::function<void(ObjectRef)>& visit) const {
  for (const auto& [id, entry] : entries_) {
    visitReferences(*entry->thread, visit);
    for (ObjectRef object : entry->held) visit(object);
  }
}

void SimScheduler::exportReferences(const GuestThread& thread) {
  visitReferences(thread, [this](ObjectRef object) { parts_.space.core().exportOut(object); });
}

void SimScheduler::exportAnswer(const Resumption& answer) {
  if (parts_.space.core().isConceivable(answer.value)) parts_.space.core().exportOut(answer.value);
}

void SimScheduler::forEachReliance(const cluster::BlockHost::VisitReliance& visit) {
  for (const auto& [id, entry] : entries_) {
    if (!entry->fiber || entry->fiber->context().quiescent) continue;
    std::set<uint64_t> blocks;
    for (ObjectRef object : entry->held) blocks.insert(object & ~uint64_t(rt::kBlockBytes - 1));
    visit(entry->fiber->context(), blocks);
  }
}

bool SimScheduler::hasEnded(const rt::ThreadRef& thread) {
  return rt::loadGuest<int32_t>(thread.object + kThreadStateOffset) == kThreadEnded;
}

void SimScheduler::pollAll() {
  for (auto& [id, entry] : entries_) entry->pollWanted = true;
}

void SimScheduler::visitThreads(const std::function<void(const GuestThread&, bool isMoving)>& visit) const {
  for (const auto& [id, entry] : entries_) visit(*entry->thread, entry->moving);
}

std::string SimScheduler::describe() const {
  std::string text;
  for (const auto& [id, entry] : entries_)
    text += fmt::format("  thread {}: state {}, waits {} for {:#x}, ticket {}{}{}{}\n", id,
                        uint32_t(entry->thread->state), rt::waitName(entry->thread->wait.kind),
                        entry->thread->wait.object, entry->thread->wait.ticket, entry->fiber ? ", in a slow path" : "",
                        entry->moving ? ", moving" : "", entry->flushTicket ? ", flushing" : "");
  return text;
}

}  // namespace jvmc::sim
