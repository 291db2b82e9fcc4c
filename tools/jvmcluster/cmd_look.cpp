// jvmcluster ps, threads, nodes: what runs, and where.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/jvmcluster/clusters.h"
#include "tools/jvmcluster/explain.h"
#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

struct LookOptions : ClusterOptions {
  std::string program;
  bool explain = false;  ///< threads
};

Json toJson(const cluster::ThreadView& thread) {
  Json remote = Json::array();
  for (auto& use : thread.uses)
    remote.push_back({{"node", use.home},
                      {"requests", use.requests},
                      {"bytes", use.bytes},
                      {"requestsPerSecond", use.requestsPerSecond},
                      {"bytesPerSecond", use.bytesPerSecond}});
  return {{"id", thread.id},
          {"name", thread.name},
          {"node", thread.node},
          {"state", thread.state},
          {"wait", thread.wait},
          {"moves", thread.moves},
          {"cpuNanos", thread.cpuNanos},
          {"pinned", thread.pinned},
          {"cpuShare", thread.cpuShare},
          {"remote", remote}};
}

Json toJson(const cluster::NodeView& node) {
  return {{"node", node.node},
          {"state", node.state},
          {"pid", node.pid},
          {"address", node.address},
          {"threads", node.threads},
          {"cpuNanos", node.cpuNanos},
          {"heapBytes", node.heapBytes},
          {"rssBytes", node.rssBytes},
          {"workers", node.workers},
          {"workerCpu", node.workerCpu},
          {"queued", node.queued},
          {"heapLimitBytes", node.heapLimitBytes},
          {"copyBytes", node.copyBytes},
          {"remoteRequestsPerSecond", node.remoteRequests},
          {"remoteBytesPerSecond", node.remoteBytes}};
}

/// "1:1200 2:35": requests to other nodes, by home.
std::string usesText(const cluster::ThreadView& thread) {
  std::string text;
  for (auto& use : thread.uses) text += fmt::format("{}{}:{}", text.empty() ? "" : ",", use.home, use.requests);
  return text;
}

/// "1.7/2": cores in use, and workers.
std::string busyText(const cluster::NodeView& node) {
  if (node.workerCpu.empty()) return fmt::format("-/{}", node.workers);  // a node alone is not measured
  double used = 0;
  for (double cpu : node.workerCpu) used += cpu;
  return fmt::format("{:.1f}/{}", used, node.workers);
}

Json toJson(const cluster::ProgramView& program) {
  return {{"id", program.id},
          {"name", program.name},
          {"state", program.state},
          {"nodes", program.nodes},
          {"threadCount", program.threads},
          {"startedUnixMillis", program.startedUnixMillis},
          {"launcherPid", program.launcherPid}};
}

template <class View>
Json toJson(const std::vector<View>& views) {
  Json array = Json::array();
  for (auto& view : views) array.push_back(toJson(view));
  return array;
}

void printJson(Json content) {
  Json out = {{"schemaVersion", kSchemaVersion}};
  out.update(content);
  std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

int fail(const CommonOptions& common, const Error& error) {
  printError(common, error.message);
  return exitCodeOf(error);
}

int showPrograms(const CommonOptions& common, const LookOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) {
    // Looking for what runs and finding nothing is an answer, unless a cluster was named.
    if (!options.cluster.empty()) return fail(common, clusters.error());
    clusters = Clusters{};
  }
  auto programs = clusters->programs();
  if (!programs.ok()) return fail(common, programs.error());
  if (options.output == "json") {
    Json list = Json::array();
    for (auto& program : *programs) {
      list.push_back(toJson(program.view));
      if (auto threads = program.client->threads(program.view.id); threads.ok())
        list.back()["threads"] = toJson(*threads);
    }
    printJson({{"programs", list}});
    return kOk;
  }
  bool wide = options.output == "wide";
  Table table(wide ? std::vector<std::string>{"NAME", "ID", "STATE", "NODES", "THREADS", "LAUNCHER", "AGE"}
                   : std::vector<std::string>{"NAME", "ID", "STATE", "NODES", "THREADS", "AGE"});
  for (auto& [client, p, endpoint] : *programs) {
    if (options.output == "name") std::printf("%s\n", p.id.c_str());
    std::vector<std::string> row{p.name, p.id, p.state, std::to_string(p.nodes), std::to_string(p.threads)};
    if (wide) row.push_back(std::to_string(p.launcherPid));
    row.push_back(formatAge(p.startedUnixMillis));
    table.add(std::move(row));
  }
  if (options.output != "name") std::fputs(table.text(useColor(common, STDOUT_FILENO)).c_str(), stdout);
  return kOk;
}

int explainThreads(const CommonOptions& common, const LookOptions& options, Clusters::Program& program) {
  auto found = explain(program);
  if (!found.ok()) return fail(common, found.error());
  if (options.output != "json") return std::fputs(found->text().c_str(), stdout), kOk;
  Json json = {{"program", program.view.id}};
  json.update(found->toJson());
  return printJson(json), kOk;
}

