#include "cluster/dashboard/state_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace jvmc::cluster {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

/// Three digits and more are noise on a chart, and bytes on the wire.
double rounded(double value) {
  if (value >= 1000) return std::round(value);
  return std::round(value * 1000) / 1000;
}

Json nodeJson(const NodeView& node) {
  double busy = 0;
  for (double cpu : node.workerCpu) busy += cpu;
  return {{"node", node.node},
          {"state", node.state},
          {"pid", node.pid},
          {"address", node.address},
          {"threads", node.threads},
          {"workers", node.workers},
          {"busy", rounded(busy)},
          {"queued", node.queued},
          {"cpuNanos", node.cpuNanos},
          {"heapBytes", node.heapBytes},
          {"heapLimitBytes", node.heapLimitBytes},
          {"copyBytes", node.copyBytes},
          {"rssBytes", node.rssBytes},
          {"requestsPerSecond", rounded(node.remoteRequests)},
          {"bytesPerSecond", rounded(node.remoteBytes)}};
}

Json threadJson(const ThreadView& thread) {
  double requests = 0;
  for (const ThreadView::Use& use : thread.uses) requests += use.requestsPerSecond;
  return {{"id", thread.id},
          {"name", thread.name},
          {"node", thread.node},
          {"state", thread.state},
          {"wait", thread.wait},
          {"moves", thread.moves},
          {"cpuNanos", thread.cpuNanos},
          {"cpuShare", rounded(thread.cpuShare)},
          {"pinned", thread.pinned},
          {"requestsPerSecond", rounded(requests)}};
}

Json frameJson(const HistoryFrame& frame) {
  Json nodes = Json::object();
  for (const auto& [node, values] : frame.nodes) {
    Json& row = nodes[std::to_string(node)] = Json::array();
    for (float value : values) row.push_back(rounded(value));
  }
  return {{"time", frame.unixMillis}, {"nodes", std::move(nodes)}};
}

}  // namespace

std::string stateJson(const Recorder& recorder, uint64_t since, int64_t nowUnixMillis) {
  Json state = {{"schemaVersion", kSchemaVersion}, {"now", nowUnixMillis},    {"number", recorder.lastNumber()},
                {"problem", recorder.problem()},   {"program", nullptr},      {"nodes", Json::array()},
                {"threads", Json::array()},        {"threadCount", 0},        {"traffic", Json::array()},
                {"series", kSeriesNames},          {"frames", Json::array()}, {"events", Json::array()}};
  if (const auto& sample = recorder.latest()) {
    state["sampled"] = sample->unixMillis;
    state["program"] = {{"id", sample->program.id},
                        {"name", sample->program.name},
                        {"state", sample->program.state},
                        {"startedUnixMillis", sample->program.startedUnixMillis}};
    for (const NodeView& node : sample->nodes) state["nodes"].push_back(nodeJson(node));
    for (const ThreadView& thread : sample->threads) {
      if (state["threads"].size() == kThreadsShown) break;
      state["threads"].push_back(threadJson(thread));
    }
    state["threadCount"] = sample->threads.size();
    for (const auto& [ends, traffic] : recorder.traffic())
      state["traffic"].push_back({ends.first, ends.second, rounded(traffic.requests), rounded(traffic.bytes)});
  }
  for (const HistoryFrame& frame : recorder.frames())
    if (frame.number > since) state["frames"].push_back(frameJson(frame));
  for (const ProgramEvent& event : recorder.events())
    if (event.number > since)
      state["events"].push_back(
          {{"number", event.number}, {"time", event.unixMillis}, {"kind", event.kind}, {"text", event.text}});
  return state.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace jvmc::cluster
