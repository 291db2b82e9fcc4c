#include <fmt/format.h>
#include <unistd.h>

#include "tools/common/command_line.h"
#include "tools/jvmcluster/commands.h"

namespace jvmc::tool {

void addCommon(CLI::App& app, CommonOptions& common, bool withEnvironment) {
  auto variable = [withEnvironment](const char* name) { return std::string(withEnvironment ? name : ""); };
  app.add_option("--config", common.config, "Settings file instead of the user's (see 'jvmcluster config')")
      ->envname(variable("JVMC_CONFIG"))
      ->type_name("FILE");
  app.add_option("--color", common.color, "Colour (auto: on a terminal, unless NO_COLOR is set)")
      ->envname(variable("JVMC_COLOR"))
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("-v,--verbose", common.verbosity, "Progress on standard error; -vv for more");
  app.add_flag("--json-log", common.jsonLog, "Log lines as JSON objects")->envname(variable("JVMC_JSON_LOG"));
}

bool useColor(const CommonOptions& common, int fd) {
  return tools::useColor(common.color, fd);
}

void printError(const CommonOptions& common, const std::string& text) {
  tools::printError("jvmcluster", useColor(common, STDERR_FILENO), text);
}

void warnOfSilentNodes(const CommonOptions& common, uint32_t nodes) {
  if (nodes > 0)
    printError(common, fmt::format("{} node{} did not answer in the end; what happened there last is missing", nodes,
                                   nodes == 1 ? "" : "s"));
}

int exitCodeOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnavailable:
      return kUnreachable;
    case ErrorCode::kNotFound:
      return kNotFound;
    default:
      return kFailed;
  }
}

}  // namespace jvmc::tool
