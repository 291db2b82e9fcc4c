// Where a running cluster answers commands: an address, and the key that opens it.
#pragma once

#include <string>
#include <vector>

#include "cluster/launch/runtime_dir.h"

namespace jvmc::cluster {

struct Endpoint {
  std::string address;  ///< as Address::parse takes it
  std::string keyFile;
};

/// Leaves a note in the folder for findEndpoints().
Status publishEndpoint(const RuntimeDir& dir, const Endpoint& endpoint);

/// What runs on this machine for this user: launchers and agents.
std::vector<Endpoint> findEndpoints();

}  // namespace jvmc::cluster
