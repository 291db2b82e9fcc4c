#include "tools/common/manual/manual_commands.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>

#include "ir/support/write_file.h"
#include "tools/common/command_line.h"
#include "tools/common/manual/man_page.h"

namespace jvmc::tools {

namespace {

constexpr int kExitFailed = 1;

struct HelpOptions {
  std::string command;
  bool man = false, json = false;
  std::string folder;
};

/// Of the build, if it says so: the same sources then give the same pages.
std::string today() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  const std::time_t now = epoch && *epoch ? std::time_t(std::strtoll(epoch, nullptr, 10)) : std::time(nullptr);
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(now));
}

int fail(const CLI::App& app, const std::string& text, int code) {
  printError(app.get_name(), useColor("auto", 2), text);
  return code;
}

int writePages(const CLI::App& app, const CommandText& tool, const ManualEdition& edition, const std::string& folder) {
  std::error_code ignored;  // what is wrong shows when a page is written
  std::filesystem::create_directories(folder, ignored);
  auto write = [&](const CommandText& command) {
    return writeFile(folder + '/' + manPageFile(command), manPage(tool, command, edition));
  };
  Status written = write(tool);
  for (const CommandText& command : tool.commands)
    if (written.ok()) written = write(command);
  return written.ok() ? kExitOk : fail(app, written.error().message, kExitFailed);
}

int help(CLI::App& app, const HelpOptions& options) {
  const CommandText tool = describe(app);
  const ManualEdition edition{app.version(), today()};
  if (!options.folder.empty()) return writePages(app, tool, edition, options.folder);
  if (options.json) return std::cout << describeAsJson(tool), kExitOk;
  const CommandText* command = &tool;
  CLI::App* shown = &app;
  if (!options.command.empty()) {
    for (const CommandText& sub : tool.commands)
      if (sub.words.back() == options.command) command = &sub;
    if (command == &tool) return fail(app, fmt::format("there is no command '{}'", options.command), kExitUsage);
    shown = app.get_subcommand(options.command);
  }
  // Not App::help(), which would show the help of this command: it is the one that was parsed.
  std::cout << (options.man ? manPage(tool, *command, edition)
                            : shown->get_formatter()->make_help(shown, command->name(), CLI::AppFormatMode::Normal));
  return kExitOk;
}

}  // namespace

void addManualCommands(CLI::App& app, std::function<int()>& action, LiveWords live) {
  const std::string tool = app.get_name();
  auto helpOptions = std::make_shared<HelpOptions>();
  CLI::App* helpCommand = app.add_subcommand("help", "Show help of a command, also as a man page");
  helpCommand->add_option("COMMAND", helpOptions->command, "The command; may be left out");
  helpCommand->add_flag("--man", helpOptions->man, "As a man page: roff");
  helpCommand->add_flag("--describe", helpOptions->json, "All commands and flags as JSON");
  helpCommand->add_option("--write-man", helpOptions->folder, "Write the man pages of all commands to this folder")
      ->type_name("FILE");
  helpCommand->callback(
      [&app, &action, helpOptions] { action = [&app, helpOptions] { return help(app, *helpOptions); }; });

  auto shell = std::make_shared<std::string>();
  CLI::App* completion =
      app.add_subcommand("completion", "Print a script that lets a shell complete this command line");
  completion->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->footer(
      fmt::format("Examples:\n"
                  "  source <({0} completion bash)\n"
                  "  {0} completion zsh > ~/.zfunc/_{0}\n"
                  "  {0} completion fish > ~/.config/fish/completions/{0}.fish",
                  tool));
  completion->callback([&app, &action, shell, live = std::move(live)] {
    action = [&app, shell, live] {
      auto make = *shell == "bash" ? bashCompletion : *shell == "zsh" ? zshCompletion : fishCompletion;
      std::cout << make(describe(app), live);
      return kExitOk;
    };
  });

  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  const std::string first = commands.front()->get_name();
  helpCommand->footer(
      fmt::format("Examples:\n"
                  "  {0} help {1}\n"
                  "  {0} help {1} --man | man -l -\n"
                  "  {0} help --write-man out/man1",
                  tool, first));
}

}  // namespace jvmc::tools
