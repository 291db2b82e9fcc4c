// Finds the running clusters that a command is about: the one at --cluster, or all of this user on this machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/launch/control_client.h"
#include "tools/jvmcluster/commands.h"

namespace jvmc::tool {

/// The flags of commands that look at running clusters.
struct ClusterOptions {
  std::string cluster;
  std::string keyFile;
  std::string output = "table";  ///< table, wide, json, name

  void addTo(CLI::App& command);
  void addConnection(CLI::App& command);  ///< without --output
};

/// Open connections. Never empty.
struct Clusters {
  std::vector<std::unique_ptr<cluster::ControlClient>> clients;
  std::vector<cluster::Endpoint> endpoints;  ///< of the clients

  static Result<Clusters> open(const ClusterOptions& options);

  struct Program {
    cluster::ControlClient* client;
    cluster::ProgramView view;
    cluster::Endpoint endpoint;  ///< of the client

    /// Of its nodes, how many have not answered, if so many just have. Asked afterwards: one that has left meanwhile is
    /// not silent. 0 if the program has ended.
    uint32_t silentNodes(size_t answers) const;
  };
  Result<std::vector<Program>> programs();
  /// The one program that `prefix` names; empty: the only one there is.
  Result<Program> program(const std::string& prefix);
};

/// By id, or by name if only one thread has it.
Result<cluster::ThreadView> findThread(const std::vector<cluster::ThreadView>& threads, const std::string& word);

}  // namespace jvmc::tool
