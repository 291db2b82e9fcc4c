#include "tools/jvmcluster/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

using Json = nlohmann::ordered_json;

namespace {

double cpuOf(const cluster::NodeView& node) {
  double used = 0;
  for (double share : node.workerCpu) used += share;
  return used;
}

std::vector<std::string> splitLines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  return lines;
}

std::string nameOf(const cluster::ThreadView& thread) {
  return thread.name.empty() ? fmt::format("thread-{}", thread.id) : thread.name;
}

}  // namespace

double remoteRate(const cluster::ThreadView& thread) {
  double rate = 0;
  for (const auto& use : thread.uses) rate += use.requestsPerSecond;
  return rate;
}

void arrange(TopState& state, TopSort sort, const std::string& filter) {
  state.threadsInAll = state.threads.size();
  if (!filter.empty())
    std::erase_if(state.threads, [&](const cluster::ThreadView& thread) {
      return nameOf(thread).find(filter) == std::string::npos && thread.state.find(filter) == std::string::npos &&
             thread.wait.find(filter) == std::string::npos;
    });
  std::stable_sort(state.threads.begin(), state.threads.end(),
                   [&](const cluster::ThreadView& a, const cluster::ThreadView& b) {
                     switch (sort) {
                       case TopSort::Cpu:
                         return a.cpuShare != b.cpuShare ? a.cpuShare > b.cpuShare : a.cpuNanos > b.cpuNanos;
                       case TopSort::Remote:
                         return remoteRate(a) > remoteRate(b);
                       case TopSort::Node:
                         return a.node < b.node;
                       case TopSort::Name:
                         return nameOf(a) < nameOf(b);
                     }
                     return false;
                   });
}

TopLines linesOf(const TopState& state, const std::string& program, TopSort sort, const std::string& filter) {
  TopLines lines;
  double cpu = 0;
  for (const auto& node : state.nodes) cpu += cpuOf(node);
  lines.title =
      fmt::format("{}: {} nodes, {} threads, {:.1f} cores; by {}{}", program, state.nodes.size(), state.threadsInAll,
                  cpu, kTopSorts[size_t(sort)], filter.empty() ? "" : fmt::format(", with '{}'", filter));
  Table nodes({"NODE", "STATE", "CPU", "QUEUE", "THREADS", "REMOTE/S", "BYTES/S", "HEAP", "RSS"});
  for (const auto& node : state.nodes)
    nodes.add({std::to_string(node.node), node.state,
               node.workerCpu.empty() ? fmt::format("-/{}", node.workers)
                                      : fmt::format("{:.1f}/{}", cpuOf(node), node.workers),
               std::to_string(node.queued), std::to_string(node.threads), fmt::format("{:.0f}", node.remoteRequests),
               formatBytes(uint64_t(node.remoteBytes)), formatBytes(node.heapBytes), formatBytes(node.rssBytes)});
  lines.nodes = splitLines(nodes.text(false));
  Table threads({"CPU", "REMOTE/S", "NODE", "STATE", "WAITS-FOR", "MOVES", "TIME", "ID", "NAME"});
  for (const auto& thread : state.threads)
    threads.add({fmt::format("{:.0f}%", 100 * thread.cpuShare), fmt::format("{:.0f}", remoteRate(thread)),
                 std::to_string(thread.node), thread.state, thread.wait, std::to_string(thread.moves),
                 formatNanos(thread.cpuNanos), std::to_string(thread.id), nameOf(thread)});
  lines.threads = splitLines(threads.text(false));
  return lines;
}

Json toJson(const TopState& state) {
  Json nodes = Json::array(), threads = Json::array();
  for (const auto& node : state.nodes)
    nodes.push_back({{"node", node.node},
                     {"state", node.state},
                     {"cpu", cpuOf(node)},
                     {"workers", node.workers},
                     {"queued", node.queued},
                     {"threads", node.threads},
                     {"remoteRequestsPerSecond", node.remoteRequests},
                     {"remoteBytesPerSecond", node.remoteBytes},
                     {"heapBytes", node.heapBytes},
                     {"rssBytes", node.rssBytes}});
  for (const auto& thread : state.threads)
    threads.push_back({{"id", thread.id},
                       {"name", thread.name},
                       {"node", thread.node},
                       {"state", thread.state},
                       {"wait", thread.wait},
                       {"cpuShare", thread.cpuShare},
                       {"cpuNanos", thread.cpuNanos},
                       {"remoteRequestsPerSecond", remoteRate(thread)},
                       {"moves", thread.moves}});
  return {{"nodes", nodes}, {"threads", threads}};
}

}  // namespace jvmc::tool
