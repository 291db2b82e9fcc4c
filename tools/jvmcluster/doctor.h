// What `jvmcluster doctor` looks at: whether this machine, and the agents of a cluster, can run programs, and how to
// mend what is in the way.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cluster/launch/views.h"

namespace jvmc::tool {

enum class Health : uint8_t {
  Ok,
  Warning,  ///< programs run, but something will be missing or slow
  Failure,  ///< programs will not run
};

struct Finding {
  std::string check;  ///< "address-space"
  Health health = Health::Ok;
  std::string found;   ///< what is the case
  std::string remedy;  ///< how to mend it; empty if all is well
};

/// Limits of this process, settings of the kernel, memory, disk, the programs themselves.
std::vector<Finding> examineMachine();

/// Whether an agent could listen there.
Finding examinePort(const std::string& address);

/// Versions and clocks. `asked` and `answered`: by this machine's clock, around the question that gave `agents`.
std::vector<Finding> examineAgents(const std::vector<cluster::AgentView>& agents,
                                   std::chrono::system_clock::time_point asked,
                                   std::chrono::system_clock::time_point answered);

}  // namespace jvmc::tool
