// jvmcluster inspect: what a running program does and waits for, what lies on each of its nodes, and what the cluster
// costs it.
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

struct InspectOptions : ClusterOptions {
  std::string program;
  uint32_t top = 10;
  bool collect = false;
};

/// The number at "objects.fetches"; 0 if the node does not report it (a program on one node has no peers).
uint64_t number(const Json& report, const std::string& name) {
  const Json* at = &report;
  for (size_t from = 0; from != std::string::npos;) {
    const size_t dot = name.find('.', from);
    const auto member = at->find(name.substr(from, dot == std::string::npos ? dot : dot - from));
    if (member == at->end()) return 0;
    at = &*member;
    from = dot == std::string::npos ? dot : dot + 1;
  }
  return at->is_number() ? at->get<uint64_t>() : 0;
}

uint64_t overChannels(const Json& report, const char* what) {
  uint64_t sum = 0;
  if (const auto net = report.find("net"); net != report.end())
    for (const auto& [channel, counters] : net->items()) sum += number(counters, what);
  return sum;
}

/// What follows from the counters. Checks that compiled code or the interpreter passes inline are not counted: of those
/// that were not, a hit needed no message.
Json summaryOf(const Json& report) {
  const uint64_t slow = number(report, "objects.slow_reads") + number(report, "objects.slow_writes");
  const uint64_t hits = number(report, "objects.slow_hits");
  Json summary = {{"slowChecks", slow}, {"slowHits", hits}};
  summary["hitShare"] = slow == 0 ? Json() : Json(double(hits) / double(slow));
  summary["copiesFetched"] = number(report, "objects.fetches") + number(report, "objects.neighbours");
  summary["leased"] = number(report, "objects.leased");
  summary["lent"] = number(report, "objects.lent");
  summary["recalls"] = number(report, "objects.recalls");
  summary["roundTrips"] = number(report, "objects.fetch.count") + number(report, "objects.flush.count") +
                          number(report, "objects.sync.count");
  summary["bytesOut"] = overChannels(report, "bytes_out");
  summary["bytesIn"] = overChannels(report, "bytes_in");
  summary["blocksOut"] = number(report, "blocks.moved");
  summary["blocksIn"] = number(report, "blocks.adopted");
  return summary;
}

std::string formatMicros(uint64_t nanos) {
  return fmt::format("{}us", nanos / 1000);
}

std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Table nodeTable(const std::vector<Json>& reports) {
  Table table({"NODE", "OBJECTS", "BYTES", "ALLOCATED", "COLLECTIONS", "SLOW-CHECKS", "HITS", "COPIES", "LEASED",
               "LENT", "ROUND-TRIPS", "OUT", "IN", "BLOCKS-OUT", "BLOCKS-IN"});
  for (const Json& report : reports) {
    const Json& summary = report["summary"];
    const Json& share = summary["hitShare"];
    const uint64_t objects = number(report, "homed.objects");
    const bool isKnown = objects > 0 || number(report, "heap.collections") > 0;
    table.add({text(report["node"]), isKnown ? std::to_string(objects) : "",
               isKnown ? formatBytes(number(report, "homed.bytes")) : "",
               formatBytes(number(report, "heap.allocatedBytes")), text(report["heap"]["collections"]),
               text(summary["slowChecks"]), share.is_null() ? "" : fmt::format("{:.1f}%", 100 * share.get<double>()),
               text(summary["copiesFetched"]), text(summary["leased"]), text(summary["lent"]),
               text(summary["roundTrips"]), formatBytes(number(summary, "bytesOut")),
               formatBytes(number(summary, "bytesIn")), text(summary["blocksOut"]), text(summary["blocksIn"])});
  }
  return table;
}

Table classTable(const std::vector<Json>& reports) {
  Table table({"NODE", "OBJECTS", "BYTES", "CLASS"});
  for (const Json& report : reports)
    for (const Json& row : report["homed"]["classes"])
      table.add({text(report["node"]), text(row["objects"]), formatBytes(number(row, "bytes")), text(row["class"])});
  return table;
}

