// What guest threads do: checks, accesses, joins. Stands for cluster_object_space.cpp (mutator side).
#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

Writes writesTo(const Scenario& scenario, size_t object, int field) {
  Writes all = 0;
  for (const Program& program : scenario.threads) {
    for (const Instruction& i : program.code) {
      const bool stores = i.op == Op::Write || i.op == Op::Store || i.op == Op::ElementStore;
      if (stores && i.object == object && i.field == field) all |= Writes(1 << i.write);
    }
  }
  return all;
}

void Stepper::begin() {
  step_.state = from_;
  step_.label.clear();
  step_.violation.clear();
}

void Stepper::done() {
  checkInvariants();
  visit_(step_);
}

void Stepper::checkInvariants() {
  for (uint8_t o = 0; o < scenario_.objects.size(); ++o) {
    int homes = 0;
    for (uint8_t n = 0; n < scenario_.nodes; ++n) {
      homes += servedHere(n, o);
      if (copy(n, o).stamp >= kShared && !homedHere(n, o))
        fail(fmt::format("node {} takes {} for its own, which is homed elsewhere", n, name(o)));
    }
    for (int m = 0; m < now().messageCount; ++m)
      homes += now().message[m].kind == Kind::Blocks && now().message[m].object == o;
    if (homes != 1) fail(fmt::format("{} has {} homes", name(o), homes));
    if (removed_ == Fault::None) {
      checkLeases(o);
      checkLoans(o);
    }
  }
}

bool Stepper::standsInPoll(const State& state, uint8_t t) const {
  const Thread& thread = state.thread[t];
  return thread.phase == Phase::Runs && !thread.inSlowPath && instruction(state, t).polls;
}

void Stepper::threadSteps(uint8_t t) {
  const uint8_t n = nodeOf(t);
  const Thread& thread = from_.thread[t];
  if (standsInPoll(from_, t)) {
    if (thread.epoch != from_.node[n].clock) {
      begin();
      polled(t);
      say("{} polls", char('A' + t));
      done();
    }
  }
  const bool goesOn = thread.phase == Phase::Runs || thread.phase == Phase::Checked;
  if (!goesOn) return;
  for (bool takesBack : {false, true}) {
    takesBack_ = takesBack;
    mayTakeBack_ = false;
    begin();
    if (execute(t)) done();
    if (!mayTakeBack_) return;
  }
}

/// The thread sees what its node has seen.
void Stepper::polled(uint8_t t) {
  thread(t).epoch = node(nodeOf(t)).clock;
}

/// False if nothing has happened.
bool Stepper::execute(uint8_t t) {
  Thread& me = thread(t);
  const Instruction& i = instruction(t);
  switch (i.op) {
    case Op::Read:
    case Op::CheckRead:
      if (!mayRead(t, i.object)) return fetch(t);
      if (i.op == Op::Read) load(t);
      if (i.op == Op::CheckRead) say("{} may read {}", char('A' + t), name(i.object));
      break;
    case Op::Write:
    case Op::CheckWrite:
      if (me.phase == Phase::Runs && !mayWrite(t, i.object)) {
        if (!mayRead(t, i.object)) return fetch(t);
        if (belief(nodeOf(t), i.object).state != HomeState::Settled) return fetch(t);  // it waits for the block
        if (isShared(nodeOf(t), i.object) && awaitLeases(t)) return true;
        join(t);
        me.inSlowPath = false;
        me.phase = Phase::Checked;  // the store comes without another look at the header
        if (i.op == Op::Write) return true;
      } else if (i.op == Op::CheckWrite) {
        say("{} may write {}", char('A' + t), name(i.object));
      }
      if (i.op == Op::Write) store(t);
      break;
    case Op::Load:
      load(t);
      break;
    case Op::Store:
      store(t);
      break;
    case Op::Allocate:
      say("{} allocates", char('A' + t));
      break;
    default:
      synchronise(t);
      return true;
  }
  advance(t);
  return true;
}

bool Stepper::mayWrite(uint8_t t, uint8_t o) {
  const Copy& c = copy(nodeOf(t), o);
  return c.stamp == kHome || c.stamp == kBorrowed || (c.stamp >= thread(t).epoch && c.writer == t + 1);
}

