// How guest threads synchronise: releases, requests to homes, acquires.
// Stands for flusher.cpp and the second half of cluster_object_space.cpp.
#include <algorithm>

#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

// ---------------------------------------------------------------- release

void Stepper::synchronise(uint8_t t) {
  const Op op = instruction(t).op;
  const bool releases = op == Op::Unlock || op == Op::VolatileStore || op == Op::ElementStore || op == Op::End;
  if (!releases || release(t))
    submit(t);
  else
    thread(t).phase = Phase::Releases;
}

/// Operations on fields that are volatile go by the fields, which may be on loan here.
bool Stepper::isOperatedHere(uint8_t t) {
  const Instruction& i = instruction(t);
  const uint8_t n = nodeOf(t);
  const bool ofMonitor = i.op == Op::Lock || i.op == Op::Unlock;
  const bool borrowed = ofMonitor ? node(n).monitor[i.object].lentBy != 0 : copy(n, i.object).stamp == kBorrowed;
  return homedHere(n, i.object) || borrowed;
}

/// Flusher::release. True if all is home already.
bool Stepper::release(uint8_t t) {
  Thread& me = thread(t);
  const uint8_t n = nodeOf(t);
  if (instruction(t).op != Op::End && isOperatedHere(t)) return defer(t), true;
  const bool withOwed = owes(n) && scenario_.companions && !node(n).owed.runs && instruction(t).op != Op::End;
  if (owes(n)) {
    defer(t);
    if (withOwed) {
      node(n).owed.companion = uint8_t(t + 1);
      sendOwed(n);
      return false;
    }
    say("{} waits for what node {} owes; ", char('A' + t), n);
    const uint8_t after = uint8_t(node(n).owed.done + node(n).owed.runs + (node(n).owed.objects != 0));
    now().send({.kind = Kind::AfterOwed, .from = n, .to = n, .thread = t, .after = after});
    return false;
  }
  const uint8_t objects = me.writeSet;
  me.writeSet = 0;
  if (objects == 0) return true;
  say("{} releases: ", char('A' + t));
  me.pending = 1;
  for (uint8_t o = 0; o < kObjects; ++o)
    if (objects >> o & 1) flushOne(t, o);
  addRequest(t, t);
  return --me.pending == 0;
}

void Stepper::flushOne(uint8_t t, uint8_t o) {
  const uint8_t n = nodeOf(t);
  Copy& c = copy(n, o);
  if (!c.hasEntry) return say("{} has come home; ", name(o));
  if (belief(n, o).state != HomeState::Settled) {
    ++pending(t);
    say("waits for the block of {}; ", name(o));
    return now().send({.kind = Kind::FlushAgain, .from = n, .to = n, .object = o, .thread = t});
  }
  bool mustWait = c.busy && !(c.flushing && faulty(Fault::IgnoreForeignFlush));
  if (faulty(Fault::FetchOverlapsFlush)) mustWait = c.busy && c.flushing;
  if (mustWait) {
    ++pending(t);
    say("{} is busy; ", name(o));
    c.waitingJobs |= Threads(1 << t);
    return;
  }
  if (c.stamp == kBorrowed) {
    c.writers &= Threads(~(1 << t));  // whoever needs it elsewhere has it called back
    if (c.writer == t + 1) c.writer = kNobody;
    return say("{} is on loan here; ", name(o));
  }
  Message diff{
      .kind = Kind::Flush, .from = n, .to = belief(n, o).node, .object = o, .thread = t, .moves = belief(n, o).moves};
  for (int f = 0; f < kFields && c.hasTwin; ++f) {
    if (c.field[f] != c.twin[f]) diff.fields |= uint8_t(1 << f);
  }
  if (faulty(Fault::WideDiff) && diff.fields != 0) diff.fields = (1 << kFields) - 1;
  for (int f = 0; f < kFields; ++f)
    if (diff.fields >> f & 1) diff.field[f] = c.twin[f] = c.field[f];
  c.writers &= Threads(~(1 << t));
  if (faulty(Fault::FirstFlusherDropsTwin)) c.writers = 0;
  if (c.writer == t + 1) c.writer = kNobody;
  if (diff.fields == 0) {
    say("nothing new in {}; ", name(o));
    return dropIfIdle(c);
  }
  c.busy = c.flushing = true;
  ++pending(t);
  say("sends {} to node {}; ", name(o), diff.to);
  now().send(diff);
  if (faulty(Fault::NoAckWait)) {
    endTransaction(n, o);
    --pending(t);
  }
}

/// Flusher::step.
void Stepper::finishJobStep(uint8_t t) {
  if (--pending(t) > 0) return;
  if (t < kThreads)
    submit(t);
  else
    jobEnds(nodeOf(t));
}

// ---------------------------------------------------------------- requests to homes

