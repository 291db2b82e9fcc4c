// Objects that are lent, alone, to the node that uses them.
#include "tests/model/scenarios.h"

namespace jvmc::cluster::model {
namespace {

Scenario borrowedData() {
  return loan({.name = "borrowed_data",
               .proves = "who has seen the flag sees what was written to a loan, at home and on a third node",
               .nodes = 3,
               .objects = {"x", "flag"},
               .homes = {0, 2},
               .threads = {on(1, {write(0, 1), read(0), setFlag(1, 2)}), on(0, {read(0), seeFlag(1), read(0)}),
                           on(2, {seeFlag(1), read(0)})}},
              1, only(0), 1);
}

Scenario borrowedFlag() {
  return loan({.name = "borrowed_flag",
               .proves = "a volatile field goes with a loan: who sees it there, or when it is back, sees the data",
               .objects = {"data", "flag"},
               .homes = {1, 0},
               .threads = {on(0, {read(0), write(0, 1), setFlag(1, 2)}), on(1, {read(1), seeFlag(1), read(0)})}},
              1, only(1), 1);
}

Scenario flagComesBack() {
  return loan({.name = "flag_comes_back",
               .proves = "who sees at home a volatile that was stored to a loan sees the data",
               .nodes = 2,
               .objects = {"data", "flag"},
               .homes = {1, 0},
               .threads = {on(1, {write(0, 1), read(1), setFlag(1, 2)}), on(0, {read(0), seeFlag(1), read(0)})}},
              1, only(1), 1);
}

Scenario flagGoesOut() {
  return loan({.name = "flag_goes_out",
               .proves = "who sees at the borrower a volatile that was stored at home sees the data",
               .objects = {"data", "flag"},
               .homes = {0, 0},
               .threads = {on(0, {write(0, 1), setFlag(1, 2)}), on(1, {read(0), read(1), seeFlag(1), read(0)})}},
              1, only(1), 1);
}

Scenario loanOverFlush() {
  return loan({.name = "loan_over_flush",
               .proves = "flushes and loans of one object: no write is lost, of whichever field",
               .nodes = 3,
               .objects = {"x"},
               .homes = {0},
               .threads = {on(1, {write(0, 1, 0), read(0, 0)}), on(2, {write(0, 2, 1), read(0, 1)})}},
              2, only(0), 1);
}

Scenario loanOverCheck() {
  return loan({.name = "loan_over_check",
               .proves = "what a thread at home may still write is not lent",
               .objects = {"a", "flag"},
               .homes = {0, 1},
               .threads = {on(0, {checkWrite(0), unpolled(allocate()), unpolled(store(0, 1)), setFlag(1, 2)}),
                           on(1, {read(0), write(0, 3, 1), seeFlag(1), read(0)})}},
              1, only(0));
}

Scenario returnOverCheck() {
  return loan({.name = "return_over_check",
               .proves = "who may still write a loan that goes back writes it home with its next release",
               .objects = {"a", "flag"},
               .homes = {0, 0},
               .threads = {on(1, {checkWrite(0), unpolled(allocate()), unpolled(store(0, 1)), read(0), setFlag(1, 2)}),
                           on(0, {read(0), seeFlag(1), read(0)})}},
              1, only(0), 1);
}

Scenario loanWithWriters() {
  return loan(
      {.name = "loan_with_writers",
       .proves = "a thread that wrote before the loan undoes nothing that others have written since",
       .objects = {"x", "flag"},
       .homes = {0, 0},
       .threads = {on(1, {write(0, 1, 0), read(0, 0)}), on(1, {seeFlag(1), read(0, 1), write(0, 2, 1), setFlag(1, 3)}),
                   on(0, {seeFlag(1), write(0, 4, 1), read(0, 1)})}},
      1, only(0));
}

Scenario loanAndNeighbour() {
  return loan({.name = "loan_and_neighbour",
               .proves = "what comes along with an older fetch does not lie over what was borrowed meanwhile",
               .objects = {"list", "item"},
               .homes = {0, 0},
               .threads = {on(1, {read(1), write(1, 1), unpolled(allocate()), unpolled(read(1))}), on(1, {read(0)})},
               .neighbourOf0 = 1},
              1, only(1), 1);
}

Scenario loanAndMove() {
  return loan({.name = "loan_and_move",
               .proves = "a block with an object on loan stays, and moves when it is back",
               .objects = {"x", "flag"},
               .homes = {0, 0},
               .threads = {on(1, {write(0, 1), seeFlag(1), read(0)}), on(0, {write(0, 2, 1), setFlag(1, 3)})},
               .moves = 1,
               .movable = only(0)},
              1, only(0), 1);
}

}  // namespace

std::vector<Scenario> loanScenarios() {
  return {borrowedData(),  borrowedFlag(),    flagComesBack(),   flagGoesOut(),      loanOverFlush(),
          loanOverCheck(), returnOverCheck(), loanWithWriters(), loanAndNeighbour(), loanAndMove()};
}

std::vector<Scenario> longLoanScenarios() {
  const auto longer = [](Scenario scenario, uint8_t loans, uint8_t moves, uint8_t evictions, uint8_t shares) {
    scenario.name += "_long";
    scenario.loans = loans;
    scenario.moves = moves;
    scenario.movable = scenario.lendable;
    scenario.evictions = evictions;
    scenario.shares = shares;
    scenario.sharable = scenario.lendable;
    return scenario;
  };
  return {longer(borrowedData(), 2, 0, 0, 0),    longer(borrowedFlag(), 2, 1, 0, 0),
          longer(flagComesBack(), 2, 1, 0, 1),   longer(loanOverFlush(), 2, 1, 1, 1),
          longer(returnOverCheck(), 2, 1, 1, 0), longer(loanWithWriters(), 2, 0, 0, 0),
          longer(loanAndNeighbour(), 2, 1, 1, 1)};
}

std::vector<Mutation> loanMutations() {
  return {
      {"BorrowersForgotten", Fault::BorrowersForgotten, "return_over_check"},
      {"ObjectLoanDoesNotTick", Fault::ObjectLoanDoesNotTick, "flag_goes_out"},
      {"ObjectLoanDoesNotTick", Fault::ObjectLoanDoesNotTick, "flag_comes_back"},
      {"HoldNothing", Fault::HoldNothing, "loan_over_check"},
      {"OvertakenRecallLost", Fault::OvertakenRecallLost, "borrowed_data"},
      {"FlushIgnoresLeases", Fault::FlushIgnoresLeases, "loan_over_flush"},
      {"LentIsAnswered", in_model::LentIsAnswered, "borrowed_data"},
      {"TwinOutlivesLoan", in_model::TwinOutlivesLoan, "loan_with_writers"},
      {"ReturnsForgotten", in_model::ReturnsForgotten, "loan_and_neighbour"},
  };
}

}  // namespace jvmc::cluster::model
