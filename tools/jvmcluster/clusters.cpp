#include "tools/jvmcluster/clusters.h"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/net/key.h"

namespace jvmc::tool {

void ClusterOptions::addConnection(CLI::App& command) {
  keyFile = cluster::defaultKeyPath();
  command
      .add_option("--cluster", cluster,
                  "An agent's HOST:PORT, or a registry's URL (default: what runs on this machine for this user)")
      ->envname("JVMC_CLUSTER");
  command.add_option("--key-file", keyFile, "Key of the cluster at --cluster")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
}

void ClusterOptions::addTo(CLI::App& command) {
  addConnection(command);
  command.add_option("-o,--output", output, "table, wide, json or name")
      ->check(CLI::IsMember({"table", "wide", "json", "name"}))
      ->capture_default_str();
  command.add_flag_callback("--json", [this] { output = "json"; }, "Short for -o json");
}

Result<Clusters> Clusters::open(const ClusterOptions& options) {
  Clusters clusters;
  if (!options.cluster.empty()) {
    clusters.endpoints.push_back({options.cluster, options.keyFile});
    auto client = cluster::ControlClient::connect(clusters.endpoints.back());
    if (!client.ok()) return client.error();
    clusters.clients.push_back(std::move(*client));
    return clusters;
  }
  std::string problem = "no cluster of this user runs on this machine; name one with --cluster HOST:PORT";
  for (auto& endpoint : cluster::findEndpoints()) {
    auto client = cluster::ControlClient::connect(endpoint);
    if (client.ok()) {
      clusters.clients.push_back(std::move(*client));
      clusters.endpoints.push_back(endpoint);
    } else {
      problem = client.error().message;
    }
  }
  if (clusters.clients.empty()) return Error{ErrorCode::kUnavailable, problem};
  return clusters;
}

uint32_t Clusters::Program::silentNodes(size_t answers) const {
  const auto now = client->programs();
  if (!now.ok()) return 0;
  for (const cluster::ProgramView& each : *now)
    if (each.id == view.id) return uint32_t(std::max<int64_t>(int64_t(each.nodes) - int64_t(answers), 0));
  return 0;
}

Result<std::vector<Clusters::Program>> Clusters::programs() {
  std::vector<Program> all;
  for (size_t i = 0; i < clients.size(); ++i) {
    auto& client = clients[i];
    auto programs = client->programs();
    if (!programs.ok() && clients.size() > 1) continue;  // it has ended while we asked
    if (!programs.ok()) return programs.error();
    for (auto& view : *programs) {
      // Several agents of one cluster run here: each knows all its programs.
      bool known = std::any_of(all.begin(), all.end(), [&](const Program& p) { return p.view.id == view.id; });
      if (!known) all.push_back({client.get(), std::move(view), endpoints[i]});
    }
  }
  return all;
}

Result<Clusters::Program> Clusters::program(const std::string& prefix) {
  auto all = programs();
  if (!all.ok()) return all.error();
  std::erase_if(*all, [&](const Program& p) { return !p.view.id.starts_with(prefix) && p.view.name != prefix; });
  if (all->empty())
    return Error{ErrorCode::kNotFound,
                 prefix.empty() ? "no program runs" : fmt::format("no program '{}' runs", prefix)};
  if (all->size() == 1) return std::move(all->front());
  std::string ids;
  for (auto& p : *all) ids += fmt::format("{}{} ({})", ids.empty() ? "" : ", ", p.view.id, p.view.name);
  return Error{ErrorCode::kInvalidInput, fmt::format("several programs run, name one of them: {}", ids)};
}

Result<cluster::ThreadView> findThread(const std::vector<cluster::ThreadView>& threads, const std::string& word) {
  std::vector<cluster::ThreadView> found;
  for (auto& thread : threads)
    if (std::to_string(thread.id) == word) return thread;
  for (auto& thread : threads)
    if (thread.name == word) found.push_back(thread);
  if (found.size() == 1) return found[0];
  if (found.empty()) return Error{ErrorCode::kNotFound, fmt::format("there is no thread '{}'", word)};
  return Error{ErrorCode::kInvalidInput, fmt::format("{} threads are called '{}': use the id", found.size(), word)};
}

}  // namespace jvmc::tool
