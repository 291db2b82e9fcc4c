// The subcommands of jvmcluster, and what they share.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "ir/support/result.h"

namespace jvmc::tools {
class Settings;
}

namespace jvmc::tool {

/// Exit codes of all verbs but `run`, whose codes are the guest's and those of cluster/launch/program_run.h.
enum ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2, kUnreachable = 3, kNotFound = 4 };

struct CommonOptions {
  std::string color = "auto";
  int verbosity = 0;  ///< -v, -vv
  bool jsonLog = false;
  std::string config;  ///< --config

  const char* logLevel() const { return verbosity >= 2 ? "debug" : verbosity == 1 ? "info" : "warn"; }
};

/// Flags that every command takes. A command that keeps what it does not know for others (run) adds them itself, but
/// the environment speaks to the tool only: what the command is given then counts more.
void addCommon(CLI::App& app, CommonOptions& common, bool withEnvironment = true);

std::string defaultConfigPath();  ///< of the user

/// What the command line asked for; set by the subcommand that was named.
using Action = std::function<int()>;

void addRun(CLI::App& app, CommonOptions& common, Action& action);
void addKeygen(CLI::App& app, CommonOptions& common, Action& action);
void addNode(CLI::App& app, CommonOptions& common, Action& action);
void addPs(CLI::App& app, CommonOptions& common, Action& action);
void addThreads(CLI::App& app, CommonOptions& common, Action& action);
void addNodes(CLI::App& app, CommonOptions& common, Action& action);
void addDashboard(CLI::App& app, CommonOptions& common, Action& action);
void addInspect(CLI::App& app, CommonOptions& common, Action& action);
void addTop(CLI::App& app, CommonOptions& common, Action& action);
void addProf(CLI::App& app, CommonOptions& common, Action& action);
void addTrace(CLI::App& app, CommonOptions& common, Action& action);
void addMigrate(CLI::App& app, CommonOptions& common, Action& action);
void addPin(CLI::App& app, CommonOptions& common, Action& action);
void addUnpin(CLI::App& app, CommonOptions& common, Action& action);
void addWhy(CLI::App& app, CommonOptions& common, Action& action);
void addGrow(CLI::App& app, CommonOptions& common, Action& action);
void addDrain(CLI::App& app, CommonOptions& common, Action& action);
void addStop(CLI::App& app, CommonOptions& common, Action& action);
void addDoctor(CLI::App& app, CommonOptions& common, Action& action);
/// `settings` is made once all commands are added.
void addConfig(CLI::App& app, CommonOptions& common, const std::unique_ptr<tools::Settings>& settings, Action& action);

/// "jvmcluster: error: TEXT" on stderr, in colour if that is wanted.
void printError(const CommonOptions& common, const std::string& text);
/// On standard error: what they did is missing from what is shown. Nothing if there is none.
void warnOfSilentNodes(const CommonOptions& common, uint32_t nodes);
bool useColor(const CommonOptions& common, int fd);
int exitCodeOf(const Error& error);
/// Checks a token for a web page: a message if it is none.
std::string isTokenChoice(const std::string& text);

}  // namespace jvmc::tool
