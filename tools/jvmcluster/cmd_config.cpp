// jvmcluster config: what counts now for each setting, and where it comes from.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/common/settings/settings.h"
#include "tools/jvmcluster/commands.h"
#include "tools/jvmcluster/table.h"

namespace jvmc::tool {

namespace {

int showSettings(const CommonOptions& common, const tools::Settings& settings, bool asJson) {
  std::error_code ignored;
  if (asJson) {
    nlohmann::ordered_json out = {{"schemaVersion", 1},
                                  {"file", settings.path()},
                                  {"exists", std::filesystem::exists(settings.path(), ignored)},
                                  {"settings", nlohmann::ordered_json::array()}};
    for (const auto& row : settings.rows())
      out["settings"].push_back(
          {{"command", row.command}, {"key", row.key}, {"value", row.value}, {"from", row.origin}});
    std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return kOk;
  }
  Table table({"SETTING", "VALUE", "FROM"});
  for (const auto& row : settings.rows())
    table.add({row.command.empty() ? row.key : row.command + '.' + row.key, row.value, row.origin});
  std::fputs(table.text(useColor(common, STDOUT_FILENO)).c_str(), stdout);
  return kOk;
}

}  // namespace

std::string defaultConfigPath() {
  const char* base = std::getenv("XDG_CONFIG_HOME");
  if (base && *base) return std::string(base) + "/jvmcluster/config.toml";
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.config/jvmcluster/config.toml";
}

void addConfig(CLI::App& app, CommonOptions& common, const std::unique_ptr<tools::Settings>& settings, Action& action) {
  CLI::App* command = app.add_subcommand("config", "Show what counts for each setting, and where it comes from");
  auto asJson = std::make_shared<bool>();
  command->add_flag("--json", *asJson, "As JSON");
  command->footer(
      "Settings are the flags that have a variable of the environment. What counts, first of these: the command line,\n"
      "the environment, the file (--config), the default. The file is TOML: a table for each command, and keys above\n"
      "all tables for every command that has such a flag:\n\n"
      "  color = \"never\"\n"
      "  [run]\n"
      "  nodes = 3\n\n"
      "Examples:\n"
      "  jvmcluster config\n"
      "  jvmcluster --config cluster.toml config --json\n"
      "  JVMC_NODES=4 jvmcluster config");
  command->callback([&common, &settings, asJson, &action] {
    action = [&common, &settings, asJson] { return showSettings(common, *settings, *asJson); };
  });
}

}  // namespace jvmc::tool
