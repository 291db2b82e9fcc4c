// jvmcluster doctor: what would keep programs from running here, and how to mend it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/jvmcluster/clusters.h"
#include "tools/jvmcluster/doctor.h"

namespace jvmc::tool {

namespace {

struct DoctorOptions {
  ClusterOptions cluster;
  std::vector<std::string> ports;
  bool json = false;
};

/// Of the cluster that was named, or of those that run here; none is well too.
std::vector<Finding> examineClusters(const ClusterOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) {
    if (options.cluster.empty()) return {};
    return {
        {"agent", Health::Failure, clusters.error().message, "start an agent there, or name another with --cluster"}};
  }
  std::vector<Finding> findings;
  std::set<std::string> seen;
  for (auto& client : clusters->clients) {
    const auto asked = std::chrono::system_clock::now();
    auto agents = client->agents();
    const auto answered = std::chrono::system_clock::now();
    if (!agents.ok()) {
      findings.push_back({"agent", Health::Failure, agents.error().message, "see its log"});
      continue;
    }
    // Several agents of one cluster run here: each knows all.
    std::erase_if(*agents, [&](const cluster::AgentView& agent) { return !seen.insert(agent.address).second; });
    for (Finding& finding : examineAgents(*agents, asked, answered)) findings.push_back(std::move(finding));
  }
  return findings;
}

const char* word(Health health) {
  return health == Health::Ok ? "ok" : health == Health::Warning ? "warning" : "failure";
}

void print(const std::vector<Finding>& findings, bool color) {
  for (const Finding& finding : findings) {
    const char* tint = finding.health == Health::Ok        ? "\033[32m"
                       : finding.health == Health::Warning ? "\033[33m"
                                                           : "\033[31m";
    std::printf("%s%-8s%s %-15s %s\n", color ? tint : "", word(finding.health), color ? "\033[0m" : "",
                finding.check.c_str(), finding.found.c_str());
    if (!finding.remedy.empty()) std::printf("%24s mend: %s\n", "", finding.remedy.c_str());
  }
}

int doctor(const CommonOptions& common, const DoctorOptions& options) {
  std::vector<Finding> findings = examineMachine();
  for (const std::string& port : options.ports) findings.push_back(examinePort(port));
  for (Finding& finding : examineClusters(options.cluster)) findings.push_back(std::move(finding));
  const bool healthy =
      std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.health == Health::Failure; });
  if (options.json) {
    nlohmann::ordered_json out = {
        {"schemaVersion", 1}, {"healthy", healthy}, {"findings", nlohmann::ordered_json::array()}};
    for (const Finding& f : findings)
      out["findings"].push_back(
          {{"check", f.check}, {"health", word(f.health)}, {"found", f.found}, {"remedy", f.remedy}});
    std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    print(findings, useColor(common, STDOUT_FILENO));
  }
  return healthy ? kOk : kFailed;
}

}  // namespace

void addDoctor(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command = app.add_subcommand("doctor", "Find what keeps programs from running, and say how to mend it");
  options->cluster.addConnection(*command);
  command->add_option("--port", options->ports, "Also: could an agent listen at HOST:PORT? May be given several times");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Looks at limits, memory, disk, settings of the kernel, and at versions and clocks of the agents of the cluster\n"
      "that runs here or at --cluster. Exit code 1 if something would keep programs from running.\n\n"
      "Examples:\n"
      "  jvmcluster doctor\n"
      "  jvmcluster doctor --port 127.0.0.1:7000\n"
      "  jvmcluster doctor --cluster 127.0.0.1:7000 --json");
  command->callback([&common, options, &action] { action = [&common, options] { return doctor(common, *options); }; });
}

}  // namespace jvmc::tool
