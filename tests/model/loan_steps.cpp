// Objects that are lent, each alone, to the node that uses them: there they are read and written as if at home, until
// the home calls them back. Stands for leases.cpp and object_loans.cpp.
#include <algorithm>

#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

// ---------------------------------------------------------------- the home

/// Leases::share. Which objects are worth it, and who gets them, is not modelled.
void Stepper::lendSteps(uint8_t n) {
  for (uint8_t o = 0; o < scenario_.objects.size(); ++o) {
    const Node& here = from_.node[n];
    const bool home = here.belief[o].node == n && here.belief[o].state == HomeState::Settled;
    if (from_.loansLeft == 0 || !(scenario_.lendable >> o & 1) || !home || here.copy[o].stamp != kHome) continue;
    if (here.lease[o].recalling || isHeld(n, o)) continue;
    for (uint8_t to = 0; to < scenario_.nodes; ++to) {
      if (to == n) continue;
      begin();
      stopWorld(n);
      say("{} is reserved for node {}", name(o), to);
      --now().loansLeft;
      copy(n, o).stamp = kInvalid;
      copy(n, o).writer = kNobody;
      node(n).loan[o] = {.state = LoanState::Reserved, .borrower = to};
      if (!faulty(Fault::GrantOwes)) node(n).loan[o].after = afterDeferred(n);
      done();
    }
  }
}

/// Whether the message is about fields of the object.
bool Stepper::needsLoan(const Message& m) const {
  if (m.kind == Kind::Flush) return !faulty(Fault::FlushIgnoresLeases);
  if (m.kind == Kind::Fetch) return !faulty(in_model::LentIsAnswered);
  if (m.kind != Kind::Sync) return false;
  const Op op = instruction(from_, m.thread).op;
  return op != Op::Lock && op != Op::Unlock;
}

/// Waits at the home until the loan has come back; who acquires or releases by a field, until it is over.
bool Stepper::isPutAside(const Message& m) const {
  const auto waits = [&](const Loan& loan, bool content) {
    return loan.recalling && !(content && loan.state == LoanState::Returned);
  };
  if (m.kind == Kind::Flush && m.yes && faulty(in_model::RequestAwaitsLoan) &&
      waits(from_.node[m.to].loan[instruction(from_, requesterOf(m)).object], false))
    return true;
  return needsLoan(m) && waits(from_.node[m.to].loan[m.object], m.kind != Kind::Sync);
}

/// Leases::recallForMessage. True: the message is put aside.
bool Stepper::awaitsLoan(const Message& m) {
  if (m.kind == Kind::Flush && m.yes && faulty(in_model::RequestAwaitsLoan)) {
    const uint8_t o = instruction(requesterOf(m)).object;
    if (node(m.to).loan[o].state == LoanState::Lent) return recallLoan(m.to, o);
  }
  if (!needsLoan(m) || node(m.to).loan[m.object].state != LoanState::Lent) return false;
  say("node {} needs {}: ", m.from, name(m.object));
  return recallLoan(m.to, m.object);
}

/// A thread at home needs a field. True: something has happened.
bool Stepper::awaitLoan(uint8_t t) {
  const uint8_t n = nodeOf(t), o = instruction(t).object;
  say("{} needs {}: ", char('A' + t), name(o));
  const Op op = instruction(t).op;
  const bool parked = op == Op::VolatileStore || op == Op::VolatileLoad || op == Op::ElementStore;
  thread(t).inSlowPath = !parked;
  if (!recallLoan(n, o)) return !parked;
  node(n).loan[o].waiters |= Threads(1 << t);
  thread(t).phase = Phase::WaitsLease;
  return true;
}

/// Leases::recall. False: it is here.
bool Stepper::recallLoan(uint8_t n, uint8_t o) {
  Loan& loan = node(n).loan[o];
  if (loan.state == LoanState::Reserved) {
    say("nobody has {} yet; ", name(o));
    loan = {};
    copy(n, o).stamp = kHome;
    return false;
  }
  say("waits for the loan");
  if (!loan.recalling) now().send({.kind = Kind::Unlease, .from = n, .to = loan.borrower, .object = o});
  loan.recalling = true;
  return true;
}

/// Leases::grant.
bool Stepper::mayBorrow(uint8_t n, uint8_t to, uint8_t o) {
  const Loan& loan = node(n).loan[o];
  return loan.state == LoanState::Reserved && loan.borrower == to && loan.after <= node(n).owed.done;
}

