// One function a command, each a call of _arguments, which does all the work once it is told what there is.
#include <fmt/format.h>

#include "tools/common/manual/completion.h"

namespace jvmc::tools {

namespace {

/// Inside single quotes, in a specification of _arguments: there : [ ] have a meaning, and so has '.
std::string inQuotes(std::string_view text, std::string_view special) {
  std::string out;
  for (char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string id(const CommandText& command) {
  std::string name = "_" + command.name("_");
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

/// ":MESSAGE:ACTION" of what a flag or argument may be.
std::string value(const OptionText& option, const LiveWords& live) {
  std::string action = "_files";
  if (!option.choices.empty()) {
    action = "(";
    for (const std::string& choice : option.choices) action += (action.size() > 1 ? " " : "") + choice;
    action += ")";
  } else if (auto words = live.find(option.isArgument() ? option.name : option.longNames.front());
             words != live.end()) {
    action = fmt::format("{{compadd -- $({} 2>/dev/null)}}", words->second);
  } else if (!option.takesFile() && option.value != "TEXT") {
    action = " ";  // a number
  }
  return fmt::format(":{}:{}", inQuotes(option.isArgument() ? option.name : option.value, ":[]"), action);
}

std::string flagSpecs(const OptionText& option, const LiveWords& live) {
  std::string specs;
  for (const auto* names : {&option.shortNames, &option.longNames})
    for (const std::string& name : *names) {
      const bool isLong = name.starts_with("--");
      specs += fmt::format(" \\\n    '{}{}[{}]{}'", name,
                           option.value.empty() ? ""
                           : isLong             ? "="
                                                : "+",
                           inQuotes(option.description, ":[]"), option.value.empty() ? "" : value(option, live));
    }
  return specs;
}

std::string argumentSpec(const OptionText& option, int number, const LiveWords& live) {
  if (option.name == "ARGS") return fmt::format(" \\\n    '*:::{}:_files'", option.name);
  if (option.repeated) return fmt::format(" \\\n    '*{}'", value(option, live));
  return fmt::format(" \\\n    '{}{}{}'", number, option.required ? "" : ":", value(option, live));
}

std::string commandFunction(const CommandText& command, const CommandText& tool, const LiveWords& live) {
  std::string specs;
  int argument = 1;
  std::vector<std::string> seen;
  for (const auto* from : {&command, &tool})
    for (const OptionText& option : from->options) {
      if (std::find(seen.begin(), seen.end(), option.names()) != seen.end()) continue;
      seen.push_back(option.names());
      specs += option.isArgument() ? argumentSpec(option, argument++, live) : flagSpecs(option, live);
    }
  return fmt::format("{}() {{\n  _arguments -s{}\n}}\n\n", id(command), specs);
}

}  // namespace

std::string zshCompletion(const CommandText& tool, const LiveWords& live) {
  std::string text = fmt::format("#compdef {}\n# Made by '{} completion zsh'.\n\n", tool.name(), tool.name());
  std::string names, dispatch, flags;
  for (const CommandText& sub : tool.commands) {
    text += commandFunction(sub, tool, live);
    names += fmt::format("    '{}:{}'\n", sub.words.back(), inQuotes(sub.summary, ":"));
    dispatch += fmt::format("      {}) {} ;;\n", sub.words.back(), id(sub));
  }
  for (const OptionText& option : tool.options) flags += flagSpecs(option, live);
  text += fmt::format(
      "{0}() {{\n  local curcontext=$curcontext state line\n  local -a commands\n  commands=(\n{1}  )\n"
      "  _arguments -C -s{2} \\\n    '1: :->command' '*:: :->arguments'\n"
      "  case $state in\n    command) _describe -t commands command commands ;;\n"
      "    arguments)\n      case $line[1] in\n{3}      esac ;;\n  esac\n}}\n\n{0} \"$@\"\n",
      id(tool), names, flags, dispatch);
  return text;
}

}  // namespace jvmc::tools
