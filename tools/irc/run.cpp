// irc run: runs a program in this process, as a node alone.
#include <unistd.h>

#include "jit/compiler.h"
#include "runtime/local_node.h"
#include "runtime/natives/native_table.h"
#include "runtime/outside_local.h"
#include "runtime/run_options.h"
#include "tools/common/command_line.h"
#include "tools/irc/commands.h"

namespace jvmc::irc {
namespace {

struct RunFlags {
  std::string file;
  std::vector<std::string> arguments;
  std::string mode = "auto", zeal, heap = "4G", stats;
  uint32_t workers = 1;
  uint64_t passSeed = 0;
  uint32_t compileThreads = 1;
  uint64_t tierUpHeat = rt::VmOptions().tierUpHeat;
  std::string perf;
  bool gdb = false, unmovable = false;
};

/// What `irc run` has no other node and no launcher for is refused.
Result<rt::Zeal> parseLocalZeal(const std::string& list) {
  auto zeal = rt::parseZeal(list);
  if (zeal.ok() &&
      (zeal->migrateEvery || zeal->blocksEvery || zeal->outsideEvery || zeal->roundsEvery || zeal->leasesEvery))
    return Error{ErrorCode::kInvalidInput, "migrate:K, blocks:K, rounds:K, leases:K and io:K need 'jvmcluster run'"};
  return zeal;
}

/// Of flags that were checked when they were parsed.
rt::VmOptions toVmOptions(const RunFlags& flags) {
  rt::VmOptions options;
  options.mode = *rt::parseMode(flags.mode);
  options.zeal = *parseLocalZeal(flags.zeal);
  options.heap.limitBytes = *rt::parseSize(flags.heap);
  options.workers = flags.workers;
  options.arguments = flags.arguments;
  options.tierUpHeat = flags.tierUpHeat;
  options.code.passSeed = flags.passSeed;
  options.code.compileThreads = flags.compileThreads;
  options.code.tools = *rt::parsePerf(flags.perf);
  options.code.tools.gdb = flags.gdb;
  options.code.unmovable = flags.unmovable;
  return options;
}

void reportUncaught(const std::string& text) {
  std::string line = text + "\n";
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

int runProgram(Session& session, const ir::Module& module, rt::VmOptions options, const RunFlags& flags) {
  rt::LocalNode* running = nullptr;
  auto makeOutside = [&](rt::Scheduler& scheduler) {
    rt::OutsideExecutor::Options outside;
    outside.onExit = [&running](int32_t code) { running->requestExit(code); };
    outside.onOutputClosed = [&running] { running->requestExit(tools::kExitOutputClosed); };
    return std::make_unique<rt::LocalOutsideWorld>(
        outside, [&scheduler](const rt::ThreadRef& to, uint64_t ticket, rt::OutsideResult result) {
          scheduler.completeOutside(to, ticket, std::move(result));
        });
  };
  std::unique_ptr<rt::LocalNode> node =
      rt::LocalNode::create(module, std::move(options), jit::makeJit, makeOutside, reportUncaught);
  running = node.get();
  rt::ProgramEnd end = node->run();
  if (!flags.stats.empty() && !writeOutput(session, flags.stats, rt::statsToJson(node->vm()) + "\n"))
    return session.finish();
  return end.exitCode & 0xFF;
}

int runRun(const CommonOptions& common, const RunFlags& flags) {
  if (flags.unmovable && (flags.mode != "jit" || !flags.zeal.empty())) {
    tools::printError("irc", tools::useColor(common.color, STDERR_FILENO),
                      "--unmovable needs --mode jit, and excludes --zeal");
    return kUsage;
  }
  Session session(common);
  std::optional<Program> program = session.load({flags.file});
  if (!program) return session.finish();
  if (!program->module->entry.valid()) {
    session.fail(kDiagnostics, flags.file, "the program has no function '@main'");
    return session.finish();
  }
  if (Status natives = rt::checkNatives(*program->module); !natives.ok()) {
    session.fail(kDiagnostics, flags.file, natives.error().message);
    return session.finish();
  }
  return runProgram(session, *program->module, toVmOptions(flags), flags);
}

}  // namespace

void addRun(CLI::App& app, const CommonOptions& common, Action& action) {
  auto* command = app.add_subcommand("run", "Run a program in this process; its exit code is irc's");
  auto flags = std::make_shared<RunFlags>();
  command->add_option("FILE", flags->file, "A text (.ir) or a stored module (.irm); - is standard input")->required();
  command->add_option("ARGS", flags->arguments,
                      "Arguments of the program's main; put -- before the first if one starts with -");
  command->add_option("--mode", flags->mode, "interp, jit (nothing is interpreted) or auto")
      ->check(CLI::IsMember({"interp", "jit", "auto"}))
      ->capture_default_str();
  command->add_option("--workers", flags->workers, "Guest threads that run at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--heap", flags->heap, "Heap limit, as in 512M or 4G; at least 4M")
      ->check(tools::parsesWith(rt::parseSize))
      ->capture_default_str();
  command
      ->add_option("--zeal", flags->zeal,
                   "Force rare events: capture:K, gc:K (every K-th safepoint, allocation), barrier:1 (count barriers)")
      ->check(tools::parsesWith(parseLocalZeal));
  command->add_option("--stats", flags->stats, "Write statistics as JSON to this file (- is standard output)");
  command->add_option("--pass-seed", flags->passSeed, "Non-zero: a random subset of passes for each function");
  command->add_option("--compile-threads", flags->compileThreads, "Threads that compile in the background")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--heat", flags->tierUpHeat, "Calls and loop rounds before a function is compiled")
      ->capture_default_str();
  command
      ->add_option("--perf", flags->perf,
                   "Name compiled functions to perf: map (/tmp/perf-PID.map), jitdump (jit-PID.dump), or both")
      ->check(tools::parsesWith(rt::parsePerf));
  command->add_flag("--gdb", flags->gdb, "Name compiled functions to GDB");
  command
      ->add_flag("--unmovable", flags->unmovable,
                 "For measurements only: code without polls, checks after calls and barriers; an exception that an "
                 "instruction throws is undefined behaviour")
      ->group("Measuring");
  command->footer(
      "Examples:\n"
      "  irc run program.ir 100\n"
      "  perf record -g irc run --perf map program.ir\n"
      "  irc run --mode interp --zeal capture:7,gc:13 --stats stats.json program.ir");
  command->callback([&action, &common, flags] { action = [&common, flags] { return runRun(common, *flags); }; });
}

}  // namespace jvmc::irc
