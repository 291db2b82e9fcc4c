// Monitors that are lent to the node that uses them, and called back. Stands for monitor_loans.cpp and what
// runtime/sync/lending.cpp decides: when a monitor goes is left open.
#include <algorithm>

#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

void Stepper::monitorSteps(uint8_t n) {
  for (uint8_t o = 0; o < scenario_.objects.size(); ++o) {
    const Node& here = from_.node[n];
    const bool home = here.belief[o].node == n && here.belief[o].state == HomeState::Settled;
    const uint8_t owner = here.home[o].owner;
    for (uint8_t to = 0; to < scenario_.nodes; ++to) {
      const bool fits = to != n && (owner == kNobody || nodeOf(uint8_t(owner - 1)) == to);
      if (home && fits && from_.monitorLoansLeft > 0 && here.monitor[o].lentTo == 0) lendMonitor(n, o, to);
    }
    if (here.monitor[o].lentBy == 0 || from_.returnsLeft == 0) continue;
    begin();
    say("node {}: ", n);
    --now().returnsLeft;
    giveBackMonitor(n, o);
    done();
  }
}

void Stepper::lendMonitor(uint8_t n, uint8_t o, uint8_t to) {
  begin();
  say("node {}: lends the monitor of {} to node {}", n, name(o), to);
  --now().monitorLoansLeft;
  MonitorLoan& monitor = node(n).monitor[o];
  monitor.lentTo = uint8_t(to + 1);
  sendMonitor({.kind = Kind::Lend, .from = n, .to = to, .object = o, .number = ++monitor.given});
  done();
}

/// It leaves when all is home that threads here have released by it.
void Stepper::sendMonitor(Message message) {
  HomeOnly& here = node(message.from).home[message.object];
  message.home = {.owner = here.owner};
  std::copy_n(here.queue, kThreads, message.home.queue);
  here = {.value = here.value};
  message.after = afterDeferred(message.from);
  now().send(message);
}

void Stepper::takeMonitor(const Message& m) {
  HomeOnly& here = node(m.to).home[m.object];
  here.owner = m.home.owner;
  std::copy_n(m.home.queue, kThreads, here.queue);
  if (!faulty(Fault::LoanDoesNotTick)) tick(m.to);
}

void Stepper::callForMonitor(uint8_t n, uint8_t o) {
  MonitorLoan& monitor = node(n).monitor[o];
  say("calls for the monitor of {}", name(o));
  monitor.recalling = true;
  now().send(
      {.kind = Kind::Recall, .from = n, .to = uint8_t(monitor.lentTo - 1), .object = o, .number = monitor.given});
}

/// Requests about a monitor that has been called for wait at home. The borrower's own are refused and tried again: here
/// they wait until that is of use.
bool Stepper::awaitsMonitor(const Message& m) const {
  if (m.kind != Kind::Sync || !isOfMonitor(m.thread)) return false;
  const MonitorLoan& monitor = from_.node[m.to].monitor[m.object];
  if (monitor.lentTo == m.from + 1) return from_.node[m.from].monitor[m.object].lentBy == 0;
  return monitor.recalling;
}

bool Stepper::isLentTo(const Message& m) {
  return isOfMonitor(m.thread) && node(m.to).monitor[m.object].lentTo == m.from + 1;
}

// ---------------------------------------------------------------- messages

void Stepper::deliverLend(const Message& m) {
  MonitorLoan& monitor = node(m.to).monitor[m.object];
  if (monitor.lentBy != 0 || servedHere(m.to, m.object)) return fail("a monitor makes no sense");
  takeMonitor(m);
  monitor.lentBy = uint8_t(m.from + 1);
  monitor.number = m.number;
  say("borrows the monitor of {}, clock {}; ", name(m.object), node(m.to).clock);
  uint8_t& recalled = monitor.recalled[m.from];
  const bool isOver = recalled == m.number;
  if (recalled <= m.number) recalled = 0;
  if (isOver) giveBackMonitor(m.to, m.object);
}

/// That it may stay for a while longer is as if the message came later.
void Stepper::deliverRecall(const Message& m) {
  MonitorLoan& monitor = node(m.to).monitor[m.object];
  const bool isHere = monitor.lentBy == m.from + 1;
  if (isHere && monitor.number == m.number) return giveBackMonitor(m.to, m.object);
  say("does not have the monitor of {}", name(m.object));
  if ((isHere && monitor.number > m.number) || faulty(in_model::EarlyRecallLost)) return;
  uint8_t& recalled = monitor.recalled[m.from];
  if (recalled < m.number || faulty(in_model::OlderRecallCounts)) recalled = m.number;
}

void Stepper::giveBackMonitor(uint8_t n, uint8_t o) {
  MonitorLoan& monitor = node(n).monitor[o];
  say("gives the monitor of {} back", name(o));
  const uint8_t home = uint8_t(monitor.lentBy - 1);
  sendMonitor({.kind = Kind::Return, .from = n, .to = home, .object = o, .number = monitor.number});
  monitor.lentBy = monitor.number = 0;
}

void Stepper::deliverReturn(const Message& m) {
  MonitorLoan& monitor = node(m.to).monitor[m.object];
  if (monitor.lentTo != m.from + 1 || monitor.given != m.number) return fail("a monitor makes no sense");
  takeMonitor(m);
  say("the monitor of {} is back, clock {}", name(m.object), node(m.to).clock);
  for (uint8_t t = 0; t < kThreads; ++t)
    if (monitor.waiters >> t & 1) thread(t).phase = Phase::Runs;
  monitor.lentTo = monitor.waiters = 0;
  monitor.recalling = false;
}

}  // namespace jvmc::cluster::model
