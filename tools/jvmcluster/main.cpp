// jvmcluster: runs programs on clusters of VMs, and looks at running ones.
#include <unistd.h>

#include "ir/support/version.h"
#include "tools/common/command_line.h"
#include "tools/common/manual/manual_commands.h"
#include "tools/common/settings/settings.h"
#include "tools/jvmcluster/commands.h"

namespace {

using namespace jvmc::tool;

int runMain(int argc, char** argv) {
  CLI::App app("Runs one multi-threaded program on many machines.", "jvmcluster");
  app.set_version_flag("--version", "jvmcluster " + std::string(jvmc::kVersion));
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Examples:\n"
      "  jvmcluster run --nodes 3 examples/mandelbrot.ir\n"
      "  jvmcluster node --listen 127.0.0.1:7000          # a cluster by hand: agents, then\n"
      "  jvmcluster run --cluster 127.0.0.1:7000 program.irm\n"
      "  jvmcluster ps                                    # programs of this user on this machine\n\n"
      "Exit codes of run: the program's own; 124 time limit, 125 failure of the cluster, 126 not a program,\n"
      "127 no such file, 128+N ended by signal N. Of the others: 0, 1 failed, 2 usage, 3 unreachable, 4 not found.");
  CommonOptions common;
  addCommon(app, common);

  Action action;
  addRun(app, common, action);
  addNode(app, common, action);
  addKeygen(app, common, action);
  addPs(app, common, action);
  addThreads(app, common, action);
  addNodes(app, common, action);
  addInspect(app, common, action);
  addDashboard(app, common, action);
  addTop(app, common, action);
  addProf(app, common, action);
  addTrace(app, common, action);
  addMigrate(app, common, action);
  addPin(app, common, action);
  addUnpin(app, common, action);
  addWhy(app, common, action);
  addGrow(app, common, action);
  addDrain(app, common, action);
  addStop(app, common, action);
  addDoctor(app, common, action);
  std::unique_ptr<jvmc::tools::Settings> settings;
  addConfig(app, common, settings, action);
  jvmc::tools::addManualCommands(app, action,
                                 {{"PROGRAM", "jvmcluster ps -o name"},
                                  {"--program", "jvmcluster ps -o name"},
                                  {"THREAD", "jvmcluster threads -o name"},
                                  {"NODE", "jvmcluster nodes -o name"}});

  settings = std::make_unique<jvmc::tools::Settings>(app, common.config, defaultConfigPath(),
                                                     std::set<std::string>{"help", "completion"});
  auto color = [&] { return useColor(common, STDERR_FILENO); };
  if (auto code = jvmc::tools::parse(app, argc, argv, color, settings.get())) return *code;
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  return jvmc::tools::guardedMain("jvmcluster", [&] { return runMain(argc, argv); });
}