void Stepper::advance(uint8_t t) {
  Thread& me = thread(t);
  me.phase = Phase::Runs;
  me.inSlowPath = false;
  ++me.pc;
}

void Stepper::load(uint8_t t) {
  const Instruction& i = instruction(t);
  const uint8_t value = copy(nodeOf(t), i.object).field[i.field];
  say("{} reads {}.{} = {}", char('A' + t), name(i.object), i.field, value);
  const Writes known = now().ghost.known[t] & writesTo(scenario_, i.object, i.field);
  for (uint8_t w = 1; w < kWritesMax; ++w) {
    const bool hides = (known >> w & 1) && w != value && (value == 0 || (now().ghost.before[w] >> value & 1));
    if (hides)
      fail(fmt::format("{} does not see {}.{} = {}, which happens before", char('A' + t), name(i.object), i.field, w));
  }
}

void Stepper::store(uint8_t t) {
  const Instruction& i = instruction(t);
  say("{} writes {}.{} = {}", char('A' + t), name(i.object), i.field, i.write);
  copy(nodeOf(t), i.object).field[i.field] = i.write;
  written(t);
}

void Stepper::written(uint8_t t) {
  const uint8_t number = instruction(t).write;
  now().ghost.before[number] = now().ghost.known[t];
  now().ghost.known[t] |= Writes(1 << number);
}

/// ClusterObjectSpace::fetch. False if nothing has happened.
bool Stepper::fetch(uint8_t t) {
  Thread& me = thread(t);
  const uint8_t n = nodeOf(t), o = instruction(t).object;
  const Belief& home = belief(n, o);
  if (home.state != HomeState::Settled) {
    const Mover& mover = node(n).mover;
    mayTakeBack_ = mover.state == MoverState::Withdrawn && mover.object == o;
    me.inSlowPath = true;
    if (mayTakeBack_ && takesBack_) {
      say("{} needs {} and takes it back", char('A' + t), name(o));
      restore(n);
    } else {
      say("{} waits for the block of {}", char('A' + t), name(o));
      me.phase = Phase::WaitsBlock;
    }
    return true;
  }
  if (home.node == n) return isLent(n, o) && awaitLoan(t);
  Copy& c = copy(n, o);
  c.hasEntry = me.inSlowPath = true;
  if (c.busy && !(faulty(Fault::FetchOverlapsFlush) && c.flushing)) {
    say("{} waits until {} is not busy", char('A' + t), name(o));
    c.waitingThreads |= Threads(1 << t);
    me.phase = Phase::WaitsBusy;
    return true;
  }
  c.busy = true;
  me.phase = Phase::WaitsFetch;
  say("{} ", char('A' + t));
  sendFetch(t, node(n).clock);  // I2: before the request leaves
  return true;
}

void Stepper::sendFetch(uint8_t t, uint8_t stamp) {
  const uint8_t n = nodeOf(t), o = instruction(t).object;
  thread(t).flushedSince = 0;
  thread(t).adoptedSince = false;
  const Belief home = belief(n, o);
  say("asks node {} for {}, at clock {}", home.node, name(o), stamp);
  now().send(
      {.kind = Kind::Fetch, .from = n, .to = home.node, .object = o, .thread = t, .stamp = stamp, .moves = home.moves});
}

/// I3.
void Stepper::join(uint8_t t) {
  const uint8_t o = instruction(t).object;
  const uint8_t n = nodeOf(t);
  Copy& c = copy(n, o);
  if (homedHere(n, o)) return say("{} may write {}", char('A' + t), name(o));
  say("{} joins the writers of {}", char('A' + t), name(o));
  if (c.stamp == kLeased) c.stamp = node(n).clock;  // it holds what the home has
  c.hasEntry = true;
  if (!c.hasTwin) std::copy(c.field, c.field + kFields, c.twin);
  c.hasTwin = true;
  c.writers |= Threads(1 << t);
  c.writer = t + 1;
  thread(t).writeSet |= uint8_t(1 << o);
}

}  // namespace jvmc::cluster::model
