// jvmcluster run: a program on nodes of this machine or of a cluster.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "cluster/dashboard/http_server.h"
#include "cluster/launch/launcher.h"
#include "cluster/launch/log.h"
#include "ir/support/write_file.h"
#include "runtime/outside_local.h"
#include "runtime/run_options.h"
#include "tools/common/command_line.h"
#include "tools/jvmcluster/commands.h"
#include "tools/jvmcluster/load_program.h"
#include "tools/jvmcluster/profile.h"
#include "tools/jvmcluster/profile_request.h"
#include "tools/jvmcluster/stats_file.h"

namespace jvmc::tool {

namespace {

struct RunOptions {
  uint32_t nodes = 0;
  uint32_t workers = 0;
  bool elastic = false;
  std::string mode = "auto";
  std::string balance = "threshold";
  bool balanceDryRun = false;
  std::string placement = "spread";
  std::string rounds = "on";
  std::string zeal;
  std::string statsFile;
  std::string profFile;
  std::string profModes = "cpu,alloc,lock,remote";
  uint64_t passSeed = 0;
  std::string perf;
  bool gdb = false;
  std::string heap;  ///< empty: the default of a node
  double timeoutSeconds = 0;
  std::string cluster;
  std::string keyFile = cluster::defaultKeyPath();
  std::string dashboard;  ///< HOST:PORT, "auto": any port of loopback, empty: none
  std::string dashboardToken;
};

constexpr uint32_t kProfileHz = 100;
constexpr const char* kProfileAllocInterval = "512K";

/// Cores for all nodes of this machine, shared out; at least one each.
uint32_t defaultWorkers(uint32_t nodes) {
  return std::max(1u, std::thread::hardware_concurrency() / std::max(1u, nodes));
}

/// What the nodes have gathered from start to end, those that have left included. Takes it out of their statistics.
Status writeProfile(const std::string& path, const std::string& modes, const std::string& program,
                    cluster::RunOutcome& outcome) {
  ClusterProfile profile;
  profile.program = program;
  profile.seconds = double(outcome.wallNanos) / 1e9;
  for (uint32_t node = 0; node < outcome.stats.size(); ++node) {
    auto stats = nlohmann::ordered_json::parse(outcome.stats[node], nullptr, false);
    if (!stats.is_object() || !stats.contains("profile")) continue;
    if (auto added = profile.add(node, stats["profile"]); !added.ok()) return added;
    stats.erase("profile");
    outcome.stats[node] = stats.dump();
  }
  auto mode = modeNamed(modes.substr(0, modes.find(',')));
  if (!mode.ok()) return mode.error();
  return writeFile(path, formatted(profile, *mode, formatOf(path), {}));
}

int run(const CommonOptions& common, const RunOptions& options, const std::vector<std::string>& words) {
  if (words.empty() || (words[0].size() > 1 && words[0][0] == '-')) {
    printError(common, words.empty() ? "run: the program is missing" : fmt::format("run: unknown option {}", words[0]));
    std::fprintf(stderr, "See 'jvmcluster run --help'.\n");
    return kUsage;
  }

  cluster::setupLogging({"launcher", common.logLevel(), common.jsonLog});
  LoadedProgram program = loadProgram(words[0], useColor(common, STDERR_FILENO));
  if (program.exitCode) return std::fputs(program.message.c_str(), stderr), program.exitCode;

  cluster::LaunchOptions launch;
  launch.name = std::filesystem::path(words[0]).filename().string();
  launch.plan.module = std::move(program.module);
  launch.plan.arguments.assign(words.begin() + 1, words.end());
  launch.plan.mode = *rt::parseMode(options.mode);
  launch.plan.workers = options.workers ? options.workers : defaultWorkers(options.cluster.empty() ? options.nodes : 1);
  launch.plan.balance = options.balance;
  launch.plan.balanceDryRun = options.balanceDryRun;
  launch.plan.elastic = options.elastic;
  launch.plan.heapBytes = options.heap.empty() ? 0 : *rt::parseSize(options.heap);
  launch.plan.collects = options.rounds == "on";
  launch.plan.startsHere = options.placement == "starter";
  launch.plan.zeal = *rt::parseZeal(options.zeal);
  launch.plan.passSeed = options.passSeed;
  if (!options.profFile.empty())
    launch.plan.profile = profileRequest(options.profModes, kProfileHz, kProfileAllocInterval)->dump();
  launch.plan.tools = *rt::parsePerf(options.perf);
  launch.plan.tools.gdb = options.gdb;
  launch.nodes = options.nodes;
  launch.cluster = options.cluster;
  launch.keyFile = options.keyFile;
  launch.timeoutSeconds = options.timeoutSeconds;
  launch.logLevel = common.logLevel();
  launch.jsonLog = common.jsonLog;
  if (!options.dashboard.empty()) {
    auto place = cluster::openHttpPlace(options.dashboard == "auto" ? "" : options.dashboard, options.dashboardToken);
    if (!place.ok()) return printError(common, "dashboard: " + place.error().message), cluster::kExitOwnFailure;
    std::fprintf(stderr, "jvmcluster: dashboard: %s\n", place->url.c_str());
    launch.dashboard = *place;
  }

  std::function<void(int)> endProgram;
  rt::OutsideExecutor::Options outside;
  outside.onExit = [&](int32_t code) { endProgram(code); };
  outside.onOutputClosed = [&] { endProgram(tools::kExitOutputClosed); };
  rt::OutsideExecutor executor(outside);
  launch.execute = [&](const rt::OutsideCall& call) { return executor.execute(call); };

  auto outcome = cluster::launch(launch, [&](std::function<void(int)> end) { endProgram = std::move(end); });
  executor.interruptInput();
  if (!outcome.error.empty()) printError(common, outcome.error);
  if (!options.profFile.empty()) {
    auto written = writeProfile(options.profFile, options.profModes, launch.name, outcome);
    if (!written.ok()) {
      printError(common, written.error().message);
      if (outcome.exitCode == 0) outcome.exitCode = cluster::kExitOwnFailure;
    }
  }
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

/// Shows in the usage line what follows the options.
class RunFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = CLI::Formatter::make_usage(app, std::move(name));
    usage.insert(usage.find_last_not_of('\n') + 1, " PROG [ARGS...]");
    return usage;
  }
};

std::string isDuration(const std::string& text) {
  double seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  bool ok = error == std::errc() && end == text.data() + text.size() && seconds > 0 && seconds <= 1e9;
  return ok ? "" : fmt::format("'{}' is not a number of seconds", text);
}

}  // namespace

