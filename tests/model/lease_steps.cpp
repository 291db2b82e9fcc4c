// Objects that are shared, and the leases of their copies: the home calls them back before a field changes.
// Stands for leases.cpp, HomeSide::awaitsLeases and Copies::endLease.
#include <algorithm>

#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

// ---------------------------------------------------------------- the home

/// Leases::share. Which objects are worth it is not modelled: any may be, as often as the scenario says.
void Stepper::shareSteps(uint8_t n) {
  for (uint8_t o = 0; o < scenario_.objects.size(); ++o) {
    const Node& here = from_.node[n];
    const bool home = here.belief[o].node == n && here.belief[o].state == HomeState::Settled;
    if (from_.sharesLeft == 0 || !(scenario_.sharable >> o & 1) || !home || here.copy[o].stamp != kHome) continue;
    if (here.lease[o].recalling || isHeld(n, o)) continue;
    begin();
    stopWorld(n);
    say("{} is shared from now on", name(o));
    --now().sharesLeft;
    copy(n, o).stamp = kShared;
    done();
  }
}

/// Before the image is taken.
bool Stepper::grantLease(uint8_t n, uint8_t to, uint8_t o) {
  if (!isShared(n, o) || node(n).lease[o].recalling) return false;
  if (!faulty(Fault::LesseeForgotten)) node(n).lease[o].lessees |= Nodes(1 << to);
  return true;
}

/// A thread at home is about to change a field. True: it waits.
bool Stepper::awaitLeases(uint8_t t) {
  const uint8_t n = nodeOf(t), o = instruction(t).object;
  if (faulty(Fault::SharedIsWritten)) return false;
  say("{} needs {} alone: ", char('A' + t), name(o));
  if (!recall(n, o)) return false;
  node(n).lease[o].waiters |= Threads(1 << t);
  thread(t).phase = Phase::WaitsLease;
  thread(t).inSlowPath = instruction(t).op != Op::ElementStore;
  return true;
}

/// A message is about to. True: it is put aside.
bool Stepper::awaitsLeases(const Message& m) {
  if (!isShared(m.to, m.object)) return false;
  say("node {} is about to change {}: ", m.from, name(m.object));
  return recall(m.to, m.object);
}

/// Leases::recall. False: it may be written now.
bool Stepper::recall(uint8_t n, uint8_t o) {
  Lease& lease = node(n).lease[o];
  if (lease.recalling) {
    say("waits for the leases");
    return true;
  }
  const Nodes lessees = lease.lessees;
  const bool waits = lessees != 0 && !faulty(Fault::RecallNotAwaited);
  if (waits) {
    say("calls the leases back");
    lease.recalling = true;
    lease.unanswered = lessees;
  } else {
    say("nobody has a lease; ");
    copy(n, o).stamp = kHome;
    lease = {};
  }
  for (uint8_t to = 0; to < kNodes; ++to)
    if (lessees >> to & 1) now().send({.kind = Kind::Unlease, .from = n, .to = to, .object = o});
  return waits;
}

void Stepper::deliverUnleaseReply(const Message& m) {
  if (isLent(m.to, m.object)) return contentIsBack(m);
  Lease& lease = node(m.to).lease[m.object];
  say("node {} has given up {}", m.from, name(m.object));
  if (!lease.recalling) return;  // only with a fault
  lease.unanswered &= Nodes(~(1 << m.from));
  if (lease.unanswered != 0) return;
  say(", nobody has a lease any more");
  if (isShared(m.to, m.object)) copy(m.to, m.object).stamp = kHome;
  for (uint8_t t = 0; t < kThreads; ++t)
    if (lease.waiters >> t & 1) thread(t).phase = Phase::Runs;
  lease = {};
}

/// The invariant of leases.h.
void Stepper::checkLeases(uint8_t o) {
  for (uint8_t n = 0; n < scenario_.nodes; ++n) {
    if (copy(n, o).stamp != kLeased) continue;
    const uint8_t home = belief(n, o).node;
    const bool equal = std::equal(copy(n, o).field, copy(n, o).field + kFields, copy(home, o).field);
    if (!isShared(home, o) || !equal) fail(fmt::format("node {} has a lease of {}, which changes", n, name(o)));
  }
}

// ---------------------------------------------------------------- the lessee

/// Copies::leaseOr: how fresh the copy is that an answer brings.
uint8_t Stepper::leaseOr(uint8_t stamp, const Message& m) {
  const Copy& c = copy(m.to, m.object);
  const bool isOver = c.recalled && !faulty(Fault::OvertakenRecallLost);
  return !m.leased || isOver || c.hasTwin || c.writers != 0 ? stamp : kLeased;
}

void Stepper::deliverUnlease(const Message& m) {
  if (copy(m.to, m.object).stamp == kBorrowed) return giveBack(m);
  if (faulty(Fault::LeaseOutlivesRecall)) {
    say("will give up {}", name(m.object));
    now().send({.kind = Kind::LeaseEnds, .from = m.to, .to = m.to, .object = m.object});
  } else {
    endLease(m.to, m.object);
  }
  now().send({.kind = Kind::UnleaseReply, .from = m.to, .to = m.from, .object = m.object});
}

/// Copies::endLease.
void Stepper::endLease(uint8_t n, uint8_t o) {
  Copy& c = copy(n, o);
  if (c.hasEntry) c.recalled = c.busy;
  const Belief& home = belief(n, o);
  const bool leased = home.state == HomeState::Settled && home.node != n && c.stamp == kLeased;
  if (!leased) return say("does not have {} yet, or no more", name(o));
  say("gives up {}", name(o));
  c.stamp = kInvalid;
  c.writer = kNobody;
}

}  // namespace jvmc::cluster::model