void Stepper::submit(uint8_t t) {
  const Instruction& i = instruction(t);
  if (i.op == Op::End) {
    say("{} ends", char('A' + t));
    thread(t).phase = Phase::Done;
    return;
  }
  if (i.op == Op::ElementStore && isShared(nodeOf(t), i.object) && !faulty(in_model::AtomicIgnoresLeases) &&
      awaitLeases(t))
    return;
  const bool ofField = i.op != Op::Lock && i.op != Op::Unlock;
  if (ofField && homedHere(nodeOf(t), i.object) && isLent(nodeOf(t), i.object) && awaitLoan(t)) return;
  MonitorLoan& monitor = node(nodeOf(t)).monitor[i.object];
  if (!ofField && homedHere(nodeOf(t), i.object) && monitor.lentTo != 0) {
    say("{} needs the monitor of {}: ", char('A' + t), name(i.object));
    if (!monitor.recalling) callForMonitor(nodeOf(t), i.object);
    monitor.waiters |= Threads(1 << t);
    thread(t).phase = Phase::WaitsLease;
    return;
  }
  thread(t).phase = Phase::WaitsAnswer;
  if (!isOperatedHere(t)) return sendToHome(t);
  if (carryOut(nodeOf(t), t)) answered(t, false);
}

void Stepper::sendToHome(uint8_t t) {
  const uint8_t n = nodeOf(t), o = instruction(t).object;
  say("{} sends its request about {} to node {}", char('A' + t), name(o), belief(n, o).node);
  now().send(
      {.kind = Kind::Sync, .from = n, .to = belief(n, o).node, .object = o, .thread = t, .moves = belief(n, o).moves});
}

/// The thread has its answer and goes on.
void Stepper::answered(uint8_t t, bool remote) {
  const Op op = instruction(t).op;
  if (op == Op::Lock || op == Op::VolatileLoad || op == Op::ElementStore) {
    Node& here = node(nodeOf(t));
    thread(t).epoch = remote ? tick(nodeOf(t)) : here.clock;
    say("{} acquires, epoch {}", char('A' + t), thread(t).epoch);
  }
  advance(t);
}

/// SyncHome::handle, at the home. True: there is an answer at once.
bool Stepper::carryOut(uint8_t n, uint8_t t) {
  const Instruction& i = instruction(t);
  HomeOnly& home = node(n).home[i.object];
  Ghost& ghost = now().ghost;
  switch (i.op) {
    case Op::Lock:
      if (home.owner != kNobody) {
        for (uint8_t& place : home.queue) {
          if (place != kNobody) continue;
          place = t + 1;
          break;
        }
        say("{} queues for {}; ", char('A' + t), name(i.object));
        return false;
      }
      grant(n, i.object, t);
      return true;
    case Op::Unlock: {
      ghost.lock[i.object] |= ghost.known[t];
      const uint8_t next = home.queue[0];
      say("{} unlocks {}; ", char('A' + t), name(i.object));
      if (home.owner != t + 1) fail("a monitor is not owned by who leaves it");
      home.owner = kNobody;
      if (next == kNobody) return true;
      std::copy(home.queue + 1, home.queue + kThreads, home.queue);
      home.queue[kThreads - 1] = kNobody;
      grant(n, i.object, next - 1);
      sendMail(n, uint8_t(next - 1), i.object);
      return true;
    }
    case Op::VolatileStore:
      ghost.field[i.object] |= ghost.known[t];
      home.value = now().lastStored[i.object] = i.write;
      say("{} stores volatile {} = {}; ", char('A' + t), name(i.object), i.write);
      return true;
    case Op::ElementStore:
      ghost.field[i.object] |= ghost.known[t];
      copy(n, i.object).field[i.field] = i.write;
      written(t);
      say("{} stores {}.{} = {}; ", char('A' + t), name(i.object), i.field, i.write);
      return true;
    default:
      say("{} loads volatile {} = {}; ", char('A' + t), name(i.object), home.value);
      ghost.known[t] |= ghost.field[i.object];
      if (home.value != now().lastStored[i.object]) fail("a volatile field has lost its value");
      return true;
  }
}

/// ThreadRouter::send.
void Stepper::sendMail(uint8_t n, uint8_t t, uint8_t o) {
  const uint8_t after = nodeOf(t) == n ? 0 : afterDeferred(n);
  now().send({.kind = Kind::Mail, .from = n, .to = nodeOf(t), .object = o, .thread = t, .after = after});
}

void Stepper::grant(uint8_t n, uint8_t o, uint8_t t) {
  node(n).home[o].owner = t + 1;
  now().ghost.known[t] |= now().ghost.lock[o];
  say("{} owns {}; ", char('A' + t), name(o));
}

}  // namespace jvmc::cluster::model
