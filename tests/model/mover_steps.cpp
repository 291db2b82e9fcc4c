// Blocks that change their home, and copies that are evicted. Stands for block_mover.cpp,
// block_arrivals.cpp and evictor.cpp. A stack refers to an object from its check on until the last access that relies
// on it.
#include <algorithm>

#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

/// Each thread of the node stands in a poll or an allocation, waits in a slow path, is parked, or has ended.
bool Stepper::worldMayStop(uint8_t n) const {
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t) {
    const Thread& thread = from_.thread[t];
    if (nodeOf(t) != n || thread.phase == Phase::Done) continue;
    if (thread.phase == Phase::Checked) return false;
    if (thread.phase != Phase::Runs || thread.inSlowPath || standsInPoll(from_, t)) continue;
    if (instruction(from_, t).op != Op::Allocate) return false;
  }
  return true;
}

/// BlockHost::heldBlocks: a thread relies on a check of the object that it has made since its last poll.
bool Stepper::isHeld(uint8_t n, uint8_t o) const {
  if (faulty(Fault::HoldNothing)) return false;
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t)
    if (nodeOf(t) == n && holds(t, o)) return true;
  return false;
}

bool Stepper::holds(uint8_t t, uint8_t o) const {
  const Thread& thread = from_.thread[t];
  const bool parked =
      thread.phase == Phase::Releases || thread.phase == Phase::WaitsAnswer || thread.phase == Phase::Done;
  if (parked || standsInPoll(from_, t)) return false;
  const std::vector<Instruction>& code = scenario_.threads[t].code;
  const auto concerns = [&](size_t at) { return code[at].object == o; };
  bool checked = false, accessed = false;
  for (size_t at = thread.pc; at > 0 && code[at].polls == false; --at)
    checked = checked || (concerns(at - 1) && (code[at - 1].op == Op::CheckRead || code[at - 1].op == Op::CheckWrite));
  for (size_t at = thread.pc; at < code.size() && (at == thread.pc || !code[at].polls); ++at)
    accessed = accessed || (concerns(at) && (code[at].op == Op::Load || code[at].op == Op::Store));
  return checked && accessed;
}

void Stepper::stopWorld(uint8_t n) {
  say("node {}: the world stops, ", n);
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t)
    if (nodeOf(t) == n && standsInPoll(from_, t)) polled(t);
}

void Stepper::moverSteps(uint8_t n) {
  const Mover& mover = from_.node[n].mover;
  switch (mover.state) {
    case MoverState::Idle:
      if (!worldMayStop(n)) return;
      shareSteps(n);
      lendSteps(n);
      for (uint8_t o = 0; o < scenario_.objects.size(); ++o) {
        const Belief& home = from_.node[n].belief[o];
        if (home.state != HomeState::Settled || isHeld(n, o)) continue;
        const bool moves = home.node == n && from_.movesLeft > 0 && (scenario_.movable >> o & 1) &&
                           from_.node[n].monitor[o].lentTo == 0;
        const bool lent = from_.node[n].loan[o].state != LoanState::None;
        if (moves && (lent || (from_.node[n].copy[o].stamp == kShared && !faulty(in_model::SharedBlocksLeave)))) {
          stays(n, o);
          continue;
        }
        for (uint8_t target = 0; moves && target < scenario_.nodes; ++target)
          if (target != n) withdraw(n, o, target);
        if (home.node != n && from_.evictionsLeft > 0) evict(n, o);
      }
      return;
    case MoverState::Withdrawn: {
      if (mover.after > from_.node[n].owed.done) return;
      begin();
      const uint8_t moves = belief(n, mover.object).moves;
      if (faulty(Fault::MoveWithoutPrepare)) {
        ship(n);
      } else {
        say("node {}: PREPARE {} to node {}", n, name(mover.object), mover.target);
        node(n).mover.state = MoverState::Preparing;
        now().send({.kind = Kind::Prepare, .from = n, .to = mover.target, .object = mover.object, .moves = moves});
      }
      return done();
    }
    case MoverState::Ready:
      begin();
      ship(n);
      return done();
    case MoverState::Preparing:
    case MoverState::Shipped:
      return;  // waits for the target
  }
}

