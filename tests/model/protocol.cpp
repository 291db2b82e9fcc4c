#include "tests/model/protocol.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/support/check.h"
#include "tests/model/stepper.h"

namespace jvmc::cluster::model {

void State::send(const Message& sent) {
  JVMC_CHECK(messageCount < kMessages);
  Message* const end = message + messageCount;
  Message* const at = std::upper_bound(message, end, sent);
  std::move_backward(at, end, end + 1);
  *at = sent;
  ++messageCount;
}

void State::remove(int index) {
  std::move(message + index + 1, message + messageCount, message + index);
  message[--messageCount] = {};
}

State Protocol::initial() const {
  State state{};
  state.movesLeft = scenario_.moves;
  state.evictionsLeft = scenario_.evictions;
  state.sharesLeft = scenario_.shares;
  state.loansLeft = scenario_.loans;
  state.returnsLeft = scenario_.returns;
  state.monitorLoansLeft = scenario_.monitorLoans;
  for (uint8_t n = 0; n < scenario_.nodes; ++n) {
    for (size_t o = 0; o < scenario_.objects.size(); ++o) {
      state.node[n].belief[o].node = scenario_.homes[o];
      if (scenario_.homes[o] == n) state.node[n].copy[o].stamp = kHome;
    }
  }
  return state;
}

void Protocol::forEachStep(const State& state, bool labels, const std::function<void(const Step&)>& visit) const {
  Stepper stepper(scenario_, removed_, state, labels, visit);
  for (uint8_t t = 0; t < scenario_.threads.size(); ++t) stepper.threadSteps(t);
  for (int m = 0; m < state.messageCount; ++m) {
    if (m == 0 || !(state.message[m] == state.message[m - 1])) stepper.deliver(m);
  }
  for (uint8_t n = 0; n < scenario_.nodes; ++n) {
    stepper.moverSteps(n);
    stepper.returnSteps(n);
    stepper.owedSteps(n);
    stepper.monitorSteps(n);
  }
}

std::string Protocol::whyNotFinal(const State& state) const {
  for (size_t t = 0; t < scenario_.threads.size(); ++t)
    if (state.thread[t].phase != Phase::Done) return fmt::format("deadlock: thread {} waits for ever", char('A' + t));
  if (state.messageCount > 0) return "deadlock: a message cannot be taken";
  for (size_t o = 0; o < scenario_.objects.size(); ++o) {
    for (uint8_t n = 0; n < scenario_.nodes; ++n) {
      const Node& node = state.node[n];
      if (node.belief[o].state != HomeState::Settled)
        return fmt::format("deadlock: a move of {} never ends", scenario_.objects[o]);
      if (node.copy[o].hasEntry && node.copy[o].stamp != kBorrowed)
        return fmt::format("node {} never forgets its entry of {}", n, scenario_.objects[o]);
      const Loan& loan = state.node[node.belief[o].node].loan[o];
      if (n != (loan.state == LoanState::Lent ? loan.borrower : node.belief[o].node)) continue;
      for (int f = 0; f < kFields; ++f) {
        const uint8_t value = node.copy[o].field[f];
        const Writes later = writesTo(scenario_, o, f) & [&] {
          Writes after = 0;
          for (int w = 1; w < kWritesMax; ++w)
            if (value == 0 || (state.ghost.before[w] >> value & 1)) after |= Writes(1 << w);
          return after;
        }();
        if (later != 0) return fmt::format("a write to {}.{} is lost", scenario_.objects[o], f);
      }
    }
  }
  return {};
}

}  // namespace jvmc::cluster::model
