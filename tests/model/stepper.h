// One step after another from one state: makes a copy of the state, changes it as the code would, checks what must hold
// and hands it on.
#pragma once

#include <fmt/format.h>

#include "tests/model/protocol.h"

namespace jvmc::cluster::model {

/// The writes of the scenario to a field.
Writes writesTo(const Scenario& scenario, size_t object, int field);

class Stepper {
 public:
  Stepper(const Scenario& scenario, Fault removed, const State& from, bool labels,
          const std::function<void(const Step&)>& visit)
      : scenario_(scenario), removed_(removed), from_(from), labels_(labels), visit_(visit) {}

  void threadSteps(uint8_t t);
  void deliver(int message);
  void moverSteps(uint8_t n);
  void returnSteps(uint8_t n);
  void owedSteps(uint8_t n);
  void monitorSteps(uint8_t n);

 private:
  // -- the step that is being made
  void begin();
  void done();
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (labels_) step_.label += fmt::format(format, std::forward<Args>(args)...);
  }
  void fail(std::string what) {
    if (step_.violation.empty()) step_.violation = std::move(what);
  }
  void checkInvariants();
  void checkLeases(uint8_t o);
  void checkLoans(uint8_t o);

  State& now() { return step_.state; }
  Node& node(uint8_t n) { return step_.state.node[n]; }
  Copy& copy(uint8_t n, uint8_t o) { return step_.state.node[n].copy[o]; }
  Belief& belief(uint8_t n, uint8_t o) { return step_.state.node[n].belief[o]; }
  Thread& thread(uint8_t t) { return step_.state.thread[t]; }
  uint8_t nodeOf(uint8_t t) const { return t < kThreads ? scenario_.threads[t].node : uint8_t(t - kThreads); }
  /// A thread, or a node that sends what it owes.
  std::string who(uint8_t t) const {
    return t < kThreads ? std::string(1, char('A' + t)) : fmt::format("node {}", t - kThreads);
  }
  uint8_t& pending(uint8_t t) { return t < kThreads ? thread(t).pending : node(nodeOf(t)).owed.pending; }
  const Instruction& instruction(const State& state, uint8_t t) const {
    return scenario_.threads[t].code[state.thread[t].pc];
  }
  const Instruction& instruction(uint8_t t) { return instruction(step_.state, t); }
  const std::string& name(uint8_t o) const { return scenario_.objects[o]; }
  bool faulty(Fault fault) const { return removed_ == fault; }
  bool homedHere(uint8_t n, uint8_t o) { return belief(n, o).node == n && belief(n, o).state == HomeState::Settled; }
  bool servedHere(uint8_t n, uint8_t o) {
    const Belief& b = belief(n, o);
    return b.node == n && (b.state == HomeState::Settled || b.state == HomeState::Leaving);
  }
  uint8_t tick(uint8_t n) { return ++node(n).clock; }
  bool isShared(uint8_t n, uint8_t o) { return homedHere(n, o) && copy(n, o).stamp == kShared; }

  // -- threads (thread_steps.cpp, release_steps.cpp): cluster_object_space.cpp, flusher.cpp
  bool standsInPoll(const State& state, uint8_t t) const;
  bool execute(uint8_t t);
  void access(uint8_t t, bool write);
  bool mayRead(uint8_t t, uint8_t o) { return copy(nodeOf(t), o).stamp >= thread(t).epoch; }
  bool mayWrite(uint8_t t, uint8_t o);
  void load(uint8_t t);
  void store(uint8_t t);
  void written(uint8_t t);
  void advance(uint8_t t);
  bool fetch(uint8_t t);
  void sendFetch(uint8_t t, uint8_t stamp);
  void join(uint8_t t);
  void synchronise(uint8_t t);
  bool release(uint8_t t);
  void flushOne(uint8_t t, uint8_t o);
  void finishJobStep(uint8_t t);
  void submit(uint8_t t);
  void sendToHome(uint8_t t);
  void acquire(uint8_t t, bool remote);
  void answered(uint8_t t, bool remote);
  bool isOperatedHere(uint8_t t);
  bool carryOut(uint8_t n, uint8_t t);
  void sendMail(uint8_t n, uint8_t t, uint8_t o);
  void grant(uint8_t n, uint8_t o, uint8_t t);

