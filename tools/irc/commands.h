// The subcommands, one file each. addX declares flags and says what to run: a function that gives the exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "tools/irc/session.h"

namespace jvmc::irc {

/// The subcommand that the command line chose; main runs it after parsing.
using Action = std::function<int()>;

void addBuild(CLI::App& app, const CommonOptions& common, Action& action);
void addCheck(CLI::App& app, const CommonOptions& common, Action& action);
void addFmt(CLI::App& app, const CommonOptions& common, Action& action);
void addRun(CLI::App& app, const CommonOptions& common, Action& action);
void addDis(CLI::App& app, const CommonOptions& common, Action& action);
void addEmit(CLI::App& app, const CommonOptions& common, Action& action);

}  // namespace jvmc::irc
