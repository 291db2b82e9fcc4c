// jvmcluster why: what the balancer has decided, for what reason, and what came of it.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/jvmcluster/clusters.h"
#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

namespace {

using Json = nlohmann::ordered_json;

struct WhyOptions : ClusterOptions {
  std::string program;
  std::string thread;  ///< id or name; empty: all
};

int fail(const CommonOptions& common, const Error& error) {
  printError(common, error.message);
  return exitCodeOf(error);
}

std::string nameOf(uint64_t thread, const std::vector<cluster::ThreadView>& threads) {
  for (auto& each : threads)
    if (each.id == thread) return each.name;
  return "";  // it has ended
}

Json toJson(const cluster::DecisionView& decision, const std::string& name) {
  const bool blocks = decision.thread == 0;
  return {{"number", decision.number},
          {"node", decision.node},
          {"ageNanos", decision.ageNanos},
          {"kind", blocks ? "blocks" : "thread"},
          {"thread", blocks ? Json() : Json(decision.thread)},
          {"name", name},
          {"bytes", blocks ? Json(decision.bytes) : Json()},
          {"from", decision.from},
          {"to", decision.to},
          {"predictedGain", decision.predicted},
          {"measuredGain", decision.isMeasured ? Json(decision.measured) : Json()},
          {"outcome", decision.outcome},
          {"times", decision.times},
          {"reason", decision.reason}};
}

int why(const CommonOptions& common, const WhyOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  auto log = program->client->decisions(program->view.id);
  if (!log.ok()) return fail(common, log.error());
  auto threads = program->client->threads(program->view.id);
  if (!threads.ok()) return fail(common, threads.error());
  if (!options.thread.empty()) {
    // A thread that has ended has no name any more, but its decisions are known by its id.
    uint64_t id = 0;
    auto thread = findThread(*threads, options.thread);
    if (thread.ok()) id = thread->id;
    std::erase_if(log->decisions, [&](auto& each) {
      return each.thread == 0 || (each.thread != id && std::to_string(each.thread) != options.thread);
    });
    if (!thread.ok() && log->decisions.empty()) return fail(common, thread.error());
  }
  if (options.output == "json") {
    Json list = Json::array();
    for (auto& decision : log->decisions) list.push_back(toJson(decision, nameOf(decision.thread, *threads)));
    const Json out = {{"schemaVersion", 1},
                      {"program", program->view.id},
                      {"policy", log->policy},
                      {"dryRun", log->dryRun},
                      {"decisions", list}};
    std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return kOk;
  }
  if (options.output == "name") {
    for (auto& decision : log->decisions) std::printf("%llu\n", (unsigned long long)decision.number);
    return kOk;
  }
  if (log->decisions.empty()) {
    std::printf("the balancer (%s%s) has decided nothing%s\n", log->policy.c_str(), log->dryRun ? ", dry run" : "",
                options.thread.empty() ? "" : fmt::format(" about thread {}", options.thread).c_str());
    return kOk;
  }
  Table table({"AGE", "WHAT", "NAME", "FROM", "TO", "PREDICTED", "MEASURED", "OUTCOME", "TIMES", "REASON"},
              Table::LastColumn::Sentence);
  for (auto& d : log->decisions)
    table.add({fmt::format("{:.1f}s", double(d.ageNanos) / 1e9),
               d.thread == 0 ? formatBytes(d.bytes) : std::to_string(d.thread), nameOf(d.thread, *threads),
               std::to_string(d.from), std::to_string(d.to), fmt::format("{:+.2f}", d.predicted),
               d.isMeasured ? fmt::format("{:+.2f}", d.measured) : "", d.outcome, std::to_string(d.times), d.reason});
  std::fputs(table.text(useColor(common, STDOUT_FILENO)).c_str(), stdout);
  return kOk;
}

}  // namespace

void addWhy(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<WhyOptions>();
  CLI::App* command = app.add_subcommand("why", "Tell what the balancer has decided, why, and what came of it");
  options->addTo(*command);
  command->add_option("THREAD", options->thread, "Only about this thread: id or name");
  command->add_option("--program", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->footer(
      "Examples:\n  jvmcluster why\n  jvmcluster why worker-3\n  jvmcluster why 7 --program 3fa9 --json\n"
      "Gains are in cores; what a decision has brought is measured a second later.");
  command->callback([&common, options, &action] { action = [&common, options] { return why(common, *options); }; });
}

}  // namespace jvmc::tool
