// Where the agents of a cluster find each other. Without a registry a new agent is told of one that runs (`--join`);
// with one nobody need know anybody, and no agent is more important than another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/net/key.h"
#include "ir/support/result.h"

namespace jvmc::cluster {

/// One client. Calls block, for some seconds at most; one thread at a time.
class Registry {
 public:
  /// For an agent that is gone without a word: so long it stays listed.
  static constexpr int kLeaseSeconds = 10;

  /// `url`: etcd://HOST:PORT[,HOST:PORT...][/NAME]; NAME tells clusters apart that share the service. Does not connect.
  static Result<std::unique_ptr<Registry>> open(const std::string& url);
  /// The text is a registry's address, not an agent's.
  static bool isUrl(const std::string& text);
  virtual ~Registry() = default;

  /// Lists an agent; to be called again within kLeaseSeconds for as long as it runs. Fails with kRefused if the cluster
  /// has another key.
  virtual Status announce(const std::string& address, const ClusterKey& key) = 0;
  /// The agent is listed no more.
  virtual Status withdraw() = 0;
  /// Addresses of all that are listed.
  virtual Result<std::vector<std::string>> agents() = 0;
};

/// The agents that `cluster` stands for: those listed, if it is a registry's URL; else itself.
Result<std::vector<std::string>> agentsOf(const std::string& cluster);

}  // namespace jvmc::cluster
