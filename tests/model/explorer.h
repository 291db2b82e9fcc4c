// Visits every state that a scenario can reach, breadth first, so that the first violation found has a shortest trace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/scenario.h"

namespace jvmc::cluster::model {

struct Outcome {
  std::string violation;           ///< empty: none
  std::vector<std::string> trace;  ///< a line a step, to the violation
  uint64_t states = 0, steps = 0;
  uint32_t depth = 0;    ///< steps of the longest shortest path
  bool complete = true;  ///< false: stopped at `statesMax`
};

/// Memory: about 40 bytes a state, and the states of two levels in full.
Outcome explore(const Scenario& scenario, Fault removed, uint64_t statesMax);

}  // namespace jvmc::cluster::model
