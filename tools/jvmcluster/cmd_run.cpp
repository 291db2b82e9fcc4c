// jvmcluster run: a program on nodes of this machine or of a cluster.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "cluster/launch/launcher.h"
#include "cluster/launch/log.h"
#include "runtime/outside_local.h"
#include "tools/jvmcluster/commands.h"
#include "tools/jvmcluster/load_program.h"
#include "tools/jvmcluster/stats_file.h"

namespace jvmc::tool {

namespace {

struct RunOptions {
  uint32_t nodes = 0;
  uint32_t workers = 0;
  std::string mode = "auto";
  std::string balance = "threshold";
  std::string zeal;
  std::string statsFile;
  uint64_t heapBytes = 0;
  double timeoutSeconds = 0;
  std::string cluster;
  std::string keyFile = cluster::defaultKeyPath();
};

/// "capture:3,io:2".
Result<rt::Zeal> parseZeal(const std::string& list) {
  rt::Zeal zeal;
  for (size_t at = 0; at < list.size();) {
    size_t end = std::min(list.find(',', at), list.size());
    std::string item = list.substr(at, end - at);
    size_t colon = item.find(':');
    std::string name = item.substr(0, colon);
    uint64_t every = 0;
    if (colon != std::string::npos) std::from_chars(item.data() + colon + 1, item.data() + item.size(), every);
    uint64_t* field = name == "capture"   ? &zeal.captureEvery
                      : name == "migrate" ? &zeal.migrateEvery
                      : name == "blocks"  ? &zeal.blocksEvery
                      : name == "gc"      ? &zeal.collectEvery
                      : name == "io"      ? &zeal.outsideEvery
                                          : nullptr;
    if (!field || every == 0)
      return Error{
          ErrorCode::kInvalidInput,
          fmt::format("bad --zeal item '{}': expected capture:K, migrate:K, blocks:K, gc:K or io:K with K > 0", item)};
    *field = every;
    at = end + 1;
  }
  return zeal;
}

/// Cores for all nodes of this machine, shared out; at least one each.
uint32_t defaultWorkers(uint32_t nodes) {
  return std::max(1u, std::thread::hardware_concurrency() / std::max(1u, nodes));
}

int run(const CommonOptions& common, const RunOptions& options, const std::vector<std::string>& words) {
  if (words.empty() || (words[0].size() > 1 && words[0][0] == '-')) {
    printError(common, words.empty() ? "run: the program is missing" : fmt::format("run: unknown option {}", words[0]));
    std::fprintf(stderr, "See 'jvmcluster run --help'.\n");
    return kUsage;
  }
  auto zeal = parseZeal(options.zeal);
  if (!zeal.ok()) return printError(common, zeal.error().message), kUsage;

  cluster::setupLogging({"launcher", common.logLevel(), common.jsonLog});
  LoadedProgram program = loadProgram(words[0], useColor(common, STDERR_FILENO));
  if (program.exitCode) return std::fputs(program.message.c_str(), stderr), program.exitCode;

  cluster::LaunchOptions launch;
  launch.name = std::filesystem::path(words[0]).filename().string();
  launch.plan.module = std::move(program.module);
  launch.plan.arguments.assign(words.begin() + 1, words.end());
  launch.plan.mode = *cluster::parseMode(options.mode);
  launch.plan.workers = options.workers ? options.workers : defaultWorkers(options.cluster.empty() ? options.nodes : 1);
  launch.plan.balance = options.balance;
  launch.plan.heapBytes = options.heapBytes;
  launch.plan.zeal = *zeal;
  launch.nodes = options.nodes;
  launch.cluster = options.cluster;
  launch.keyFile = options.keyFile;
  launch.timeoutSeconds = options.timeoutSeconds;
  launch.logLevel = common.logLevel();
  launch.jsonLog = common.jsonLog;

  std::function<void(int)> endProgram;
  rt::OutsideExecutor::Options outside;
  outside.onExit = [&](int32_t code) { endProgram(code); };
  rt::OutsideExecutor executor(outside);
  launch.execute = [&](const rt::OutsideCall& call) { return executor.execute(call); };

  auto outcome = cluster::launch(launch, [&](std::function<void(int)> end) { endProgram = std::move(end); });
  executor.interruptInput();
  if (!outcome.error.empty()) printError(common, outcome.error);
  if (!options.statsFile.empty()) {
    auto written = writeStats(options.statsFile, launch.name, outcome);
    if (!written.ok()) {
      printError(common, written.error().message);
      if (outcome.exitCode == 0) outcome.exitCode = cluster::kExitOwnFailure;
    }
  }
  spdlog::default_logger()->flush();
  // Threads may still block in the outside world (reading a terminal): they do not keep the process.
  _exit(outcome.exitCode);
}

}  // namespace

void addRun(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand(
      "run",
      "Run a program and pass its output and exit code through: run [OPTIONS] PROG [ARGS...]; PROG is .ir or .irm");
  command->prefix_command()->fallthrough(false);  // what follows PROG is the program's
  addCommon(*command, common);
  command->add_option("--nodes", options->nodes, "VM processes (default: 1; with --cluster one for each agent)")
      ->envname("JVMC_NODES")
      ->check(CLI::Range(1, 1024));
  command->add_option("--workers", options->workers, "Worker threads of each node (default: the cores, shared out)")
      ->envname("JVMC_WORKERS")
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--mode", options->mode,
                   "interp: interpret only; jit: compile everything; auto: compile what is hot")
      ->envname("JVMC_MODE")
      ->check(CLI::IsMember({"interp", "jit", "auto"}))
      ->capture_default_str();
  command
      ->add_option("--balance", options->balance,
                   "Balancer: off, threshold (moves busy threads), rotate (moves all, for tests)")
      ->envname("JVMC_BALANCE")
      ->check(CLI::IsMember({"off", "threshold", "rotate"}))
      ->capture_default_str();
  command->add_option("--zeal", options->zeal, "Force rare events: capture:K,migrate:K,blocks:K,gc:K,io:K")
      ->envname("JVMC_ZEAL");
  command->add_option("--stats", options->statsFile, "Write statistics of all nodes as JSON to FILE")
      ->envname("JVMC_STATS");
  command->add_option("--heap", options->heapBytes, "Heap limit of each node, such as 512M or 4G")
      ->envname("JVMC_HEAP")
      ->transform(CLI::AsSizeValue(false));
  command->add_option("--timeout", options->timeoutSeconds, "End the program after so many seconds (exit code 124)")
      ->envname("JVMC_TIMEOUT")
      ->check(CLI::PositiveNumber);
  command->add_option("--cluster", options->cluster, "Run on the agents of the cluster at HOST:PORT")
      ->envname("JVMC_CLUSTER");
  command->add_option("--key-file", options->keyFile, "Key of the cluster")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  jvmcluster run hello.ir\n"
      "  jvmcluster run --nodes 3 --workers 1 examples/mandelbrot.ir 800 600\n"
      "  jvmcluster run --nodes 2 --zeal migrate:1000 --stats stats.json program.irm < input.txt\n"
      "  jvmcluster run --cluster 127.0.0.1:7000 program.irm");
  command->callback([&common, options, command, &action] {
    action = [&common, options, words = command->remaining()] { return run(common, *options, words); };
  });
}

}  // namespace jvmc::tool
