// jvmcluster migrate, pin, unpin, grow, drain, stop: commands that change a running program.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "runtime/run_options.h"
#include "tools/jvmcluster/clusters.h"

namespace jvmc::tool {

namespace {

struct ActOptions : ClusterOptions {
  std::string program;
  std::string thread;  ///< id or name
  uint32_t node = 0;
  std::string blocks;  ///< a size: move blocks, and `thread` is the node they leave
  std::string agent;   ///< address
  double deadlineSeconds = 0;
  bool dryRun = false;
  std::optional<uint32_t> pinNode;
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

/// Moves blocks piece by piece, and says how far it has come if somebody watches.
int migrateBlocks(const CommonOptions& common, const ActOptions& options, const Clusters::Program& program) {
  constexpr uint64_t kPieceBytes = 32 << 20;
  const uint64_t wanted = *rt::parseSize(options.blocks);
  uint32_t source = 0;
  const char* end = options.thread.data() + options.thread.size();
  const auto [stop, error] = std::from_chars(options.thread.data(), end, source);
  if (error != std::errc() || stop != end || source >= program.view.nodes || options.node >= program.view.nodes)
    return fail(common,
                {ErrorCode::kNotFound,
                 fmt::format("blocks move from one node to another, each a number below {}", program.view.nodes)});
  cluster::BlocksMovedView sum;
  const bool watched = isatty(STDERR_FILENO) != 0 && options.output != "json";
  const auto begin = std::chrono::steady_clock::now();
  while (!options.dryRun && sum.bytes < wanted && sum.refusal.empty()) {
    auto moved =
        program.client->moveBlocks(program.view.id, source, options.node, std::min(wanted - sum.bytes, kPieceBytes));
    if (!moved.ok()) return fail(common, moved.error());
    sum.bytes += moved->bytes;
    sum.groups += moved->groups;
    sum.revoked += moved->revoked;
    sum.refusal = moved->refusal;
    if (watched) std::fprintf(stderr, "\r%.1f of %.1f MiB", double(sum.bytes) / (1 << 20), double(wanted) / (1 << 20));
    if (moved->bytes == 0) break;
  }
  if (watched) std::fputc('\n', stderr);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  printDone(options,
            {{"program", program.view.id},
             {"from", source},
             {"to", options.node},
             {"bytes", sum.bytes},
             {"groups", sum.groups},
             {"revoked", sum.revoked},
             {"refusal", sum.refusal},
             {"seconds", seconds},
             {"dryRun", options.dryRun}},
            options.dryRun
                ? fmt::format("up to {} would move from node {} to node {}", options.blocks, source, options.node)
                : fmt::format("{:.1f} MiB moved from node {} to node {}{}{}", double(sum.bytes) / (1 << 20), source,
                              options.node, sum.refusal.empty() ? "" : ": ", sum.refusal));
  return sum.refusal.empty() ? kOk : kFailed;
}

int migrate(const CommonOptions& common, const ActOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  if (!options.blocks.empty()) return migrateBlocks(common, options, *program);
  auto threads = program->client->threads(program->view.id);
  if (!threads.ok()) return fail(common, threads.error());
  auto thread = findThread(*threads, options.thread);
  if (!thread.ok()) return fail(common, thread.error());
  if (options.node >= program->view.nodes)
    return fail(common, {ErrorCode::kNotFound,
                         fmt::format("there is no node {}; the program has {}", options.node, program->view.nodes)});
  bool isThere = thread->node == options.node;
  if (thread->pinned && !isThere)
    return fail(common, {ErrorCode::kInvalidInput,
                         fmt::format("thread {} is pinned to node {}: 'jvmcluster pin --node {}' moves it all the same",
                                     thread->id, thread->node, options.node)});
  if (!options.dryRun && !isThere) {
    auto moved = program->client->migrate(program->view.id, thread->id, options.node);
    if (!moved.ok()) return fail(common, moved.error());
  }
  printDone(options,
            {{"program", program->view.id},
             {"thread", thread->id},
             {"from", thread->node},
             {"to", options.node},
             {"dryRun", options.dryRun}},
            isThere ? fmt::format("thread {} is on node {} already", thread->id, options.node)
                    : fmt::format("thread {} {} from node {} to node {}", thread->id,
                                  options.dryRun ? "would move" : "moves", thread->node, options.node));
  return kOk;
}

int pin(const CommonOptions& common, const ActOptions& options, bool pinned) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  auto threads = program->client->threads(program->view.id);
  if (!threads.ok()) return fail(common, threads.error());
  auto thread = findThread(*threads, options.thread);
  if (!thread.ok()) return fail(common, thread.error());
  auto done = program->client->pin(program->view.id, thread->id, pinned, options.pinNode);
  if (!done.ok()) return fail(common, done.error());
  const uint32_t node = options.pinNode.value_or(thread->node);
  printDone(options, {{"program", program->view.id}, {"thread", thread->id}, {"node", node}, {"pinned", pinned}},
            pinned ? fmt::format("thread {} is pinned to node {}", thread->id, node)
                   : fmt::format("thread {} may move", thread->id));
  return kOk;
}

int grow(const CommonOptions& common, const ActOptions& options) {
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  const auto begun = std::chrono::steady_clock::now();
  auto node = program->client->grow(program->view.id, options.agent);
  if (!node.ok()) return fail(common, node.error());
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
  printDone(options, {{"program", program->view.id}, {"node", *node}, {"millis", took.count()}},
            fmt::format("node {} has joined program {} ({:.0f} ms)", *node, program->view.id, took.count()));
  return kOk;
}

/// Tells the node to leave, and looks on until it has left or stays.
int drain(const CommonOptions& common, const ActOptions& options) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  auto clusters = Clusters::open(options);
  if (!clusters.ok()) return fail(common, clusters.error());
  auto program = clusters->program(options.program);
  if (!program.ok()) return fail(common, program.error());
  const bool watched = isatty(STDERR_FILENO) != 0 && options.output != "json";
  cluster::DrainView view{"leaving", {}, 0, 0, "", 0};
  bool told = false;
  for (bool begin = true; view.state == "leaving"; begin = false) {
    auto now = program->client->drain(program->view.id, options.node, begin, int64_t(options.deadlineSeconds * 1e9));
    if (!now.ok()) return fail(common, now.error());
    view = *now;
    const double needed = double(view.estimatedNanos) / 1e9;
    if (options.deadlineSeconds > 0 && needed > options.deadlineSeconds && !std::exchange(told, true))
      std::fprintf(stderr, "node %u will probably not get empty in %.1f s: it needs about %.1f s\n", options.node,
                   options.deadlineSeconds, needed);
    if (watched)
      std::fprintf(stderr, "\r%4.1f s of about %.1f s  %llu threads left, %.1f MiB moved ", double(view.nanos) / 1e9,
                   needed, (unsigned long long)view.left.threads, double(view.movedBytes) / (1 << 20));
    if (view.state == "leaving") std::this_thread::sleep_for(kPause);
  }
  if (watched) std::fputc('\n', stderr);
  const bool left = view.state == "left";
  printDone(options,
            {{"program", program->view.id},
             {"node", options.node},
             {"state", view.state},
             {"threadsLeft", view.left.threads},
             {"outsideCallsLeft", view.left.outsideCalls},
             {"movedBytes", view.movedBytes},
             {"nanos", view.nanos},
             {"estimatedNanos", view.estimatedNanos},
             {"reason", view.reason}},
            left ? fmt::format("node {} has left program {} ({:.1f} MiB, {:.0f} ms)", options.node, program->view.id,
                               double(view.movedBytes) / (1 << 20), double(view.nanos) / 1e6)
                 : fmt::format("node {} stays: {}", options.node, view.reason));
  return left ? kOk : kFailed;
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
  CLI::App* command = app.add_subcommand("migrate", "Move a thread, or blocks of the heap, to another node");
  options->addTo(*command);
  command
      ->add_option("THREAD", options->thread,
                   "Id or name of a thread (see 'jvmcluster threads'); with --blocks the number of the node that gives")
      ->required();
  command->add_option("NODE", options->node, "Number of a node (see 'jvmcluster nodes')")->required();
  command->add_option("--program", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command
      ->add_option("--blocks", options->blocks,
                   "Move the homes of up to so many bytes of objects (4M, 1G) instead of a thread")
      ->check([](const std::string& text) {
        auto size = rt::parseSize(text);
        return size.ok() ? std::string() : size.error().message;
      });
  command->add_flag("--dry-run", options->dryRun, "Only say what would be done");
  command->footer(
      "Examples:\n  jvmcluster migrate 7 1\n  jvmcluster migrate worker-3 0 --program 3fa9 --json\n"
      "  jvmcluster migrate --blocks 64M 0 2");
  command->callback([&common, options, &action] { action = [&common, options] { return migrate(common, *options); }; });
}

void addPin(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ActOptions>();
  CLI::App* command = app.add_subcommand("pin", "Keep a thread on its node, or on another");
  options->addTo(*command);
  command->add_option("THREAD", options->thread, "Id or name of a thread (see 'jvmcluster threads')")->required();
  command->add_option("--node", options->pinNode, "Moves it there first");
  command->add_option("--program", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->footer(
      "Examples:\n  jvmcluster pin 7\n  jvmcluster pin worker-3 --node 0 --program 3fa9 --json\n"
      "Neither the balancer nor 'migrate' moves a pinned thread. A node that is drained sends it away all the same.");
  command->callback(
      [&common, options, &action] { action = [&common, options] { return pin(common, *options, true); }; });
}

void addUnpin(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ActOptions>();
  CLI::App* command = app.add_subcommand("unpin", "Let a pinned thread move again");
  options->addTo(*command);
  command->add_option("THREAD", options->thread, "Id or name of a thread (see 'jvmcluster threads')")->required();
  command->add_option("--program", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->footer("Examples:\n  jvmcluster unpin 7\n  jvmcluster unpin worker-3 --program 3fa9");
  command->callback(
      [&common, options, &action] { action = [&common, options] { return pin(common, *options, false); }; });
}

void addGrow(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ActOptions>();
  CLI::App* command = app.add_subcommand("grow", "Add a node to a running program");
  options->addTo(*command);
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command->add_option("--agent", options->agent,
                      "Address of the agent that is to run it (default: the one with fewest VM processes)");
  command->footer(
      "Examples:\n  jvmcluster grow\n  jvmcluster grow 3fa9 --cluster 127.0.0.1:7000 --agent 127.0.0.1:7002\n"
      "Returns when the node takes threads. A program that was started on one node must have been given --elastic.");
  command->callback([&common, options, &action] { action = [&common, options] { return grow(common, *options); }; });
}

void addDrain(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<ActOptions>();
  CLI::App* command = app.add_subcommand("drain", "Empty a node of a running program and let it leave");
  options->addTo(*command);
  command->add_option("NODE", options->node, "Number of a node (see 'jvmcluster nodes'); not 0")->required();
  command->add_option("--program", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command
      ->add_option("--deadline", options->deadlineSeconds,
                   "Give up after so many seconds: the node stays and goes on (default: none)")
      ->check(CLI::NonNegativeNumber);
  command->footer(
      "Examples:\n  jvmcluster drain 2\n  jvmcluster drain 1 --program 3fa9 --deadline 2 --json\n"
      "Threads, objects, monitors and waiting threads go to the other nodes while the program runs on; then the "
      "node's\nprocess ends. Exit code 1 if the node stays.");
  command->callback([&common, options, &action] { action = [&common, options] { return drain(common, *options); }; });
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
