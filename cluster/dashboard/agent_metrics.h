// Metrics of the nodes that run on one machine, for Prometheus: `jvmcluster node --metrics`. Each agent tells of its
// own nodes, so a cluster is scraped by asking all agents, and nothing comes twice.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "cluster/dashboard/http_server.h"
#include "schema/agent.capnp.h"

namespace jvmc::cluster {

/// Lives on the loop. Serves until it is destroyed.
class AgentMetrics {
 public:
  /// Nodes of running VM processes here, by program.
  using NodesHere = std::function<std::map<std::string, std::set<uint32_t>>()>;
  /// Who answers for a program.
  using ControlOf = std::function<kj::Promise<schema::Control::Client>(std::string program)>;

  AgentMetrics(IoLoop& loop, const HttpPlace& place, NodesHere nodesHere, ControlOf controlOf);

 private:
  kj::Promise<HttpAnswer> answer(std::string_view target);

  IoLoop& loop_;
  NodesHere nodesHere_;
  ControlOf controlOf_;
  kj::Own<HttpServer> server_;
};

}  // namespace jvmc::cluster