Table channelTable(const std::vector<Json>& reports) {
  Table table({"NODE", "CHANNEL", "MESSAGES-OUT", "OUT", "MESSAGES-IN", "IN"});
  for (const Json& report : reports) {
    const auto net = report.find("net");
    if (net == report.end()) continue;
    for (const auto& [channel, counters] : net->items())
      table.add({text(report["node"]), channel, text(counters["messages_out"]),
                 formatBytes(number(counters, "bytes_out")), text(counters["messages_in"]),
                 formatBytes(number(counters, "bytes_in"))});
  }
  return table;
}

Table requestTable(const std::vector<Json>& reports) {
  Table table({"NODE", "REQUEST", "COUNT", "P50-BELOW", "P99-BELOW"});
  for (const Json& report : reports) {
    for (const char* kind : {"fetch", "flush", "sync"}) {
      const std::string name = std::string("objects.") + kind;
      if (number(report, name + ".count") == 0) continue;
      table.add({text(report["node"]), kind, std::to_string(number(report, name + ".count")),
                 formatMicros(number(report, name + ".p50")), formatMicros(number(report, name + ".p99"))});
    }
  }
  return table;
}

int fail(const CommonOptions& common, const Error& error) {
  printError(common, error.message);
  return exitCodeOf(error);
}

int inspect(const CommonOptions& common, const InspectOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  // Before anything is counted or collected: that changes what threads do.
  auto explanation = explain(*program);
  if (!explanation.ok()) return fail(common, explanation.error());
  auto texts = program->client->inspect(program->view.id, options.top, options.collect);
  if (!texts.ok()) return fail(common, texts.error());
  std::vector<Json> reports;
  for (const std::string& one : *texts) {
    Json report = Json::parse(one, nullptr, false);
    if (!report.is_object() || !report.contains("homed"))
      return fail(common, {ErrorCode::kCorrupt, "a node sent no report that makes sense"});
    report["summary"] = summaryOf(report);
    for (const Json& node : explanation->nodes)
      if (node["node"] == report["node"]) report.update(node);
    reports.push_back(std::move(report));
  }
  if (options.output == "json") {
    Json out = {{"schemaVersion", kSchemaVersion}, {"program", program->view.id}};
    out.update(explanation->toJson());
    out["nodes"] = reports;
    std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return kOk;
  }
  if (options.output == "name") {
    for (const Json& report : reports) std::printf("%s\n", text(report["node"]).c_str());
    return kOk;
  }
  const bool color = useColor(common, STDOUT_FILENO);
  std::vector<Table> tables{nodeTable(reports), classTable(reports)};
  if (options.output == "wide") {
    tables.push_back(channelTable(reports));
    tables.push_back(requestTable(reports));
  }
  std::fputs(explanation->text().c_str(), stdout);
  for (const Table& table : tables) std::printf("\n%s", table.text(color).c_str());
  return kOk;
}

}  // namespace

void addInspect(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      app.add_subcommand("inspect", "Explain a program: stacks, waits, deadlocks; what lies on each node");
  options->addTo(*command);
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_option("--top", options->top, "Classes to list for each node, those with most bytes")
      ->capture_default_str();
  command->add_flag("--collect", options->collect, "Collect garbage on each node first: stops the program meanwhile");
  command->footer(
      "Begin here when a program is stuck: deadlocks are named first, then each thread's stack and what it waits for,\n"
      "then where object space and moves of each node stand, and what lies there.\n\n"
      "Objects are those that the last collection has found alive at their homes; what was allocated since is not\n"
      "counted, unless --collect is given. Counting takes about 20 ns an object on each node, in steps of a megabyte;\n"
      "the program goes on meanwhile. All other numbers are counters that run anyway.\n\n"
      "Examples:\n  jvmcluster inspect\n  jvmcluster inspect 3fa9 --top 3 -o wide\n  jvmcluster inspect --collect "
      "--json");
  command->callback([&common, options, &action] { action = [&common, options] { return inspect(common, *options); }; });
}

}  // namespace jvmc::tool
