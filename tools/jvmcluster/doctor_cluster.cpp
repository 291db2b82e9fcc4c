#include <fmt/format.h>

#include "tools/jvmcluster/doctor.h"

namespace jvmc::tool {

std::vector<Finding> examineAgents(const std::vector<cluster::AgentView>& agents) {
  std::vector<Finding> findings;
  for (const cluster::AgentView& agent : agents) {
    const bool answers = agent.pid != 0;
    findings.push_back({"agent", answers ? Health::Ok : Health::Failure,
                        fmt::format("agent {} {}", agent.address, answers ? "answers" : "does not answer"),
                        answers ? "" : "see its log; end it, and start it again with --join"});
  }
  return findings;
}

}  // namespace jvmc::tool
