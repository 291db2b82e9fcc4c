// irc: compiles, checks, formats and shows programs in the intermediate representation.
#include <unistd.h>

#include "ir/support/version.h"
#include "tools/common/command_line.h"
#include "tools/common/manual/manual_commands.h"
#include "tools/irc/commands.h"

namespace {

using namespace jvmc;
using namespace jvmc::irc;

void addCommon(CLI::App& app, CommonOptions& common) {
  app.add_option("--color", common.color, "Colour of diagnostics (auto: on a terminal, unless NO_COLOR is set)")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("--json", common.json, "Diagnostics as JSON, one object a line, on standard output");
  app.add_option("--error-limit", common.errorLimit, "Show at most this many errors; 0 shows all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

int runMain(int argc, char** argv) {
  CLI::App app("Compiles, checks, formats and shows jvmcluster programs.", "irc");
  app.set_version_flag("--version", "irc " + std::string(kVersion));
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
      "Examples:\n"
      "  irc check program.ir\n"
      "  irc build program.ir -o program.irm\n"
      "  irc run program.irm 100\n\n"
      "Exit codes: 0 success, 1 the program is not valid, 2 wrong usage, 3 a file cannot be read or written,\n"
      "70 internal error. 'irc SUBCOMMAND --help' shows examples.");
  CommonOptions common;
  addCommon(app, common);

  Action action;
  addBuild(app, common, action);
  addCheck(app, common, action);
  addFmt(app, common, action);
  addDis(app, common, action);
  addRun(app, common, action);
  addEmit(app, common, action);
  tools::addManualCommands(app, action);
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    command->footer(command->get_footer() + "\n\nAll commands take --color, --json and --error-limit (irc --help).");

  if (auto code = tools::parse(app, argc, argv, [&] { return tools::useColor(common.color, STDERR_FILENO); }))
    return *code;
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  return jvmc::tools::guardedMain("irc", [&] { return runMain(argc, argv); });
}
