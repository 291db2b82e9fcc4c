// Releases at home send nothing: the node owes the writes, and takes them home before anything leaves it that could
// tell others. Stands for the deferred part of flusher.cpp.
#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

/// Flusher::defer: the node is a writer in the thread's place.
void Stepper::defer(uint8_t t) {
  const uint8_t n = nodeOf(t);
  for (uint8_t o = 0; o < kObjects; ++o) {
    Copy& c = copy(n, o);
    if (!(thread(t).writeSet >> o & 1) || !c.hasEntry || !(c.writers >> t & 1)) continue;
    say("node {} owes {}; ", n, name(o));
    c.writers = Threads((c.writers & ~(1 << t)) | 1 << (kThreads + n));
    if (c.writer == t + 1) c.writer = kNobody;
    node(n).owed.objects |= uint8_t(1 << o);
  }
  thread(t).writeSet = 0;
}

/// When what leaves now may leave: after how many jobs.
uint8_t Stepper::afterDeferred(uint8_t n) {
  if (!owes(n) || faulty(Fault::DeferredWritesOvertaken)) return 0;
  const Owed& owed = node(n).owed;
  return uint8_t(owed.done + owed.runs + (owed.objects != 0));
}

/// It may at any time, because of the tick of the staleness bound.
void Stepper::owedSteps(uint8_t n) {
  const Owed& owed = from_.node[n].owed;
  if (owed.runs || owed.objects == 0) return;
  begin();
  sendOwed(n);
  done();
}

void Stepper::sendOwed(uint8_t n) {
  Owed& owed = node(n).owed;
  const uint8_t objects = owed.objects;
  owed.objects = 0;
  owed.runs = true;
  owed.pending = 1;
  say("node {} sends what it owes: ", n);
  for (uint8_t o = 0; o < kObjects; ++o)
    if (objects >> o & 1) flushOne(uint8_t(kThreads + n), o);
  if (owed.companion != 0) addRequest(uint8_t(owed.companion - 1), uint8_t(kThreads + n));
  if (--owed.pending == 0) jobEnds(n);
}

void Stepper::jobEnds(uint8_t n) {
  Owed& owed = node(n).owed;
  say("node {} owes that no more; ", n);
  owed.runs = false;
  ++owed.done;
  if (owed.companion == 0) return;
  const uint8_t t = uint8_t(owed.companion - 1);
  owed.companion = 0;
  submit(t);
}

/// Flusher::mayAccompany: all that the job sends goes to the home of the request that the thread's release is part of.
void Stepper::addRequest(uint8_t t, uint8_t job) {
  const Instruction& i = instruction(t);
  const Belief& home = belief(nodeOf(t), i.object);
  if (!scenario_.companions || i.op == Op::End || pending(job) != 2 || home.state != HomeState::Settled) return;
  for (int m = 0; m < now().messageCount; ++m) {
    Message flush = now().message[m];
    if (flush.kind != Kind::Flush || flush.thread != job || flush.to != home.node) continue;
    say("with the request about {}; ", name(i.object));
    flush.yes = true;
    now().remove(m);
    return now().send(flush);
  }
}

/// Whose request comes with a flush.
uint8_t Stepper::requesterOf(const Message& m) const {
  return m.thread < kThreads ? m.thread : uint8_t(from_.node[m.from].owed.companion - 1);
}

/// The end of HomeSide::flush. False: the request is to be sent again, alone.
bool Stepper::carryOutCompanion(const Message& m) {
  const uint8_t t = requesterOf(m);
  const uint8_t o = instruction(t).object;
  const LoanState loan = node(m.to).loan[o].state;
  const bool lent = loan == LoanState::Lent || loan == LoanState::Returned;
  if (!servedHere(m.to, o) || (lent && instruction(t).op != Op::Unlock)) return false;
  say("; clock {}; ", tick(m.to));
  carryOut(m.to, t);
  return true;
}

}  // namespace jvmc::cluster::model