void addRun(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "Run a program (.ir or .irm) and pass its streams and exit code through");
  command->formatter(std::make_shared<RunFormatter>());
  command->prefix_command()->fallthrough(false);  // what follows PROG is the program's
  addCommon(*command, common, false);
  command->add_option("--nodes", options->nodes, "VM processes (default: 1; with --cluster one for each agent)")
      ->envname("JVMC_NODES")
      ->check(CLI::Range(1, int(rt::kNodesMax)));
  command->add_flag("--elastic", options->elastic, "Nodes may join later even if the program starts on one (see grow)")
      ->envname("JVMC_ELASTIC");
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
                   "Balancer: off, threshold (moves busy threads), greedy (likewise, at once), affinity (also brings "
                   "threads and objects together), rotate (moves all, for tests)")
      ->envname("JVMC_BALANCE")
      ->check(CLI::IsMember({"off", "threshold", "greedy", "affinity", "rotate"}))
      ->capture_default_str();
  command->add_flag("--balance-dry-run", options->balanceDryRun, "The balancer only says what it would do (see why)")
      ->envname("JVMC_BALANCE_DRY_RUN");
  command
      ->add_option(
          "--placement", options->placement,
          "Where new threads begin: spread (where there is most room, or near what they are given), starter (on "
          "the node of the thread that starts them; the balancer may move them later)")
      ->envname("JVMC_PLACEMENT")
      ->check(CLI::IsMember({"spread", "starter"}))
      ->capture_default_str();
  command
      ->add_option("--rounds", options->rounds, "Whether the nodes find garbage together that several of them knew of")
      ->envname("JVMC_ROUNDS")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  command
      ->add_option(
          "--zeal", options->zeal,
          "Force rare events: capture:K,migrate:K,blocks:K,gc:K,rounds:K,leases:K,io:K; barrier:1 counts barriers")
      ->envname("JVMC_ZEAL")
      ->check(tools::parsesWith(rt::parseZeal));
  command
      ->add_option("--pass-seed", options->passSeed,
                   "Non-zero: compile each function with a random subset of the passes, another one on each node")
      ->envname("JVMC_PASS_SEED");
  command
      ->add_option("--stats", options->statsFile,
                   "Write statistics of all nodes as JSON to FILE (- is standard output)")
      ->envname("JVMC_STATS");
  command
      ->add_option("--prof", options->profFile,
                   "Profile the whole run into FILE; its name says the format, as for 'prof -o'")
      ->envname("JVMC_PROF");
  command->add_option("--prof-mode", options->profModes, "What is profiled, as for 'prof --mode'")
      ->envname("JVMC_PROF_MODE")
      ->check(tools::parsesWith([](const std::string& text) { return profileRequest(text, 1, "1K"); }))
      ->capture_default_str();
  command
      ->add_option(
          "--perf", options->perf,
          "Name compiled functions to perf on each node: map (/tmp/perf-PID.map), jitdump (jit-PID.dump), or both")
      ->envname("JVMC_PERF")
      ->check(tools::parsesWith(rt::parsePerf));
  command->add_flag("--gdb", options->gdb, "Name compiled functions to GDB on each node")->envname("JVMC_GDB");
  command->add_option("--heap", options->heap, "Heap limit of each node, such as 512M or 4G; at least 4M")
      ->envname("JVMC_HEAP")
      ->check(tools::parsesWith(rt::parseSize));
  command->add_option("--timeout", options->timeoutSeconds, "End the program after so many seconds (exit code 124)")
      ->envname("JVMC_TIMEOUT")
      ->check(isDuration);
  command
      ->add_option("--cluster", options->cluster,
                   "Run on the agents of the cluster at HOST:PORT, or listed at etcd://HOST:PORT")
      ->envname("JVMC_CLUSTER");
  command->add_option("--key-file", options->keyFile, "Key of the cluster")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
  command
      ->add_flag("--dashboard{auto}", options->dashboard,
                 "Serve a web page that shows the running program; --dashboard=HOST:PORT says where (default: a free "
                 "port of 127.0.0.1)")
      ->envname("JVMC_DASHBOARD");
  command
      ->add_option("--dashboard-token", options->dashboardToken,
                   "Token that the page wants; auto: a random one, as always beyond loopback")
      ->envname("JVMC_DASHBOARD_TOKEN")
      ->check(isTokenChoice);
  command->footer(
      "Examples:\n"
      "  jvmcluster run hello.ir\n"
      "  jvmcluster run --nodes 3 --dashboard examples/nbody.ir 4000 200\n"
      "  jvmcluster run --nodes 3 --workers 1 examples/mandelbrot.ir 800 600\n"
      "  jvmcluster run --nodes 2 --zeal migrate:1000 --stats stats.json program.irm < input.txt\n"
      "  jvmcluster run --cluster 127.0.0.1:7000 program.irm");
  command->callback([&common, options, command, &action] {
    action = [&common, options, words = command->remaining()] { return run(common, *options, words); };
  });
}

}  // namespace jvmc::tool
