#include "tests/simulator/script.h"

#include <utility>

#include "ir/support/check.h"

namespace jvmc::sim {

using rt::SyncOp;
using rt::SyncRequest;
using rt::WaitKind;

namespace {

enum Phase : uint64_t { Starting, Choosing, Working, Joining, Ending };
/// How far a transaction under a monitor is; its own steps follow these.
enum MonitorStep : uint64_t { Enter, Granted, Inside, Exit, Left, kMonitorSteps };

SyncRequest onObject(SyncOp op, ObjectRef object) {
  SyncRequest request{};
  request.op = op;
  request.object = object;
  return request;
}

SyncRequest atomic(rt::AtomicOp op, const Field& field, uint64_t a) {
  SyncRequest request = onObject(SyncOp::Atomic, field.object);
  request.atomicOp = op;
  request.offset = field.offset;
  request.sizeLog2 = 3;
  request.a = a;
  return request;
}

}  // namespace

/// The slots of a thread's one frame.
struct Script::Variables {
  uint64_t index;      ///< of the thread
  uint64_t random;     ///< state
  uint64_t phase;      ///< Phase
  uint64_t kind, at;   ///< of the transaction, and how far it is
  uint64_t left;       ///< transactions
  uint64_t what, aux;  ///< of the transaction
  uint64_t written;    ///< how many values
  uint64_t sent;       ///< on its channel
  uint64_t next;       ///< thread to start or join
  ObjectRef cells[3];  ///< that it has hold of
  uint64_t frozen;     ///< of its finals

