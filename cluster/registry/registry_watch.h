// Keeps an agent listed in a registry and tells who else is, from a thread of its own: a registry that does not answer
// holds up nobody.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "cluster/registry/registry.h"

namespace jvmc::cluster {

class RegistryWatch {
 public:
  /// `onAgents` runs on the watch's thread each time the list has been read, about once a second.
  RegistryWatch(std::unique_ptr<Registry> registry, std::string address, ClusterKey key,
                std::function<void(std::vector<std::string>)> onAgents);
  /// The agent is listed no more, if the registry can be reached.
  ~RegistryWatch();
  RegistryWatch(const RegistryWatch&) = delete;

 private:
  void run();
  Status look();

  const std::unique_ptr<Registry> registry_;
  const std::string address_;
  const ClusterKey key_;
  const std::function<void(std::vector<std::string>)> onAgents_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace jvmc::cluster
