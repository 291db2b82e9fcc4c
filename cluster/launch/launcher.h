// `jvmcluster run`: starts a program on nodes of this machine, or on the agents of a cluster, and stands for it until
// it ends. Owns stdio, signals and exit code.
#pragma once

#include <optional>
#include <string>

#include "cluster/dashboard/http_server.h"
#include "cluster/launch/outside_service.h"
#include "cluster/launch/program_run.h"

namespace jvmc::cluster {

struct LaunchOptions {
  std::string name;               ///< of the program, for people
  StartPlan plan;                 ///< without peers
  uint32_t nodes = 1;             ///< 0: one for each agent (with `cluster`), else 1
  std::string cluster;            ///< address of an agent, or URL of a registry; empty: start VM processes here
  std::string keyFile;            ///< of the cluster
  double timeoutSeconds = 0;      ///< 0: none
  std::string logLevel = "warn";  ///< of VM processes started here
  bool jsonLog = false;
  OutsideService::Execute execute;       ///< carries out outside calls
  std::optional<HttpPlace> dashboard{};  ///< serve one there
};

/// Blocks until the program has ended and nothing of it is left. Call on the main thread before other threads exist: it
/// takes SIGINT, SIGTERM, SIGHUP and SIGCHLD.
/// `whenRunning` gives a way to end the program from any thread (an `exit` of the guest).
RunOutcome launch(const LaunchOptions& options,
                  const std::function<void(std::function<void(int exitCode)>)>& whenRunning);

}  // namespace jvmc::cluster
