// What a running program looks like at one moment: everything that the dashboard and the metrics are made of.
#pragma once

#include <kj/async.h>

#include <string>
#include <vector>

#include "cluster/launch/views.h"
#include "schema/agent.capnp.h"

namespace jvmc::cluster {

struct ProgramSample {
  int64_t unixMillis = 0;
  ProgramView program;
  std::vector<NodeView> nodes;            ///< by id
  std::vector<ThreadView> threads;        ///< by id
  std::vector<DecisionView> decisions{};  ///< of the balancer, oldest first
  std::vector<std::string> counters;      ///< of each node that has answered: a JSON object, as in --stats
};

/// Asks whoever answers for the program (a launcher or an agent). Fails as ControlClient does: kUnavailable while the
/// program starts or when nobody answers, kNotFound if it does not run there (any more).
kj::Promise<ProgramSample> takeSample(schema::Control::Client control, std::string program);

}  // namespace jvmc::cluster
