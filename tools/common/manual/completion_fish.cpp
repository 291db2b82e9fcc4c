// A line for each command, flag and argument: fish needs no more.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/common/manual/completion.h"

namespace jvmc::tools {

namespace {

std::string inQuotes(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

/// The words that follow a flag or are an argument; empty: files.
std::string words(const OptionText& option, const LiveWords& live) {
  if (!option.choices.empty()) return fmt::format("{}", fmt::join(option.choices, " "));
  auto found = live.find(option.isArgument() ? option.name : option.longNames.front());
  return found == live.end() ? "" : fmt::format("({} 2>/dev/null)", found->second);
}

std::string flagLine(const std::string& start, const OptionText& option, const LiveWords& live) {
  std::string line = start;
  for (const std::string& name : option.shortNames) line += " -s " + name.substr(1);
  for (const std::string& name : option.longNames) line += " -l " + name.substr(2);
  const std::string list = words(option, live);
  if (!option.value.empty()) {
    const bool isFile = option.takesFile() || option.value == "TEXT";
    line += !list.empty() ? " -x -a " + inQuotes(list) : isFile ? " -r -F" : " -x";
  }
  return line + " -d " + inQuotes(option.description) + '\n';
}

}  // namespace

std::string fishCompletion(const CommandText& tool, const LiveWords& live) {
  const std::string complete = "complete -c " + tool.name();
  std::string text = fmt::format("# fish completion of {0}, made by '{0} completion fish'.\n", tool.name());
  for (const OptionText& option : tool.options)
    if (!option.isArgument()) text += flagLine(complete, option, live);
  for (const CommandText& sub : tool.commands)
    text +=
        fmt::format("{} -n __fish_use_subcommand -f -a {} -d {}\n", complete, sub.words.back(), inQuotes(sub.summary));
  for (const CommandText& sub : tool.commands) {
    const std::string start = fmt::format("{} -n '__fish_seen_subcommand_from {}'", complete, sub.words.back());
    for (const OptionText& option : sub.options) {
      if (!option.isArgument())
        text += flagLine(start, option, live);
      else if (const std::string list = words(option, live); !list.empty())
        text += fmt::format("{} -f -a {}\n", start, inQuotes(list));
    }
  }
  return text;
}

}  // namespace jvmc::tools
