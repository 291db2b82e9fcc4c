// jvmcluster migrate, stop: commands that change a running program.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/jvmcluster/clusters.h"

namespace jvmc::tool {

namespace {

struct ActOptions : ClusterOptions {
  std::string program;
  std::string thread;  ///< id or name
  uint32_t node = 0;
  bool dryRun = false;
};

int fail(const CommonOptions& common, const Error& error) {
  printError(common, error.message);
  return exitCodeOf(error);
}

void printDone(const ActOptions& options, nlohmann::ordered_json json, const std::string& text) {
  if (options.output == "json") {
    nlohmann::ordered_json out = {{"schemaVersion", 1}};
    out.update(json);
    std::printf("%s\n", out.dump(2).c_str());
  } else {
    std::printf("%s\n", text.c_str());
  }
}

/// By id, or by name if only one thread has it.
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

int migrate(const CommonOptions& common, const ActOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  auto threads = program->client->threads(program->view.id);
  if (!threads.ok()) return fail(common, threads.error());
  auto thread = findThread(*threads, options.thread);
  if (!thread.ok()) return fail(common, thread.error());
  if (options.node >= program->view.nodes)
    return fail(common, {ErrorCode::kNotFound,
                         fmt::format("there is no node {}; the program has {}", options.node, program->view.nodes)});
  if (!options.dryRun) {
    auto moved = program->client->migrate(program->view.id, thread->id, options.node);
    if (!moved.ok()) return fail(common, moved.error());
  }
  printDone(options,
            {{"program", program->view.id},
             {"thread", thread->id},
             {"from", thread->node},
             {"to", options.node},
             {"dryRun", options.dryRun}},
            fmt::format("thread {} {} from node {} to node {}", thread->id, options.dryRun ? "would move" : "moves",
                        thread->node, options.node));
  return kOk;
}

int stop(const CommonOptions& common, const ActOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  if (!options.dryRun) {
    auto stopped = program->client->stop(program->view.id);
    if (!stopped.ok()) return fail(common, stopped.error());
  }
  printDone(options, {{"program", program->view.id}, {"name", program->view.name}, {"dryRun", options.dryRun}},
            fmt::format("program {} ({}) {}", program->view.id, program->view.name,
                        options.dryRun ? "would be stopped" : "is stopped"));
  return kOk;
}

}  // namespace

void addMigrate(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ActOptions>();
  CLI::App* command = app.add_subcommand("migrate", "Move a thread to another node");
  options->addTo(*command);
  command->add_option("THREAD", options->thread, "Id or name of a thread (see 'jvmcluster threads')")->required();
  command->add_option("NODE", options->node, "Number of a node (see 'jvmcluster nodes')")->required();
  command->add_option("--program", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_flag("--dry-run", options->dryRun, "Only say what would be done");
  command->footer("Examples:\n  jvmcluster migrate 7 1\n  jvmcluster migrate worker-3 0 --program 3fa9 --json");
  command->callback([&common, options, &action] { action = [&common, options] { return migrate(common, *options); }; });
}

void addStop(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ActOptions>();
  CLI::App* command = app.add_subcommand("stop", "End a running program");
  options->addTo(*command);
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_flag("--dry-run", options->dryRun, "Only say what would be done");
  command->footer(
      "Examples:\n  jvmcluster stop\n  jvmcluster stop 3fa9 --cluster 127.0.0.1:7000\nThe launcher of the program "
      "exits with 143.");
  command->callback([&common, options, &action] { action = [&common, options] { return stop(common, *options); }; });
}

}  // namespace jvmc::tool