/// Leases::onAnswer.
void Stepper::contentIsBack(const Message& m) {
  Loan& loan = node(m.to).loan[m.object];
  Copy& c = copy(m.to, m.object);
  if (loan.state != LoanState::Lent || loan.borrower != m.from) return fail("a loan comes back that was not given");
  if (!m.yes) {
    say("node {} does not have {}; ", m.from, name(m.object));
    return loanIsOver(m.to, m.object);
  }
  for (int f = 0; f < kFields; ++f)
    if (m.fields >> f & 1) c.field[f] = m.field[f];
  node(m.to).home[m.object].value = m.home.value;
  say("{} = {} {} is back; ", name(m.object), c.field[0], c.field[1]);
  loan.state = LoanState::Returned;
  if (!m.owes || faulty(Fault::ReturnNotSettled)) return loanIsOver(m.to, m.object);
  say("node {} owes", m.from);
  now().send({.kind = Kind::Settle, .from = m.to, .to = m.from, .object = m.object});
}

/// Leases::acknowledged.
void Stepper::loanIsOver(uint8_t n, uint8_t o) {
  Loan& loan = node(n).loan[o];
  if (!faulty(Fault::ObjectLoanDoesNotTick)) tick(n);
  say("{} is home, clock {}", name(o), node(n).clock);
  copy(n, o).stamp = kHome;
  for (uint8_t t = 0; t < kThreads; ++t)
    if (loan.waiters >> t & 1) thread(t).phase = Phase::Runs;
  loan = {};
}

// ---------------------------------------------------------------- the borrower

/// ObjectLoans::borrow: an answer that has just been brought in lends the object.
void Stepper::borrow(uint8_t n, uint8_t o, uint8_t value) {
  Copy& c = copy(n, o);
  if (c.recalled && !faulty(Fault::OvertakenRecallLost)) return say(", which is called back");
  if (!c.hasTwin) std::copy_n(c.field, kFields, c.twin);
  c.hasTwin = true;
  if (!faulty(Fault::ObjectLoanDoesNotTick)) tick(n);
  say(", on loan, clock {}", node(n).clock);
  c.stamp = kBorrowed;
  c.writer = kNobody;
  node(n).home[o].value = value;
}

/// A borrower that is about to leave, or to collect, asks to be called back.
void Stepper::returnSteps(uint8_t n) {
  if (from_.returnsLeft == 0) return;
  for (uint8_t o = 0; o < scenario_.objects.size(); ++o) {
    if (from_.node[n].copy[o].stamp != kBorrowed) continue;
    begin();
    say("node {}: does not want {} any more", n, name(o));
    --now().returnsLeft;
    now().send({.kind = Kind::GiveUp, .from = n, .to = belief(n, o).node, .object = o});
    done();
  }
}

/// ObjectLoans::giveBack.
void Stepper::giveBack(const Message& m) {
  const uint8_t n = m.to, o = m.object;
  Copy& c = copy(n, o);
  stopWorld(n);
  Message answer{.kind = Kind::UnleaseReply, .from = n, .to = m.from, .object = o, .yes = true};
  answer.home.value = node(n).home[o].value;
  node(n).home[o].value = 0;
  for (int f = 0; f < kFields; ++f) {
    if (c.field[f] == c.twin[f]) continue;
    answer.fields |= uint8_t(1 << f);
    answer.field[f] = c.field[f];
    if (!faulty(in_model::TwinOutlivesLoan)) c.twin[f] = c.field[f];
  }
  answer.owes = owes(n);
  if (faulty(in_model::ReturnAwaitsOwed)) answer.after = afterDeferred(n), answer.owes = false;
  say("gives {} = {} {} back; ", name(o), c.field[0], c.field[1]);
  c.stamp = kInvalid;
  c.writer = kNobody;
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t) {
    if (nodeOf(t) != n) continue;
    if (!faulty(in_model::ReturnsForgotten)) thread(t).flushedSince |= uint8_t(1 << o);
    if (faulty(Fault::BorrowersForgotten) || !holds(t, o)) continue;
    say("{} may still write it; ", char('A' + t));
    c.writers |= Threads(1 << t);
    thread(t).writeSet |= uint8_t(1 << o);
  }
  if (c.writers == 0) c.hasTwin = false;
  if (!c.hasTwin) std::fill_n(c.twin, kFields, uint8_t(0));
  dropIfIdle(c);
  now().send(answer);
}

void Stepper::checkLoans(uint8_t o) {
  for (uint8_t n = 0; n < scenario_.nodes; ++n) {
    if (copy(n, o).stamp != kBorrowed) continue;
    const Loan& loan = node(belief(n, o).node).loan[o];
    if (loan.state != LoanState::Lent || loan.borrower != n) fail(fmt::format("{} is on loan at node {}", name(o), n));
  }
}

}  // namespace jvmc::cluster::model
