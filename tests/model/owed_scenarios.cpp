// Releases at home that send nothing: what a node owes, and who must not learn of it before it is home.
#include "tests/model/scenarios.h"

namespace jvmc::cluster::model {
namespace {

Scenario owedFlag() {
  return {.name = "owed_flag",
          .proves = "who asks from elsewhere for a volatile sees the data, though its store at home has sent nothing",
          .nodes = 3,
          .objects = {"data", "flag"},
          .homes = {2, 0},
          .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(1, {read(0), seeFlag(1), read(0)}),
                      on(0, {seeFlag(1), read(0), write(0, 3, 1)})}};
}

Scenario owedLock() {
  return {.name = "owed_lock",
          .proves = "who is handed a monitor elsewhere sees what its home's threads have released to each other",
          .nodes = 3,
          .objects = {"data", "lock"},
          .homes = {2, 0},
          .threads = {on(0, {lock(1), write(0, 1), unlock(1)}), on(0, {lock(1), read(0), write(0, 2), unlock(1)}),
                      on(1, {read(0), lock(1), read(0), unlock(1)})}};
}

Scenario owedBlock() {
  return {.name = "owed_block",
          .proves = "a block leaves when what was released to its objects is home",
          .nodes = 3,
          .objects = {"data", "flag"},
          .homes = {2, 0},
          .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(1, {read(0), seeFlag(1), read(0)})},
          .moves = 1,
          .movable = only(1)};
}

Scenario owedPassedOn() {
  return {.name = "owed_passed_on",
          .proves = "a release elsewhere takes along what its thread has learned at home",
          .nodes = 3,
          .objects = {"data", "local", "flag"},
          .homes = {2, 0, 1},
          .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(0, {seeFlag(1), setFlag(2, 3)}),
                      on(1, {read(0), seeFlag(2), read(0)})}};
}

Scenario owedGrant() {
  return loan({.name = "owed_grant",
               .proves = "an object is lent when what its home owes is home",
               .nodes = 3,
               .objects = {"data", "flag"},
               .homes = {2, 0},
               .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(1, {read(0), read(1), seeFlag(1), read(0)})}},
              1, only(1));
}

Scenario owedReturn() {
  return loan({.name = "owed_return",
               .proves = "who sees a volatile of a loan that is back sees what its borrower owed",
               .nodes = 3,
               .objects = {"data", "flag"},
               .homes = {2, 0},
               .threads = {on(1, {write(0, 1), read(1), setFlag(1, 2)}), on(0, {read(0), seeFlag(1), read(0)})}},
              1, only(1), 1);
}

Scenario owedLoan() {
  return loan({.name = "owed_loan",
               .proves = "a loan that its borrower owes writes of goes back",
               .objects = {"x", "local", "flag"},
               .homes = {0, 1, 0},
               .threads = {on(1, {write(0, 1), setFlag(1, 2)}), on(1, {seeFlag(2), read(0, 1)}), on(0, {read(0, 1)})}},
              1, only(0), 0);
}

Scenario owedRequest() {
  Scenario scenario =
      loan({.name = "owed_request",
            .proves = "a request about a loan that comes back does not hold up the writes that it travels with",
            .objects = {"x", "flag"},
            .homes = {0, 0},
            .threads = {on(1, {write(0, 1), read(1), setFlag(1, 2), setFlag(1, 3)}), on(0, {seeFlag(1), read(0)})}},
           1, only(1));
  scenario.companions = true;
  return scenario;
}

Scenario owedCrosswise() {
  return loan({.name = "owed_crosswise",
               .proves = "two nodes owe what the other has borrowed, and both loans go back",
               .nodes = 3,
               .objects = {"x", "y"},
               .homes = {0, 0},
               .threads = {on(1, {write(1, 1), read(0), setFlag(0, 2)}),
                           on(2, {write(0, 3, 1), read(1), setFlag(1, 4)}), on(0, {read(0), read(1)})}},
              2, kAll, 0);
}

Scenario requestsCrosswise() {
  Scenario scenario =
      loan({.name = "requests_crosswise",
            .proves = "two nodes owe writes and release by what the other has borrowed, and both loans go back",
            .nodes = 3,
            .objects = {"x", "y", "data"},
            .homes = {0, 0, 0},
            .threads = {on(1, {write(2, 1), read(0), setFlag(0, 2), setFlag(1, 3)}),
                        on(2, {write(2, 4, 1), read(1), setFlag(1, 5), setFlag(0, 6)})}},
           2, uint8_t(only(0) | only(1)), 0);
  scenario.companions = true;
  return scenario;
}

}  // namespace

std::vector<Scenario> owedScenarios() {
  return {owedFlag(),   owedLock(), owedBlock(),   owedPassedOn(),     owedGrant(),
          owedReturn(), owedLoan(), owedRequest(), requestsCrosswise()};
}

std::vector<Scenario> longOwedScenarios() {
  return {owedCrosswise()};
}

std::vector<Mutation> owedMutations() {
  return {
      {"DeferredWritesOvertaken", Fault::DeferredWritesOvertaken, "owed_flag"},
      {"DeferredWritesOvertaken", Fault::DeferredWritesOvertaken, "owed_lock"},
      {"DeferredWritesOvertaken", Fault::DeferredWritesOvertaken, "owed_block"},
      {"GrantOwes", Fault::GrantOwes, "owed_grant"},
      {"ReturnNotSettled", Fault::ReturnNotSettled, "owed_return"},
      {"RequestAwaitsLoan", in_model::RequestAwaitsLoan, "owed_request"},
      {"RequestAwaitsLoan", in_model::RequestAwaitsLoan, "requests_crosswise"},
      {"ReturnAwaitsOwed", in_model::ReturnAwaitsOwed, "owed_loan"},
  };
}

}  // namespace jvmc::cluster::model
