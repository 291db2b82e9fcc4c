// What `jvmcluster top` shows: nodes and threads as lines of text, whatever they are drawn on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/launch/views.h"

namespace jvmc::tool {

enum class TopSort : uint8_t { Cpu, Remote, Node, Name };
inline constexpr const char* kTopSorts[] = {"cpu", "remote", "node", "name"};

struct TopState {
  std::vector<cluster::NodeView> nodes;
  std::vector<cluster::ThreadView> threads;  ///< sorted and filtered by arrange()
  size_t threadsInAll = 0;
};

/// Requests to other nodes a second.
double remoteRate(const cluster::ThreadView& thread);
/// Keeps the threads whose name or state contains `filter`; most first.
void arrange(TopState& state, TopSort sort, const std::string& filter);

struct TopLines {
  std::string title;
  std::vector<std::string> nodes, threads;  ///< the first line of each is the header
};
TopLines linesOf(const TopState& state, const std::string& program, TopSort sort, const std::string& filter);
nlohmann::ordered_json toJson(const TopState& state);

}  // namespace jvmc::tool
