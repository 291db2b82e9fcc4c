// `jvmcluster node`: offers this machine to a cluster. Starts a VM process for each node of a program that is placed
// here, knows the other agents, and answers commands for all programs of the cluster. Protocol: schema/agent.capnp.
#pragma once

#include <optional>
#include <string>

#include "cluster/dashboard/http_server.h"
#include "ir/support/result.h"

namespace jvmc::cluster {

struct AgentOptions {
  std::string listen;    ///< HOST:PORT; port 0: any
  std::string join;      ///< an agent of the cluster; empty: this one begins a cluster, or finds it in the registry
  std::string registry;  ///< URL (cluster/registry/registry.h); empty: none
  std::string keyFile;
  std::string logLevel = "info";  ///< of the VM processes
  bool jsonLog = false;
  double drainSeconds = 2;             ///< after SIGTERM, for the nodes here to get empty
  std::optional<HttpPlace> metrics{};  ///< serve metrics of the nodes here
};

/// Serves until a signal; then its VM processes are gone. Before that, after SIGTERM, its nodes are drained, as long as
/// there is time; after SIGINT they are lost at once, also during a drain. Call on the main thread before other threads
/// exist. Fails if it cannot listen or join. The exit code is 0 after a signal, 1 if a node did not get empty in time.
Result<int> runAgent(const AgentOptions& options);

}  // namespace jvmc::cluster
