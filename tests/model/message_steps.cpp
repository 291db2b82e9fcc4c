// What arrives: requests at homes, replies, and what has waited for them.
// Stands for home_side.cpp and the callbacks in cluster_object_space.cpp and flusher.cpp.
#include <algorithm>

#include "tests/model/stepper.h"

namespace jvmc::cluster::model {
namespace {

bool isRequestToHome(Kind kind) {
  return kind == Kind::Fetch || kind == Kind::Flush || kind == Kind::Sync;
}

}  // namespace

/// HomeSide::awaitsLeases: what waits until the leases of a shared object are called back.
bool Stepper::changesField(const Message& m) const {
  if (m.kind == Kind::Flush) return !faulty(Fault::FlushIgnoresLeases);
  return m.kind == Kind::Sync && instruction(from_, m.thread).op == Op::ElementStore &&
         !faulty(in_model::AtomicIgnoresLeases);
}

void Stepper::deliver(int index) {
  const Message m = from_.message[index];
  const HomeState state = from_.node[m.to].belief[m.object].state;
  // Waits at the gate of the block (block_gates.h).
  if (isRequestToHome(m.kind) && state == HomeState::Incoming) return;
  if (m.kind == Kind::SyncAgain && state != HomeState::Settled) return;
  // Without an entry the block has been here in between.
  if (m.kind == Kind::FlushAgain && state != HomeState::Settled && from_.node[m.to].copy[m.object].hasEntry) return;
  if (from_.node[m.to].lease[m.object].recalling && changesField(m)) return;  // put aside
  if (isPutAside(m) || awaitsMonitor(m)) return;
  if (m.after > from_.node[m.from].owed.done) return;  // has not left yet
  const bool isReturn = m.kind == Kind::Unlease && from_.node[m.to].copy[m.object].stamp == kBorrowed;
  if (isReturn && !worldMayStop(m.to)) return;
  begin();
  say("node {}: ", m.to);
  if (changesField(m) && awaitsLeases(m)) return done();
  if (awaitsLoan(m)) return done();
  if (m.kind == Kind::Sync && isOfMonitor(m.thread) && homedHere(m.to, m.object) && !isLentTo(m) &&
      node(m.to).monitor[m.object].lentTo != 0) {
    callForMonitor(m.to, m.object);
    return done();
  }
  now().remove(index);
  switch (m.kind) {
    case Kind::Fetch:
      deliverFetch(m);
      break;
    case Kind::FetchReply:
      deliverFetchReply(m);
      break;
    case Kind::Flush:
      deliverFlush(m);
      break;
    case Kind::FlushReply:
      deliverFlushReply(m);
      break;
    case Kind::Sync:
      deliverSync(m);
      break;
    case Kind::SyncReply:
      deliverSyncReply(m);
      break;
    case Kind::SyncAgain:
      sendToHome(m.thread);
      break;
    case Kind::AfterOwed:
      submit(m.thread);
      break;
    case Kind::FlushAgain:
      flushOne(m.thread, m.object);
      finishJobStep(m.thread);
      break;
    case Kind::Mail:
      say("mail: ");
      answered(m.thread, m.from != m.to);
      break;
    case Kind::Prepare:
      deliverPrepare(m);
      break;
    case Kind::PrepareReply:
      say("node {} {}", m.from, m.yes ? "awaits the block" : "refuses the block");
      if (m.yes)
        node(m.to).mover.state = MoverState::Ready;
      else
        restore(m.to);
      break;
    case Kind::Blocks:
      deliverBlocks(m);
      break;
    case Kind::BlocksReply:
      say("gives back the memory of {}", name(m.object));
      copy(m.to, m.object) = {};
      settle(m.to, m.object, m.from, m.moves);
      node(m.to).mover = {};
      break;
    case Kind::Unlease:
      deliverUnlease(m);
      break;
    case Kind::UnleaseReply:
      deliverUnleaseReply(m);
      break;
    case Kind::Lend:
      deliverLend(m);
      break;
    case Kind::Recall:
      deliverRecall(m);
      break;
    case Kind::Return:
      deliverReturn(m);
      break;
    case Kind::Settle:
      say("is asked when it owes no more");
      now().send(
          {.kind = Kind::SettleReply, .from = m.to, .to = m.from, .object = m.object, .after = afterDeferred(m.to)});
      break;
    case Kind::SettleReply:
      loanIsOver(m.to, m.object);
      break;
    case Kind::GiveUp:
      say("node {} does not want {}; ", m.from, name(m.object));
      if (node(m.to).loan[m.object].borrower == m.from && isLent(m.to, m.object)) recallLoan(m.to, m.object);
      break;
    case Kind::LeaseEnds:
      endLease(m.to, m.object);
      break;
    case Kind::None:
      return;
  }
  done();
}

/// HomeSide::redirect. True if the object is not served here: then `reply` says where to go.
bool Stepper::redirect(const Message& m, Message& reply) {
  if (servedHere(m.to, m.object)) return false;
  const Belief& home = belief(m.to, m.object);
  reply.moved = true;
  reply.newNode = home.node;
  reply.newMoves = home.moves;
  if (home.moves == 0) fail(fmt::format("node {} is asked for {}, which it never had", m.to, name(m.object)));
  say("sends on to node {}", home.node);
  return true;
}

/// HomeMap::learn. `reply.moves`: what was believed when it was asked.
void Stepper::learn(const Message& reply) {
  Belief& known = belief(reply.to, reply.object);
  if (reply.newMoves <= reply.moves) return fail("a node is sent on to an older home");
  if (known.state == HomeState::Settled && known.moves < reply.newMoves)
    known = {reply.newNode, HomeState::Settled, reply.newMoves};
}

// ---------------------------------------------------------------- fetch

void Stepper::deliverFetch(const Message& m) {
  Message reply = m;
  reply.kind = Kind::FetchReply;
  std::swap(reply.from, reply.to);
  if (!redirect(m, reply)) {
    reply.leased = grantLease(m.to, m.from, m.object);
    std::copy_n(copy(m.to, m.object).field, kFields, reply.field);
    const int neighbour = m.object == 0 ? scenario_.neighbourOf0 : -1;
    reply.neighbour = neighbour >= 0 && servedHere(m.to, uint8_t(neighbour)) && !isLent(m.to, uint8_t(neighbour));
    if (reply.neighbour) std::copy_n(copy(m.to, uint8_t(neighbour)).field, kFields, reply.neighbourField);
    say("answers the fetch of {} with {} {}{}", name(m.object), reply.field[0], reply.field[1],
        reply.leased ? ", leased" : "");
    reply.lent = mayBorrow(m.to, m.from, m.object);
    if (reply.lent) {
      node(m.to).loan[m.object].state = LoanState::Lent;
      reply.home.value = node(m.to).home[m.object].value;
      say(", lent");
    }
  }
  now().send(reply);
}

void Stepper::deliverFetchReply(const Message& m) {
  if (m.moved) {
    learn(m);
    say("{} ", char('A' + m.thread));
    return sendFetch(m.thread, m.stamp);
  }
  const uint8_t stamp = faulty(Fault::StampAtReply) ? node(m.to).clock : m.stamp;
  const uint8_t freshness = leaseOr(stamp, m);
  if (freshness == kLeased)
    say("installs {} = {} {}, leased", name(m.object), m.field[0], m.field[1]);
  else
    say("installs {} = {} {}, stamp {}", name(m.object), m.field[0], m.field[1], stamp);
  copy(m.to, m.object).hasEntry = true;
  install(m.to, m.object, m.field, freshness, true);
  if (m.lent) borrow(m.to, m.object, m.home.value);
  endTransaction(m.to, m.object);
  thread(m.thread).phase = Phase::Runs;
  if (m.neighbour) installNeighbour(m, stamp);
}

/// ClusterObjectSpace::store, mergeFresh.
void Stepper::install(uint8_t n, uint8_t o, const uint8_t* image, uint8_t stamp, bool withEntry) {
  Copy& c = copy(n, o);
  const bool written = withEntry && c.hasTwin;
  const bool merge = written && !faulty(Fault::RefreshOverwrites);
  for (int f = 0; f < kFields; ++f) {
    const bool dirty = merge && c.field[f] != c.twin[f];
    if (!dirty) c.field[f] = image[f];
    if (written) c.twin[f] = image[f];
  }
  if (c.stamp == kInvalid) c.writer = kNobody;
  c.stamp = std::max(c.stamp, stamp);
}

void Stepper::installNeighbour(const Message& m, uint8_t stamp) {
  const uint8_t n = m.to, o = uint8_t(scenario_.neighbourOf0);
  const Copy& c = copy(n, o);
  const Thread& asker = from_.thread[m.thread];
  const bool untouched = belief(n, o).state == HomeState::Settled && belief(n, o).node != n && c.stamp < stamp &&
                         !c.hasEntry && !asker.adoptedSince && !(asker.flushedSince >> o & 1);
  if (!untouched && !faulty(Fault::NeighboursUnchecked)) return;
  say(", and {} = {} {} along with it", name(o), m.neighbourField[0], m.neighbourField[1]);
  install(n, o, m.neighbourField, stamp, false);
}

void Stepper::endTransaction(uint8_t n, uint8_t o) {
  Copy& c = copy(n, o);
  if (!c.hasEntry) return;  // only with a fault
  c.busy = c.flushing = c.recalled = false;
  if (c.writers == 0 && c.stamp != kBorrowed) c.hasTwin = false;
  if (!c.hasTwin) std::fill_n(c.twin, kFields, uint8_t(0));
  for (uint8_t t = 0; t < kThreads + kNodes; ++t) {
    if (c.waitingThreads >> t & 1) thread(t).phase = Phase::Runs;
    if (c.waitingJobs >> t & 1) now().send({.kind = Kind::FlushAgain, .from = n, .to = n, .object = o, .thread = t});
  }
  if (c.waitingMover != 0)
    now().send({.kind = Kind::PrepareReply, .from = n, .to = uint8_t(c.waitingMover - 1), .object = o, .yes = true});
  c.waitingThreads = c.waitingJobs = c.waitingMover = 0;
  dropIfIdle(c);
}

void Stepper::dropIfIdle(Copy& c) {
  if (c.stamp == kBorrowed || c.busy || c.writers != 0 || c.waitingThreads != 0 || c.waitingJobs != 0 ||
      c.waitingMover != 0)
    return;
  c.hasEntry = c.hasTwin = c.flushing = false;
  std::fill_n(c.twin, kFields, uint8_t(0));
}

// ---------------------------------------------------------------- flush

void Stepper::deliverFlush(const Message& m) {
  Message reply = m;
  reply.kind = Kind::FlushReply;
  std::swap(reply.from, reply.to);
  if (!redirect(m, reply)) {
    say("applies {}'s writes to {}:", who(m.thread), name(m.object));
    for (int f = 0; f < kFields; ++f) {
      if (!(m.fields >> f & 1)) continue;
      copy(m.to, m.object).field[f] = m.field[f];
      say(" .{} = {}", f, m.field[f]);
    }
    reply.yes = m.yes && carryOutCompanion(m);
    reply.fields = 0;  // what is sent again if it has moved
    std::fill_n(reply.field, kFields, uint8_t(0));
  }
  now().send(reply);
}

void Stepper::deliverFlushReply(const Message& m) {
  if (m.moved) {
    learn(m);
    Message again = m;
    again.kind = Kind::Flush;
    again.from = m.to;
    again.to = belief(m.to, m.object).node;
    again.moves = belief(m.to, m.object).moves;
    again.moved = again.yes = false;
    again.newNode = again.newMoves = 0;
    say("sends {} again to node {}", name(m.object), again.to);
    return now().send(again);
  }
  say("{}'s writes to {} are home; ", who(m.thread), name(m.object));
  if (faulty(Fault::NoAckWait)) return;
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t)
    if (nodeOf(t) == m.to) thread(t).flushedSince |= uint8_t(1 << m.object);
  endTransaction(m.to, m.object);
  if (!m.yes) return finishJobStep(m.thread);
  // It was all of the job.
  --pending(m.thread);
  uint8_t t = m.thread;
  if (t >= kThreads) {
    t = uint8_t(node(m.to).owed.companion - 1);
    node(m.to).owed.companion = 0;
    jobEnds(m.to);
  }
  answered(t, true);
}