  uint64_t below(uint64_t bound) {
    Prng prng(random);
    const uint64_t value = prng.below(bound);
    random += 0x9e3779b97f4a7c15;
    return value;
  }
};

void Script::begin(rt::GuestThread& thread, size_t index, uint64_t seed) const {
  constexpr uint32_t kSlots = sizeof(Variables) / 8;
  auto* my = reinterpret_cast<Variables*>(thread.frames.push(0, 0, kSlots));
  *my = {};
  my->index = index;
  my->random = seed * 1'000'003 + index * 77'777;
  my->phase = index == 0 ? Starting : Choosing;
  my->left = options_.transactions;
  my->next = 1;
}

std::span<uint64_t> Script::references(rt::GuestThread& thread) {
  return reinterpret_cast<Variables*>(thread.frames.slots(0))->cells;
}

StepEnd Script::step(Guest& guest) const {
  auto& my = *reinterpret_cast<Variables*>(guest.thread().frames.slots(0));
  if (my.below(1000) < uint64_t(options_.moves * 1000)) guest.wantMove();
  switch (Phase(my.phase)) {
    case Starting:
      return startOthers(guest, my);
    case Choosing:
      return choose(guest, my);
    case Working:
      return carryOn(guest, my);
    case Joining:
      return joinOthers(guest, my);
    case Ending:
      return finish(guest, my);
  }
  JVMC_CHECK(false, my.phase);
}

StepEnd Script::choose(Guest& guest, Variables& my) const {
  if (my.left == 0) {
    my.phase = my.index == 0 ? Joining : Ending;
    my.at = 0;
    return StepEnd::Polls;
  }
  --my.left;
  my.phase = Working;
  my.kind = my.below(options_.cells ? kKindsWithCells : kKinds);
  // Most runs with cells are about these.
  if (options_.cells && my.below(2) == 0) my.kind = Graph + my.below(2);
  my.at = 0;
  return carryOn(guest, my);
}

StepEnd Script::carryOn(Guest& guest, Variables& my) const {
  switch (Kind(my.kind)) {
    case Guarded:
    case Wait:
      return guarded(guest, my);
    case Nested:
      return nested(guest, my);
    case Own:
      return own(guest, my, false);
    case Hoisted:
      return own(guest, my, true);
    case Add:
      return add(guest, my);
    case Send:
      return send(guest, my);
    case Receive:
      return receive(guest, my);
    case Race:
      return race(guest, my);
    case Publish:
      return publish(guest, my);
    case Look:
      return look(guest, my);
    case Graph:
      return graph(guest, my);
    case Swap:
      return swap(guest, my);
    case kKindsWithCells:
      break;
  }
  JVMC_CHECK(false, my.kind);
}

/// No two values are the same, as far as the field has room.
uint64_t Script::nextValue(Variables& my, const Field& field) const {
  ++my.written;
  return field.isByte ? my.written % 255 + 1 : (my.index + 1) << 32 | my.written;
}

/// The way into a monitor and out of it, of all transactions under one. Nothing: the thread is inside, and does what it
/// came for; else the step has ended so. Who wants to go out sets my.at to Exit.
std::optional<StepEnd> Script::passMonitor(Guest& guest, Variables& my) const {
  const rt::ThreadId self = guest.thread().ref.id;
  if (my.at == Enter) my.what = my.below(world_.monitors.size());
  const ObjectRef monitor = world_.monitors[my.what];
  switch (my.at) {
    case Enter:
      my.at = Granted;
      if (!guest.submit(onObject(SyncOp::MonitorEnter, monitor), WaitKind::MonitorEnter)) return StepEnd::Parked;
      [[fallthrough]];
    case Granted:
      history_.entered(self, monitor);
      my.at = Inside;
      [[fallthrough]];
    case Inside:
      return std::nullopt;
    case Exit:
      my.at = Left;
      history_.left(self, monitor);
      if (!guest.submit(onObject(SyncOp::MonitorExit, monitor), WaitKind::Access)) return StepEnd::Parked;
      [[fallthrough]];
    case Left:
      my.phase = Choosing;
      return StepEnd::Polls;
    default:
      JVMC_CHECK(false, my.at);
  }
}

void Script::useGuarded(Guest& guest, Variables& my) const {
  const rt::ThreadId self = guest.thread().ref.id;
  const auto& fields = world_.guarded[my.what];
  for (uint64_t count = 1 + my.below(2); count > 0; --count) {
    const Field& field = fields[my.below(fields.size())];
    history_.readLast(self, field.address(), guest.read(field));
    const uint64_t value = nextValue(my, field);
    guest.write(field, value);
    history_.wrote(self, field.address(), value);
  }
}

/// enter; two rounds of reading and writing, with polls between; perhaps wait or notify; exit.
StepEnd Script::guarded(Guest& guest, Variables& my) const {
  enum { Waited = kMonitorSteps };
  const rt::ThreadId self = guest.thread().ref.id;
  if (my.at == Waited) {
    history_.entered(self, world_.monitors[my.what]);
    my.kind = Guarded;
    my.at = Inside;
    return StepEnd::Polls;
  }
  if (const std::optional<StepEnd> end = passMonitor(guest, my)) return *end;
  useGuarded(guest, my);
  if (my.below(2) == 0) return StepEnd::Polls;  // and once more
  const ObjectRef monitor = world_.monitors[my.what];
  if (my.kind == Wait && my.below(2) == 0) {
    my.at = Waited;
    history_.left(self, monitor);
    SyncRequest wait = onObject(SyncOp::MonitorWait, monitor);
    wait.nanos = int64_t(1 + my.below(5000)) * kMicros;
    return guest.submit(wait, WaitKind::MonitorWait) ? StepEnd::Polls : StepEnd::Parked;
  }
  my.at = Exit;
  if (my.kind != Wait) return StepEnd::Polls;
  const SyncOp op = my.below(2) == 0 ? SyncOp::MonitorNotify : SyncOp::MonitorNotifyAll;
  return guest.submit(onObject(op, monitor), WaitKind::Access) ? StepEnd::Polls : StepEnd::Parked;
}

/// enter, and again and again while it is inside, moving in between; as many exits.
StepEnd Script::nested(Guest& guest, Variables& my) const {
  constexpr uint64_t kDepthMax = 3;
  if (my.at == Enter) my.aux = 0;
  if (const std::optional<StepEnd> end = passMonitor(guest, my)) return *end;
  useGuarded(guest, my);
  if (my.below(2) == 0) guest.wantMove();
  const bool isDeeper = my.aux < kDepthMax && my.below(2) == 0;
  if (!isDeeper && my.aux == 0) {
    my.at = Exit;
    return StepEnd::Polls;
  }
  my.aux += isDeeper ? 1 : -1;
  const ObjectRef monitor = world_.monitors[my.what];
  const bool answered = isDeeper ? guest.submit(onObject(SyncOp::MonitorEnter, monitor), WaitKind::MonitorEnter)
                                 : guest.submit(onObject(SyncOp::MonitorExit, monitor), WaitKind::Access);
  return answered ? StepEnd::Polls : StepEnd::Parked;
}

/// Its own fields, without any synchronisation.
StepEnd Script::own(Guest& guest, Variables& my, bool hoisted) const {
  const rt::ThreadId self = guest.thread().ref.id;
  const auto& fields = world_.own[my.index];
  for (uint64_t count = 1 + my.below(3); count > 0; --count) {
    const Field& field = fields[my.below(fields.size())];
    const Field other{world_.records[my.below(world_.records.size())], rt::kHeaderBytes + 8 * kRecordReferences};
    history_.readLast(self, field.address(), hoisted ? guest.readAfterChecking(field, other) : guest.read(field));
    if (my.below(3) == 0) continue;
    const uint64_t value = nextValue(my, field);
    if (hoisted)
      guest.writeAfterChecking(field, value, other);
    else
      guest.write(field, value);
    history_.wrote(self, field.address(), value);
  }
  my.phase = Choosing;
  return StepEnd::Polls;
}

StepEnd Script::add(Guest& guest, Variables& my) const {
  enum { Begin, Added };
  if (my.at == Begin) {
    my.what = my.below(world_.counters.size());
    my.at = Added;
    const Field& field = world_.counters[my.what];
    my.aux = history_.additionBegins(field.address());
    if (!guest.submit(atomic(rt::AtomicOp::Add, field, 1), WaitKind::Access)) return StepEnd::Parked;
  }
  history_.added(guest.thread().ref.id, world_.counters[my.what].address(), my.aux, guest.thread().resumption.value);
  my.phase = Choosing;
  return StepEnd::Polls;
}

/// Plain writes, then a volatile one.
StepEnd Script::send(Guest& guest, Variables& my) const {
  enum { Begin, Stored };
  if (my.at == Begin) {
    const World::Channel& channel = world_.channels[my.index];
    history_.sending(channel.flag.address(), ++my.sent);
    for (const Field& field : channel.data) guest.write(field, my.sent);
    my.at = Stored;
    if (!guest.submit(atomic(rt::AtomicOp::Store, channel.flag, my.sent), WaitKind::Access)) return StepEnd::Parked;
  }
  my.phase = Choosing;
  return StepEnd::Polls;
}

StepEnd Script::receive(Guest& guest, Variables& my) const {
  enum { Begin, Loaded };
  if (my.at == Begin) {
    my.what = my.below(world_.channels.size());
    my.at = Loaded;
    const Field& flag = world_.channels[my.what].flag;
    if (!guest.submit(atomic(rt::AtomicOp::Load, flag, 0), WaitKind::Access)) return StepEnd::Parked;
  }
  const World::Channel& channel = world_.channels[my.what];
  const uint64_t flag = guest.thread().resumption.value;
  for (const Field& field : channel.data)
    history_.received(guest.thread().ref.id, channel.flag.address(), flag, guest.read(field));
  my.phase = Choosing;
  return StepEnd::Polls;
}

/// References to records, any of them at any time, but never a mixture of two.
StepEnd Script::race(Guest& guest, Variables& my) const {
  for (uint64_t count = 1 + my.below(3); count > 0; --count) {
    guest.write(world_.racing[my.below(world_.racing.size())], world_.records[my.below(world_.records.size())]);
    const Field& field = world_.racing[my.below(world_.racing.size())];
    const ObjectRef seen = guest.read(field);
    history_.readReference(guest.thread().ref.id, field.address(), seen, seen == rt::kNullRef || world_.isObject(seen));
  }
  my.phase = Choosing;
  return StepEnd::Polls;
}

/// Fills a record and its part, perhaps moving in between; freezes the record, and tells of it by a plain write.
StepEnd Script::publish(Guest& guest, Variables& my) const {
  if (my.frozen == World::kFinals) return look(guest, my);
  const World::Final& own = world_.finals[my.index][my.frozen];
  const uint64_t value = 1 + my.index * World::kFinals + my.frozen;
  if (my.at < World::kFinalFields) {
    for (ObjectRef object : {own.record, own.part}) guest.write(World::Final::field(object, uint32_t(my.at)), value);
    ++my.at;
    if (my.below(2) == 0) guest.wantMove();
    return StepEnd::Polls;
  }
  guest.freeze(own.record);
  history_.published(guest.thread().ref.id, value);
  guest.write(world_.slots[my.below(world_.slots.size())], value);
  ++my.frozen;
  my.phase = Choosing;
  return StepEnd::Polls;
}

/// Whoever finds a frozen record sees it whole, without having synchronised.
StepEnd Script::look(Guest& guest, Variables& my) const {
  const rt::ThreadId self = guest.thread().ref.id;
  for (const Field& slot : world_.slots) {
    const uint64_t value = guest.read(slot);
    history_.found(self, slot.address(), value);
    if (value == 0 || !history_.violation().empty()) continue;
    const World::Final& other = world_.finalOf(value);
    for (ObjectRef object : {other.record, other.part})
      for (uint32_t i = 0; i < World::kFinalFields; ++i) {
        const Field field = World::Final::field(object, i);
        history_.readFinal(self, field.address(), guest.read(field), value);
      }
  }
  my.phase = Choosing;
  return StepEnd::Polls;
}

// ---------------------------------------------------------------- cells

/// enter; some changes to what hangs at the monitor's anchors, with polls between; exit.
StepEnd Script::graph(Guest& guest, Variables& my) const {
  if (const std::optional<StepEnd> end = passMonitor(guest, my)) return *end;
  for (uint64_t count = 1 + my.below(4); count > 0; --count) changeGraph(guest, my);
  if (my.below(2) == 0) my.at = Exit;
  return StepEnd::Polls;
}

void Script::changeGraph(Guest& guest, Variables& my) const {
  enum { Take, Put, Clear, Make, Follow, Link, Forget, kChanges };
  const auto& anchors = world_.anchors[my.what];
  const Field anchor = anchors[my.below(anchors.size())];
  ObjectRef &one = my.cells[my.below(3)], &other = my.cells[my.below(3)];
  const Field inside{one, rt::kHeaderBytes + 8 * uint32_t(my.below(kRecordReferences))};
  switch (my.below(kChanges)) {
    case Take:
      one = guest.readReference(anchor);
      return;
    case Put:
      return guest.writeReference(anchor, one);
    case Clear:
      return guest.writeReference(anchor, rt::kNullRef);
    case Make:
      one = guest.make();
      return;
    case Follow:
      // Racy: another thread may have the cell from elsewhere.
      if (one != rt::kNullRef) other = guest.readReference(inside);
      return;
    case Link:
      if (one != rt::kNullRef) guest.writeReference(inside, other);
      return;
    case Forget:
      one = rt::kNullRef;
      return;
  }
}

/// Gives a cell for what was there.
StepEnd Script::swap(Guest& guest, Variables& my) const {
  enum { Begin, Swapped };
  if (my.at == Begin) {
    my.at = Swapped;
    SyncRequest request = atomic(rt::AtomicOp::Swap, world_.swapped[my.below(world_.swapped.size())], my.cells[0]);
    request.isReference = true;
    my.cells[0] = rt::kNullRef;  // only the request knows it now
    if (!guest.submit(request, WaitKind::Access)) return StepEnd::Parked;
  }
  my.cells[1] = guest.thread().resumption.value;
  my.phase = Choosing;
  return StepEnd::Polls;
}

// ---------------------------------------------------------------- beginning and end

/// The main thread begins all others.
StepEnd Script::startOthers(Guest& guest, Variables& my) const {
  enum { Ask, Granted };
  if (my.at == Granted) {
    my.at = Ask;
    guest.launch(my.next++);
    return StepEnd::Polls;
  }
  if (my.next == world_.threads()) {
    my.phase = Choosing;
    my.next = 1;
    return StepEnd::Polls;
  }
  const rt::ThreadRef thread = world_.thread(my.next);
  SyncRequest start = onObject(SyncOp::ThreadStart, thread.object);
  start.a = thread.id;
  my.at = Granted;
  return guest.submit(start, WaitKind::Access) ? StepEnd::Polls : StepEnd::Parked;
}

StepEnd Script::joinOthers(Guest& guest, Variables& my) const {
  enum { Ask, Joined };
  if (my.at == Joined) {
    my.at = Ask;
    if (guest.thread().resumption.value != 1) history_.fail("a join has ended before its thread");
    ++my.next;
    return StepEnd::Polls;
  }
  if (my.next == world_.threads()) {
    my.phase = Ending;
    return StepEnd::Polls;
  }
  my.at = Joined;
  const bool answered = guest.submit(onObject(SyncOp::ThreadJoin, world_.thread(my.next).object), WaitKind::Join);
  return answered ? StepEnd::Polls : StepEnd::Parked;
}

StepEnd Script::finish(Guest& guest, Variables& my) const {
  enum { Begin, Ended };
  if (std::exchange(my.at, Ended) == Ended) return StepEnd::Over;
  guest.thread().ending = true;  // it moves no more: nobody would find it
  const bool answered = guest.submit(onObject(SyncOp::ThreadEnd, guest.thread().ref.object), WaitKind::Access);
  return answered ? StepEnd::Over : StepEnd::Parked;
}

}  // namespace jvmc::sim
