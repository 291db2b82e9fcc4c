// What the command lines of all tools have in common: how they start, parse, and tell a user what was wrong.
#pragma once

#include <signal.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace jvmc::tools {

class Settings;

/// Exit codes that all tools share. Each tool adds its own in between.
constexpr int kExitOk = 0, kExitUsage = 2, kExitInternal = 70;
/// Of a program whose reader has gone (`program | head -1`), as the shell shows a process that SIGPIPE ended.
constexpr int kExitOutputClosed = 128 + SIGPIPE;

/// --color: "auto" (a terminal, unless NO_COLOR is set or TERM is dumb; CLICOLOR_FORCE needs no terminal), "always",
/// "never".
bool useColor(std::string_view choice, int fd);

/// "TOOL: error: TEXT" on standard error, "error:" in red if that is wanted.
void printError(std::string_view tool, bool color, std::string_view text);

/// Parses the command line. An exit code: help or version was shown, or what is wrong was said (2), with the flag or
/// subcommand that was probably meant. `settings`: flags that were not given then come from the file.
std::optional<int> parse(CLI::App& app, int argc, char** argv, const std::function<bool()>& color,
                         Settings* settings = nullptr);

/// main() of a tool: runs `body`; an escaping exception is reported and gives 70. Standard streams that are closed stay
/// unusable, but their numbers are taken, so that no file or socket of the tool is mistaken for one of them.
int guardedMain(const char* tool, const std::function<int()>& body);

/// Checks an option's value by `parse` (text to Result<T>), whose error becomes the message.
template <class Parse>
std::function<std::string(const std::string&)> parsesWith(Parse parse) {
  return [parse](const std::string& text) {
    auto parsed = parse(text);
    return parsed.ok() ? std::string() : parsed.error().message;
  };
}

}  // namespace jvmc::tools