void Stepper::withdraw(uint8_t n, uint8_t o, uint8_t target) {
  begin();
  stopWorld(n);
  say("{} is to move to node {}", name(o), target);
  --now().movesLeft;
  node(n).mover = {MoverState::Withdrawn, o, target, afterDeferred(n)};
  belief(n, o).state = HomeState::Leaving;
  copy(n, o).stamp = kInvalid;
  copy(n, o).writer = kNobody;
  done();
}

/// The object is shared or on loan: its block stays this time.
void Stepper::stays(uint8_t n, uint8_t o) {
  if (from_.node[n].lease[o].recalling || from_.node[n].loan[o].recalling) return;
  begin();
  say("node {}: a move meets {}: ", n, name(o));
  if (isLent(n, o))
    recallLoan(n, o);
  else
    recall(n, o);
  done();
}

/// BlockGates::settle: whoever waits for the block goes on.
void Stepper::settle(uint8_t n, uint8_t o, uint8_t home, uint8_t moves) {
  belief(n, o) = {home, HomeState::Settled, moves};
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t) {
    if (nodeOf(t) == n && thread(t).phase == Phase::WaitsBlock && instruction(t).object == o)
      thread(t).phase = Phase::Runs;
  }
}

/// The block stays.
void Stepper::restore(uint8_t n) {
  const uint8_t o = node(n).mover.object;
  copy(n, o).stamp = kHome;
  settle(n, o, n, belief(n, o).moves);
  node(n).mover = {};
}

void Stepper::ship(uint8_t n) {
  Mover& mover = node(n).mover;
  const uint8_t o = mover.object;
  say("node {}: sends the block of {} to node {}", n, name(o), mover.target);
  Message blocks{.kind = Kind::Blocks, .from = n, .to = mover.target, .object = o, .moves = belief(n, o).moves};
  std::copy_n(copy(n, o).field, kFields, blocks.field);
  std::swap(blocks.home, node(n).home[o]);
  belief(n, o) = {mover.target, HomeState::Sent, uint8_t(blocks.moves + 1)};
  mover.state = MoverState::Shipped;
  now().send(blocks);
}

void Stepper::deliverPrepare(const Message& m) {
  Belief& known = belief(m.to, m.object);
  Message reply{.kind = Kind::PrepareReply, .from = m.to, .to = m.from, .object = m.object, .yes = true};
  reply.yes = known.state == HomeState::Settled && known.moves <= m.moves && known.node != m.to;
  if (!reply.yes) {
    say("refuses the block of {}", name(m.object));
    return now().send(reply);
  }
  say("awaits the block of {}", name(m.object));
  known = {m.from, HomeState::Incoming, m.moves};
  Copy& c = copy(m.to, m.object);
  if (!c.busy) return now().send(reply);
  say(", when its transaction has ended");
  c.waitingMover = m.from + 1;
}

/// BlockArrivals::install.
void Stepper::deliverBlocks(const Message& m) {
  const uint8_t n = m.to, o = m.object;
  const Belief& known = belief(n, o);
  const bool awaited = known.state == HomeState::Incoming && known.node == m.from && known.moves == m.moves;
  if (!awaited && !faulty(Fault::MoveWithoutPrepare)) fail("a block arrives that nobody awaits");
  Copy& c = copy(n, o);
  for (int f = 0; f < kFields; ++f) {
    const bool dirty = c.hasTwin && c.field[f] != c.twin[f];
    if (!dirty) c.field[f] = m.field[f];
  }
  if (c.hasEntry) {
    c.writers = 0;
    c.hasTwin = false;
    std::fill_n(c.twin, kFields, uint8_t(0));
    dropIfIdle(c);
  }
  c.stamp = kHome;
  c.writer = kNobody;
  if (!faulty(Fault::ArrivalDoesNotTick)) tick(n);
  node(n).home[o] = m.home;
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t)
    if (nodeOf(t) == n) thread(t).adoptedSince = true;
  settle(n, o, n, m.moves + 1);
  say("is the home of {} now: {} {}, clock {}", name(o), c.field[0], c.field[1], node(n).clock);
  now().send({.kind = Kind::BlocksReply, .from = n, .to = m.from, .object = o, .moves = uint8_t(m.moves + 1)});
}

void Stepper::evict(uint8_t n, uint8_t o) {
  const Copy& c = from_.node[n].copy[o];
  if (c.hasEntry || c.stamp == kInvalid) return;
  begin();
  stopWorld(n);
  say("the copy of {} is evicted", name(o));
  --now().evictionsLeft;
  copy(n, o) = {};
  done();
}

}  // namespace jvmc::cluster::model
