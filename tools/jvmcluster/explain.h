// Why a program does not get on: what each thread does and waits for, and who waits for whom in a circle.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/jvmcluster/clusters.h"

namespace jvmc::tool {

/// What nodes say about threads (cluster/launch/observer.h), put together.
struct Explanation {
  nlohmann::ordered_json threads = nlohmann::ordered_json::array();   ///< with "node" and, if known, "waitsFor"
  nlohmann::ordered_json monitors = nlohmann::ordered_json::array();  ///< "home", and "lentTo" if it is elsewhere
  nlohmann::ordered_json deadlocks = nlohmann::ordered_json::array();
  /// "state" (text), "objectSpace" and "migration": where object space and moves stand; nothing of that in a program on
  /// one node.
  nlohmann::ordered_json nodes = nlohmann::ordered_json::array();
  uint32_t silentNodes = 0;  ///< that did not answer: what is on them is not in here

  nlohmann::ordered_json toJson() const;
  std::string text() const;
};

/// From the answers of all nodes to two looks a moment apart: threads go on between nodes that are asked, so a circle
/// is only believed if each of its waits is the same in both.
Result<Explanation> explain(const std::vector<std::string>& first, const std::vector<std::string>& second);
/// Takes the two looks.
Result<Explanation> explain(Clusters::Program& program);

}  // namespace jvmc::tool
