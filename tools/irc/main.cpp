// irc: compiles, checks, formats and shows programs in the intermediate representation.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "tools/irc/commands.h"

namespace {

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
  app.set_version_flag("--version", "irc 0.1.0");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(
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

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return runMain(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "irc: internal error: " << error.what() << "\n";
    return kInternal;
  }
}