// ---------------------------------------------------------------- requests

void Stepper::deliverSync(const Message& m) {
  Message reply = m;
  reply.kind = Kind::SyncReply;
  std::swap(reply.from, reply.to);
  reply.lent = isLentTo(m);
  if (reply.lent) {
    say("the monitor is there");
  } else if (!redirect(m, reply)) {
    const Op op = instruction(m.thread).op;
    const bool release = op == Op::Unlock || op == Op::VolatileStore || op == Op::ElementStore;
    if (release && !faulty(Fault::HomeClockNotBumped)) say("clock {}; ", tick(m.to));  // I6
    reply.yes = carryOut(m.to, m.thread);
    if (reply.yes && (op == Op::Lock || op == Op::VolatileLoad || op == Op::ElementStore) && owes(m.to)) {
      say("answers later");
      reply.yes = false;
      sendMail(m.to, m.thread, m.object);
    }
  }
  now().send(reply);
}

void Stepper::deliverSyncReply(const Message& m) {
  if (m.moved) {
    learn(m);
    return now().send({.kind = Kind::SyncAgain, .from = m.to, .to = m.to, .object = m.object, .thread = m.thread});
  }
  if (m.lent) return submit(m.thread);
  if (m.yes) answered(m.thread, true);
}

}  // namespace jvmc::cluster::model
