// Monitors that are lent to the node that uses them.
#include "tests/model/scenarios.h"

namespace jvmc::cluster::model {
namespace {

Scenario lentLock() {
  return {.name = "lent_lock",
          .proves = "who owns a monitor, at its home or where it is lent to, sees what was released by it",
          .nodes = 3,
          .objects = {"data", "lock"},
          .homes = {2, 0},
          .threads = {on(1, {lock(1), write(0, 1), unlock(1)}), on(0, {read(0), lock(1), read(0), unlock(1)})},
          .monitorLoans = 1};
}

Scenario lentOut() {
  return {.name = "lent_out",
          .proves = "who enters a monitor that is lent sees what was released by it at home",
          .objects = {"data", "lock"},
          .homes = {0, 0},
          .threads = {on(0, {lock(1), write(0, 1), unlock(1)}), on(1, {read(0), lock(1), read(0), unlock(1)})},
          .returns = 1,
          .monitorLoans = 1};
}

Scenario lentBack() {
  return {.name = "lent_back",
          .proves = "who enters a monitor that is back sees what was released by it elsewhere",
          .objects = {"data", "lock"},
          .homes = {1, 0},
          .threads = {on(1, {lock(1), write(0, 1), unlock(1)}), on(0, {read(0), lock(1), read(0), unlock(1)})},
          .returns = 1,
          .monitorLoans = 1};
}

Scenario lentTwice() {
  return {.name = "lent_twice",
          .proves = "a recall meets the loan that it is about, whatever the order of messages",
          .objects = {"lock"},
          .homes = {0},
          .threads = {on(0, {lock(0), unlock(0), lock(0), unlock(0)})},
          .returns = 1,
          .monitorLoans = 2};
}

Scenario lentAndObject() {
  Scenario scenario =
      loan({.name = "lent_and_object",
            .proves = "an object and its monitor are lent apart, and come back apart",
            .objects = {"x"},
            .homes = {0},
            .threads = {on(1, {lock(0), write(0, 1), unlock(0)}), on(0, {lock(0), read(0), unlock(0)})}},
           1, only(0), 1);
  scenario.monitorLoans = 1;
  return scenario;
}

}  // namespace

std::vector<Scenario> monitorScenarios() {
  return {lentLock(), lentOut(), lentBack(), lentTwice(), lentAndObject()};
}

std::vector<Scenario> longMonitorScenarios() {
  Scenario moving = lentLock();
  moving.name = "lent_lock_moving";
  moving.moves = 1;
  moving.movable = only(1);
  Scenario three = lentTwice();
  three.name = "lent_to_all";
  three.nodes = 3;
  three.threads.push_back(on(2, {lock(0), unlock(0)}));
  three.threads.push_back(on(1, {lock(0), unlock(0)}));
  return {moving, three};
}

std::vector<Mutation> monitorMutations() {
  return {
      {"DeferredWritesOvertaken", Fault::DeferredWritesOvertaken, "lent_lock"},
      {"LoanDoesNotTick", Fault::LoanDoesNotTick, "lent_out"},
      {"LoanDoesNotTick", Fault::LoanDoesNotTick, "lent_back"},
      {"OlderRecallCounts", in_model::OlderRecallCounts, "lent_twice"},
      {"EarlyRecallLost", in_model::EarlyRecallLost, "lent_lock"},
  };
}

}  // namespace jvmc::cluster::model
