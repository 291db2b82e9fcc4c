// jvmcluster: runs programs on clusters of VMs, and looks at running ones.
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "ir/text/diagnostics.h"
#include "tools/jvmcluster/commands.h"

namespace {

using namespace jvmc::tool;

/// The subcommand that the arguments had reached when they went wrong.
const CLI::App* deepestParsed(const CLI::App& app) {
  auto parsed = app.get_subcommands();
  return parsed.empty() ? &app : deepestParsed(*parsed.front());
}

/// " (did you mean 'x'?)" for the first word of the command line that nothing knows.
std::string suggestion(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = deepestParsed(app);
  std::vector<std::string> names;
  for (auto* option : command->get_options())
    for (auto& name : option->get_lnames()) names.push_back("--" + name);
  for (auto* option : app.get_options())
    for (auto& name : option->get_lnames()) names.push_back("--" + name);
  if (command == &app)
    for (auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  std::vector<std::string_view> candidates(names.begin(), names.end());
  for (int i = 1; i < argc; ++i) {
    std::string word = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (std::find(names.begin(), names.end(), word) != names.end() || word == command->get_name()) continue;
    auto nearest = jvmc::ir::text::nearestName(word, candidates);
    if (nearest && *nearest != word) return fmt::format(" (did you mean '{}'?)", *nearest);
  }
  return "";
}

int runMain(int argc, char** argv) {
  CLI::App app("Runs one multi-threaded program on many machines.", "jvmcluster");
  app.set_version_flag("--version", "jvmcluster 0.1.0");
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
  addPs(app, common, action);
  addThreads(app, common, action);
  addNodes(app, common, action);
  addMigrate(app, common, action);
  addStop(app, common, action);
  addVm(app, common, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help), kOk;
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help), kOk;
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version), kOk;
  } catch (const CLI::ParseError& error) {
    printError(common, error.what() + suggestion(app, argc, argv));
    std::fprintf(stderr, "See 'jvmcluster%s%s --help'.\n", deepestParsed(app) == &app ? "" : " ",
                 deepestParsed(app) == &app ? "" : deepestParsed(app)->get_name().c_str());
    return kUsage;
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return runMain(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jvmcluster: internal error: %s\n", error.what());
    return 70;
  }
}
