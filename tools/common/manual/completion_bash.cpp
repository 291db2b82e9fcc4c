// The script is one function over tables: which flags a command has, which of them take a value, and what values. Words
// are split here and not by bash, which takes HOST:PORT and --flag=value apart.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/common/manual/completion.h"

namespace jvmc::tools {

namespace {

constexpr std::string_view kScript = R"(# bash completion of @TOOL@, made by '@TOOL@ completion bash'.

_@ID@_flags() {  # COMMAND
  case $1 in
@FLAGS@  esac
}

_@ID@_takes_value() {  # COMMAND FLAG
  case "$1 $2" in
@VALUED@    *) return 1 ;;
  esac
}

# COMMAND FLAG, or COMMAND and the number of an argument: the words it may be; none: a file.
_@ID@_values() {
  case "$1 $2" in
@VALUES@  esac
}

_@ID@() {
  local line=${COMP_LINE:0:COMP_POINT} words=() word command='' argument=1 flag='' current i
  read -ra words <<< "$line"
  if [[ $line == *[[:space:]] || ${#words[@]} -eq 0 ]]; then words+=(''); fi
  current=${words[${#words[@]} - 1]}
  for ((i = 1; i < ${#words[@]} - 1; ++i)); do
    word=${words[i]}
    if [[ -n $flag ]]; then
      flag=''
    elif [[ $word == -* && ! ($command == '@PREFIX@' && $argument -gt 1) ]]; then
      if _@ID@_takes_value "$command" "$word"; then flag=$word; fi
    elif [[ -z $command && -n '@HAS_COMMANDS@' ]]; then
      command=$word
    else
      argument=$((argument + 1))
    fi
  done
  COMPREPLY=()
  local choices
  if [[ -z $flag && $current == --*=* ]]; then
    flag=${current%%=*}
    current=${current#*=}
  fi
  if [[ -n $flag ]]; then
    choices=$(_@ID@_values "$command" "$flag")
  elif [[ $current == -* ]]; then
    choices=$(_@ID@_flags "$command")
  elif [[ -z $command && -n '@HAS_COMMANDS@' ]]; then
    choices='@COMMANDS@'
  else
    choices=$(_@ID@_values "$command" "$argument")
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
}

complete -o default -F _@ID@ @TOOL@
)";

std::string replaceAll(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

class Tables {
 public:
  Tables(const CommandText& tool, const LiveWords& live) : live_(live) {
    add("", tool, tool);
    for (const CommandText& sub : tool.commands) {
      commands_.push_back(sub.words.back());
      add(sub.words.back(), sub, tool);
      if (!sub.options.empty() && sub.options.back().name == "ARGS") prefix_ = sub.words.back();
    }
  }

  std::string script(const CommandText& tool) const {
    std::string id = replaceAll(tool.name(), "-", "_"), text(kScript);
    text = replaceAll(text, "@FLAGS@", flags_);
    text = replaceAll(text, "@VALUED@", valued_);
    text = replaceAll(text, "@VALUES@", values_);
    text = replaceAll(text, "@COMMANDS@", fmt::format("{}", fmt::join(commands_, " ")));
    text = replaceAll(text, "@HAS_COMMANDS@", commands_.empty() ? "" : "yes");
    text = replaceAll(text, "@PREFIX@", prefix_);
    text = replaceAll(text, "@ID@", id);
    return replaceAll(text, "@TOOL@", tool.name());
  }

 private:
  /// Flags of the tool are taken by its commands too.
  void add(const std::string& name, const CommandText& command, const CommandText& tool) {
    std::vector<std::string> flags;
    int argument = 1;
    auto addAll = [&](const CommandText& from) {
      for (const OptionText& option : from.options) {
        if (option.isArgument()) {
          addValues(name, option.repeated ? "*" : std::to_string(argument++), option);
          continue;
        }
        for (const auto* names : {&option.longNames, &option.shortNames}) {
          for (const std::string& flag : *names) {
            if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
            flags.push_back(flag);
            if (option.value.empty()) continue;
            valued_ += fmt::format("    '{} {}') ;;\n", name, flag);
            addValues(name, flag, option);
          }
        }
      }
    };
    addAll(command);
    if (&command != &tool) addAll(tool);
    flags_ += fmt::format("    '{}') echo '{}' ;;\n", name, fmt::join(flags, " "));
  }

  void addValues(const std::string& command, const std::string& which, const OptionText& option) {
    auto live = live_.find(option.isArgument() ? option.name : option.longNames.front());
    const std::string pattern =
        which == "*" ? fmt::format("'{} '[0-9]*", command) : fmt::format("'{} {}'", command, which);
    if (!option.choices.empty())
      values_ += fmt::format("    {}) echo '{}' ;;\n", pattern, fmt::join(option.choices, " "));
    else if (live != live_.end())
      values_ += fmt::format("    {}) {} 2>/dev/null ;;\n", pattern, live->second);
  }

  const LiveWords& live_;
  std::vector<std::string> commands_;
  std::string prefix_, flags_, valued_, values_;
};

}  // namespace

std::string bashCompletion(const CommandText& tool, const LiveWords& live) {
  return Tables(tool, live).script(tool);
}

}  // namespace jvmc::tools
