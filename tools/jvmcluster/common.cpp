#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "tools/jvmcluster/commands.h"

namespace jvmc::tool {

void addCommon(CLI::App& app, CommonOptions& common) {
  app.add_option("--color", common.color, "Colour (auto: on a terminal, unless NO_COLOR is set)")
      ->envname("JVMC_COLOR")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_flag("-v,--verbose", common.verbosity, "Progress on standard error; -vv for more");
  app.add_flag("--json-log", common.jsonLog, "Log lines as JSON objects")->envname("JVMC_JSON_LOG");
}

bool useColor(const CommonOptions& common, int fd) {
  if (common.color != "auto") return common.color == "always";
  auto isSet = [](const char* name) {
    const char* value = std::getenv(name);
    return value && *value;
  };
  if (isSet("NO_COLOR")) return false;
  if (isSet("CLICOLOR_FORCE")) return true;
  const char* term = std::getenv("TERM");
  return isatty(fd) && !(term && std::string_view(term) == "dumb");
}

void printError(const CommonOptions& common, const std::string& text) {
  bool color = useColor(common, STDERR_FILENO);
  std::string line =
      fmt::format("jvmcluster: {}error:{} {}\n", color ? "\033[1;31m" : "", color ? "\033[0m" : "", text);
  (void)!write(STDERR_FILENO, line.data(), line.size());
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