  // -- what nodes owe (owed_steps.cpp): flusher.cpp
  bool owes(uint8_t n) { return node(n).owed.runs || node(n).owed.objects != 0; }
  uint8_t afterDeferred(uint8_t n);
  void defer(uint8_t t);
  void jobEnds(uint8_t n);
  void sendOwed(uint8_t n);
  void addRequest(uint8_t t, uint8_t job);
  uint8_t requesterOf(const Message& m) const;
  bool carryOutCompanion(const Message& m);

  // -- messages (message_steps.cpp): home_side.cpp and the callbacks of replies
  bool changesField(const Message& m) const;
  void deliverFetch(const Message& m);
  void deliverFetchReply(const Message& m);
  void install(uint8_t n, uint8_t o, const uint8_t* image, uint8_t stamp, bool withEntry);
  void installNeighbour(const Message& m, uint8_t stamp);
  void endTransaction(uint8_t n, uint8_t o);
  void dropIfIdle(Copy& copy);
  void deliverFlush(const Message& m);
  void deliverFlushReply(const Message& m);
  void acknowledged(uint8_t n, uint8_t o, uint8_t t);
  void deliverSync(const Message& m);
  void deliverSyncReply(const Message& m);
  bool redirect(const Message& m, Message& reply);
  void learn(const Message& reply);

  // -- leases (lease_steps.cpp): leases.cpp, Copies::endLease
  bool grantLease(uint8_t n, uint8_t to, uint8_t o);
  uint8_t leaseOr(uint8_t stamp, const Message& m);
  bool awaitLeases(uint8_t t);
  bool awaitsLeases(const Message& m);
  bool recall(uint8_t n, uint8_t o);
  void deliverUnlease(const Message& m);
  void endLease(uint8_t n, uint8_t o);
  void deliverUnleaseReply(const Message& m);
  void shareSteps(uint8_t n);

  // -- loans (loan_steps.cpp): leases.cpp, object_loans.cpp
  bool isLent(uint8_t n, uint8_t o) { return node(n).loan[o].state != LoanState::None; }
  void lendSteps(uint8_t n);
  bool needsLoan(const Message& m) const;
  bool isPutAside(const Message& m) const;
  bool awaitsLoan(const Message& m);
  bool awaitLoan(uint8_t t);
  bool recallLoan(uint8_t n, uint8_t o);
  bool mayBorrow(uint8_t n, uint8_t to, uint8_t o);
  void contentIsBack(const Message& m);
  void loanIsOver(uint8_t n, uint8_t o);
  void borrow(uint8_t n, uint8_t o, uint8_t value);
  void giveBack(const Message& m);

  // -- monitors on loan (monitor_steps.cpp): monitor_loans.cpp, lending.cpp
  bool isOfMonitor(uint8_t t) const {
    const Op op = instruction(from_, t).op;
    return op == Op::Lock || op == Op::Unlock;
  }
  void lendMonitor(uint8_t n, uint8_t o, uint8_t to);
  void sendMonitor(Message message);
  void takeMonitor(const Message& m);
  void callForMonitor(uint8_t n, uint8_t o);
  bool awaitsMonitor(const Message& m) const;
  bool isLentTo(const Message& m);
  void deliverLend(const Message& m);
  void deliverRecall(const Message& m);
  void giveBackMonitor(uint8_t n, uint8_t o);
  void deliverReturn(const Message& m);

  // -- moves and eviction (mover_steps.cpp): block_mover.cpp, evictor.cpp
  bool worldMayStop(uint8_t n) const;
  bool isHeld(uint8_t n, uint8_t o) const;
  bool holds(uint8_t t, uint8_t o) const;
  void polled(uint8_t t);
  void stopWorld(uint8_t n);
  void withdraw(uint8_t n, uint8_t o, uint8_t target);
  void stays(uint8_t n, uint8_t o);
  void settle(uint8_t n, uint8_t o, uint8_t home, uint8_t moves);
  void restore(uint8_t n);
  void ship(uint8_t n);
  void deliverPrepare(const Message& m);
  void deliverBlocks(const Message& m);
  void evict(uint8_t n, uint8_t o);

  const Scenario& scenario_;
  const Fault removed_;
  const State& from_;
  const bool labels_;
  const std::function<void(const Step&)>& visit_;
  Step step_;
  bool takesBack_ = false;    ///< what the thread does if it meets a block that may be taken back
  bool mayTakeBack_ = false;  ///< it has met one
};

}  // namespace jvmc::cluster::model
