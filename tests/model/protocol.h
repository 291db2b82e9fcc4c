// The transitions of the modelled protocol, after cluster/objects: each function here stands for the part of the code
// whose name it carries, one atomic step for what the code does under one lock or in one callback of the message loop.
#pragma once

#include <functional>
#include <string>

#include "tests/model/scenario.h"

namespace jvmc::cluster::model {

/// A step that is possible. `label`: what happened, for a trace; empty unless labels are wanted.
struct Step {
  State state;
  std::string label;
  std::string violation;  ///< what must not happen, and has; empty otherwise
};

class Protocol {
 public:
  Protocol(const Scenario& scenario, Fault removed) : scenario_(scenario), removed_(removed) {}

  State initial() const;
  /// Calls `visit` for each step that is possible, always in the same order.
  void forEachStep(const State& state, bool labels, const std::function<void(const Step&)>& visit) const;
  /// For a state without steps: why it must not be the last one, or empty if all is done.
  std::string whyNotFinal(const State& state) const;

 private:
  const Scenario& scenario_;
  const Fault removed_;
};

}  // namespace jvmc::cluster::model