int showThreads(const CommonOptions& common, const LookOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  if (options.explain) return explainThreads(common, options, *program);
  auto threads = program->client->threads(program->view.id);
  if (!threads.ok()) return fail(common, threads.error());
  if (options.output == "json") return printJson({{"program", program->view.id}, {"threads", toJson(*threads)}}), kOk;
  bool wide = options.output == "wide";
  Table table(
      wide ? std::vector<std::string>{"NAME", "ID", "NODE", "STATE", "WAITS-FOR", "MOVES", "PINNED", "REMOTE", "CPU"}
           : std::vector<std::string>{"NAME", "ID", "NODE", "STATE", "WAITS-FOR", "CPU"});
  for (auto& t : *threads) {
    if (options.output == "name") std::printf("%s\n", std::to_string(t.id).c_str());
    std::vector<std::string> row{t.name, std::to_string(t.id), std::to_string(t.node), t.state, t.wait};
    if (wide) row.insert(row.end(), {std::to_string(t.moves), t.pinned ? "yes" : "no", usesText(t)});
    row.push_back(formatNanos(t.cpuNanos));
    table.add(std::move(row));
  }
  if (options.output != "name") std::fputs(table.text(useColor(common, STDOUT_FILENO)).c_str(), stdout);
  return kOk;
}

/// Without a program: the agents of the cluster, if there are any. With one, or if just one runs: its nodes.
int showNodes(const CommonOptions& common, const LookOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  std::vector<cluster::AgentView> agents;
  for (auto& client : clusters->clients) {
    auto known = client->agents();
    if (!known.ok()) return fail(common, known.error());
    for (auto& agent : *known)
      if (std::none_of(agents.begin(), agents.end(), [&](auto& a) { return a.address == agent.address; }))
        agents.push_back(agent);
  }
  Json json = {{"agents", Json::array()}, {"program", nullptr}, {"nodes", Json::array()}};
  for (auto& agent : agents)
    json["agents"].push_back({{"address", agent.address}, {"pid", agent.pid}, {"vms", agent.vms}});

  auto program = clusters->program(options.program);
  bool showsProgram = program.ok();
  if (!showsProgram && (agents.empty() || !options.program.empty())) return fail(common, program.error());
  std::vector<cluster::NodeView> nodes;
  if (showsProgram) {
    auto found = program->client->nodes(program->view.id);
    if (!found.ok()) return fail(common, found.error());
    nodes = std::move(*found);
    json["program"] = program->view.id;
    json["nodes"] = toJson(nodes);
  }
  if (options.output == "json") return printJson(json), kOk;
  bool color = useColor(common, STDOUT_FILENO);
  if (options.output == "name") {
    for (auto& node : nodes) std::printf("%u\n", node.node);
    if (!showsProgram)
      for (auto& agent : agents) std::printf("%s\n", agent.address.c_str());
    return kOk;
  }
  if (!agents.empty()) {
    Table table({"AGENT", "PID", "VMS"});
    for (auto& agent : agents) table.add({agent.address, std::to_string(agent.pid), std::to_string(agent.vms)});
    std::fputs(table.text(color).c_str(), stdout);
    if (showsProgram) std::puts("");
  }
  if (!showsProgram) return kOk;
  bool wide = options.output == "wide";
  Table table(wide ? std::vector<std::string>{"NODE", "STATE", "PID", "THREADS", "BUSY", "QUEUE", "REMOTE/S", "HEAP",
                                              "LIMIT", "RSS", "CPU", "ADDRESS"}
                   : std::vector<std::string>{"NODE", "STATE", "PID", "THREADS", "BUSY", "QUEUE", "REMOTE/S", "HEAP",
                                              "RSS", "CPU"});
  for (auto& n : nodes) {
    std::vector<std::string> row{std::to_string(n.node),
                                 n.state,
                                 std::to_string(n.pid),
                                 std::to_string(n.threads),
                                 busyText(n),
                                 std::to_string(n.queued),
                                 fmt::format("{:.0f}", n.remoteRequests),
                                 formatBytes(n.heapBytes)};
    if (wide) row.push_back(formatBytes(n.heapLimitBytes));
    row.insert(row.end(), {formatBytes(n.rssBytes), formatNanos(n.cpuNanos)});
    if (wide) row.push_back(n.address);
    table.add(std::move(row));
  }
  std::fputs(table.text(color).c_str(), stdout);
  return kOk;
}

template <class Show>
CLI::App* addLook(CLI::App& app, CommonOptions& common, Action& action, const char* name, const char* what,
                  bool takesProgram, const char* examples, Show show,
                  std::shared_ptr<LookOptions> options = std::make_shared<LookOptions>()) {
  CLI::App* command = app.add_subcommand(name, what);
  options->addTo(*command);
  if (takesProgram)
    command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->footer(examples);
  command->callback(
      [&common, options, &action, show] { action = [&common, options, show] { return show(common, *options); }; });
  return command;
}

}  // namespace

void addPs(CLI::App& app, CommonOptions& common, Action& action) {
  addLook(app, common, action, "ps", "List running programs", false,
          "Examples:\n  jvmcluster ps\n  jvmcluster ps -o wide\n  jvmcluster ps --cluster 127.0.0.1:7000 --json   # "
          "with all threads",
          showPrograms);
}

void addThreads(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<LookOptions>();
  CLI::App* command =
      addLook(app, common, action, "threads", "List the threads of a program", true,
              "Examples:\n  jvmcluster threads\n  jvmcluster threads 3fa9 -o wide\n"
              "  jvmcluster threads --explain         # why does it not get on: stacks, waits, deadlocks",
              showThreads, options);
  command->add_flag("--explain", options->explain,
                    "The stack of each thread, what it waits for, and who waits for whom in a circle");
}

void addNodes(CLI::App& app, CommonOptions& common, Action& action) {
  addLook(app, common, action, "nodes", "List the nodes of a program, and the agents of a cluster", true,
          "Examples:\n  jvmcluster nodes\n  jvmcluster nodes --cluster 127.0.0.1:7000 -o wide", showNodes);
}

}  // namespace jvmc::tool
