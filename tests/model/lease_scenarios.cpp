// Copies that stay fresh until their home calls them back.
#include "tests/model/scenarios.h"

namespace jvmc::cluster::model {
namespace {

Scenario leasedData() {
  return {.name = "leased_data",
          .proves = "who has seen the flag sees the data, also over a lease, and if the recall overtakes the lease",
          .objects = {"data", "flag"},
          .homes = {0, 1},
          .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(1, {read(0), seeFlag(1), read(0)}), on(1, {read(0)})},
          .evictions = 1,
          .shares = 1,
          .sharable = only(0)};
}

Scenario leasedFlush() {
  return {.name = "leased_flush",
          .proves = "a flush of a third node waits until the leases are called back, also its own",
          .nodes = 3,
          .objects = {"data", "flag"},
          .homes = {0, 2},
          .threads = {on(1, {read(0), write(0, 1), setFlag(1, 2)}), on(2, {read(0), seeFlag(1), read(0)})},
          .shares = 1,
          .sharable = only(0)};
}

Scenario leasedElement() {
  return {.name = "leased_element",
          .proves = "an atomic store to an element waits for leases, at home and from elsewhere",
          .nodes = 3,
          .objects = {"array", "flag"},
          .homes = {0, 2},
          .threads = {on(1, {read(0), setElement(0, 1), read(0), setFlag(1, 2)}), on(0, {setElement(0, 3, 1)}),
                      on(2, {read(0), seeFlag(1), read(0)})},
          .shares = 1,
          .sharable = only(0)};
}

Scenario leaseOverCheck() {
  return {.name = "lease_over_check",
          .proves = "what a thread at home may still write is not shared",
          .objects = {"a", "flag"},
          .homes = {0, 1},
          .threads = {on(0, {checkWrite(0), unpolled(allocate()), unpolled(store(0, 1)), setFlag(1, 2)}),
                      on(1, {read(0), seeFlag(1), read(0)})},
          .shares = 1,
          .sharable = only(0)};
}

Scenario writtenLease() {
  return {.name = "written_lease",
          .proves = "who writes a leased copy has an ordinary one; the home and a neighbour write other fields of it",
          .objects = {"x", "flag"},
          .homes = {0, 0},
          .threads = {on(1, {read(0, 0), write(0, 1, 0), seeFlag(1), read(0, 1), read(0, 0)}),
                      on(0, {write(0, 2, 1), setFlag(1, 3)}), on(1, {read(0, 1)})},
          .shares = 1,
          .sharable = only(0)};
}

Scenario leaseAndMove() {
  return {.name = "lease_and_move",
          .proves = "a block with a shared object stays, and moves when its leases are called back",
          .objects = {"x", "flag"},
          .homes = {0, 0},
          .threads = {on(1, {read(0), seeFlag(1), read(0)}), on(0, {write(0, 1), setFlag(1, 2)})},
          .moves = 1,
          .movable = only(0),
          .shares = 1,
          .sharable = only(0)};
}

Scenario sharedTwice(Scenario scenario) {
  scenario.name += "_twice";
  scenario.shares = 2;
  return scenario;
}

}  // namespace

std::vector<Scenario> leaseScenarios() {
  return {leasedData(), leasedFlush(), leasedElement(), leaseOverCheck(), writtenLease(), leaseAndMove()};
}

std::vector<Scenario> longLeaseScenarios() {
  Scenario flush = sharedTwice(leasedFlush());
  flush.moves = 1;
  flush.movable = only(0);
  flush.evictions = 1;
  return {sharedTwice(leasedData()), flush, sharedTwice(leasedElement()), sharedTwice(writtenLease()),
          sharedTwice(leaseAndMove())};
}

std::vector<Mutation> leaseMutations() {
  return {
      {"RecallNotAwaited", Fault::RecallNotAwaited, "leased_data"},
      {"LeaseOutlivesRecall", Fault::LeaseOutlivesRecall, "leased_data"},
      {"LesseeForgotten", Fault::LesseeForgotten, "leased_data"},
      {"OvertakenRecallLost", Fault::OvertakenRecallLost, "leased_data"},
      {"SharedIsWritten", Fault::SharedIsWritten, "leased_data"},
      {"FlushIgnoresLeases", Fault::FlushIgnoresLeases, "leased_flush"},
      {"AtomicIgnoresLeases", in_model::AtomicIgnoresLeases, "leased_element"},
      {"HoldNothing", Fault::HoldNothing, "lease_over_check"},
      {"SharedBlocksLeave", in_model::SharedBlocksLeave, "lease_and_move"},
  };
}

}  // namespace jvmc::cluster::model
