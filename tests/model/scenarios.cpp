#include "tests/model/scenarios.h"

namespace jvmc::cluster::model {
namespace {

Scenario messagePassing() {
  return {.name = "message_passing",
          .proves = "who has seen the flag sees the data, also if a copy of the data was asked for before",
          .objects = {"data", "flag"},
          .homes = {0, 0},
          .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(1, {seeFlag(1), read(0)}), on(1, {read(0)})}};
}

Scenario lockedCounter() {
  return {.name = "locked_counter",
          .proves = "increments under a lock are neither lost nor seen late, with the lock on a third node",
          .nodes = 3,
          .objects = {"counter", "lock"},
          .homes = {0, 2},
          .threads = {on(1, {lock(1), read(0), write(0, 1), unlock(1)}),
                      on(0, {lock(1), read(0), write(0, 2), unlock(1)}), on(1, {lock(1), read(0), unlock(1)})}};
}

Scenario localLock() {
  return {.name = "local_lock",
          .proves = "who acquires at home sees what a remote release has published, although it holds a copy",
          .objects = {"data", "lock"},
          .homes = {0, 1},
          .threads = {on(0, {lock(1), write(0, 1), unlock(1)}), on(1, {read(0), lock(1), read(0), unlock(1)})}};
}

Scenario movingLock() {
  return {.name = "moving_lock",
          .proves = "who acquires at the new home of a lock sees what was released at the old one",
          .objects = {"data", "lock"},
          .homes = {0, 0},
          .threads = {on(0, {lock(1), write(0, 1), unlock(1)}), on(1, {read(0), lock(1), read(0), unlock(1)})},
          .moves = 1,
          .movable = only(1)};
}

Scenario ownWrites() {
  return {.name = "own_writes",
          .proves = "a thread reads what it wrote, whatever others of its node fetch and flush meanwhile",
          .objects = {"x", "flag"},
          .homes = {0, 0},
          .threads = {on(1, {write(0, 1, 0), seeFlag(1), read(0, 0), setFlag(1, 2), read(0, 0)}),
                      on(1, {read(0, 1), seeFlag(1), read(0, 1)})}};
}

Scenario falseSharing() {
  return {
      .name = "false_sharing",
      .proves = "two threads of a node and the home write neighbouring fields; a flush may carry another's bytes",
      .objects = {"x", "flag"},
      .homes = {0, 0},
      .threads = {on(1, {write(0, 1, 0), setFlag(1, 2)}), on(1, {write(0, 3, 1)}), on(0, {seeFlag(1), read(0, 0)})}};
}

Scenario homeWrites() {
  return {.name = "home_writes",
          .proves = "a flush carries the fields that were written, not their neighbours",
          .objects = {"x"},
          .homes = {0},
          .threads = {on(1, {write(0, 1, 0)}), on(0, {write(0, 2, 1), read(0, 1)})}};
}

Scenario hoistedChecks() {
  return {.name = "hoisted_checks",
          .proves = "a check that was made before a wait for another object holds after it",
          .objects = {"a", "b"},
          .homes = {0, 1},
          .threads = {on(0, {checkWrite(0), unpolled(checkRead(1)), unpolled(store(0, 1)), read(0)}), on(1, {read(0)})},
          .moves = 1,
          .movable = only(0)};
}

Scenario checkOverAllocation() {
  return {.name = "check_over_allocation",
          .proves = "a check holds over a stop of the world that is no poll",
          .objects = {"a"},
          .homes = {0},
          .threads = {on(0, {checkWrite(0), unpolled(allocate()), unpolled(store(0, 1)), read(0)})},
          .moves = 1,
          .movable = only(0)};
}

Scenario leavingBlocks() {
  return {.name = "leaving_blocks",
          .proves = "a thread that relies on one check may wait for the other object's block, or take it back",
          .objects = {"a", "b"},
          .homes = {0, 1},
          .threads = {on(0, {checkRead(1), unpolled(checkRead(0)), unpolled(load(0))}), on(1, {read(0)})},
          .moves = 2,
          .movable = kAll};
}

Scenario movingData() {
  return {
      .name = "moving_data",
      .proves = "a block comes home to a node that reads and writes copies of it",
      .objects = {"x", "flag"},
      .homes = {0, 0},
      .threads = {on(1, {write(0, 1, 0), setFlag(1, 2), read(0, 0)}), on(0, {seeFlag(1), read(0, 0), write(0, 3, 1)})},
      .moves = 2,
      .movable = only(0)};
}

Scenario chase() {
  return {.name = "chase",
          .proves = "fetches and flushes of a third node follow a block that moves twice",
          .nodes = 3,
          .objects = {"x"},
          .homes = {0},
          .threads = {on(2, {write(0, 1, 0)}), on(1, {write(0, 2, 1), read(0, 1)})},
          .moves = 2,
          .movable = kAll};
}

Scenario movingMonitor() {
  return {.name = "moving_monitor",
          .proves = "a monitor moves with its queue, and requests follow it",
          .nodes = 3,
          .objects = {"lock"},
          .homes = {0},
          .threads = {on(1, {lock(0), write(0, 1), unlock(0)}), on(2, {lock(0), read(0), unlock(0)}),
                      on(0, {lock(0), read(0), unlock(0)})},
          .moves = 1,
          .movable = kAll};
}

Scenario neighbourhood() {
  return {.name = "neighbourhood",
          .proves = "what comes along with a fetch undoes no write",
          .objects = {"list", "item", "flag"},
          .homes = {0, 0, 1},
          .threads = {on(1, {write(1, 1), setFlag(2, 2), read(1)}), on(1, {read(0)})},
          .neighbourOf0 = 1};
}

Scenario eviction() {
  return {.name = "eviction",
          .proves = "a copy is not dropped under a thread that relies on its check",
          .objects = {"x", "y"},
          .homes = {1, 1},
          .threads = {on(0, {write(0, 1), setFlag(1, 2), checkRead(0), unpolled(checkRead(1)), unpolled(load(0))}),
                      on(0, {read(0)})},
          .evictions = 2};
}

Scenario threeNodes() {
  return {
      .name = "three_nodes",
      .proves = "moves, fetches and an eviction on three nodes, with checks that are held over waits, never deadlock",
      .nodes = 3,
      .objects = {"a", "b", "c"},
      .homes = {0, 1, 2},
      .threads = {on(0, {checkRead(1), unpolled(checkWrite(0)), unpolled(store(0, 1))}),
                  on(1, {checkRead(0), unpolled(checkWrite(1)), unpolled(store(1, 2))}), on(2, {read(0)})},
      .moves = 1,
      .movable = uint8_t(only(0) | only(1)),
      .evictions = 1};
}

Scenario moving(Scenario scenario, uint8_t moves, uint8_t movable, uint8_t evictions) {
  scenario.name += "_moving";
  scenario.moves = moves;
  scenario.movable = movable;
  scenario.evictions = evictions;
  return scenario;
}

template <class T>
void append(std::vector<T>& all, std::vector<T> more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

std::vector<Scenario> shortScenarios() {
  std::vector<Scenario> all = {messagePassing(),      lockedCounter(), localLock(),  movingLock(),
                               ownWrites(),           falseSharing(),  homeWrites(), hoistedChecks(),
                               checkOverAllocation(), leavingBlocks(), movingData(), chase(),
                               movingMonitor(),       neighbourhood(), eviction(),   threeNodes()};
  append(all, leaseScenarios());
  append(all, loanScenarios());
  append(all, owedScenarios());
  append(all, monitorScenarios());
  return all;
}

std::vector<Scenario> longScenarios() {
  Scenario data = movingData();
  data.name = "moving_data_three_nodes";
  data.nodes = 3;
  data.threads.push_back(on(2, {read(0, 0), write(0, 4, 1)}));
  std::vector<Scenario> all = {moving(lockedCounter(), 1, kAll, 0),          moving(ownWrites(), 2, only(0), 1),
                               moving(falseSharing(), 2, kAll, 1),           moving(neighbourhood(), 2, kAll, 1),
                               moving(messagePassing(), 2, kAll, 1),         data,
                               moving(threeNodes(), 2, only(0) | only(1), 0)};
  append(all, longLeaseScenarios());
  append(all, longLoanScenarios());
  append(all, longOwedScenarios());
  append(all, longMonitorScenarios());
  return all;
}

std::vector<Mutation> mutations() {
  std::vector<Mutation> all = {
      {"StampAtReply", Fault::StampAtReply, "message_passing"},
      {"NoAckWait", Fault::NoAckWait, "locked_counter"},
      {"RefreshOverwrites", Fault::RefreshOverwrites, "own_writes"},
      {"FirstFlusherDropsTwin", Fault::FirstFlusherDropsTwin, "false_sharing"},
      {"HomeClockNotBumped", Fault::HomeClockNotBumped, "local_lock"},
      {"WideDiff", Fault::WideDiff, "home_writes"},
      {"FetchOverlapsFlush", Fault::FetchOverlapsFlush, "own_writes"},
      {"IgnoreForeignFlush", Fault::IgnoreForeignFlush, "false_sharing"},
      {"HoldNothing", Fault::HoldNothing, "check_over_allocation"},
      {"HoldNothing", Fault::HoldNothing, "hoisted_checks"},
      {"HoldNothing", Fault::HoldNothing, "eviction"},
      {"MoveWithoutPrepare", Fault::MoveWithoutPrepare, "moving_data"},
      {"ArrivalDoesNotTick", Fault::ArrivalDoesNotTick, "moving_lock"},
      {"NeighboursUnchecked", Fault::NeighboursUnchecked, "neighbourhood"},
  };
  append(all, leaseMutations());
  append(all, loanMutations());
  append(all, owedMutations());
  append(all, monitorMutations());
  return all;
}

}  // namespace jvmc::cluster::model
