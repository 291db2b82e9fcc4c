#include "tools/common/manual/description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace jvmc::tools {

namespace {

constexpr std::string_view kExamples = "Examples:";

/// Splits CLI11's "TEXT:{table,wide}" into the placeholder and the choices.
void readType(const std::string& type, OptionText& option) {
  const size_t open = type.find('{'), close = type.find('}');
  option.value = type.substr(0, type.find(':'));
  if (open == std::string::npos || close == std::string::npos || close < open) return;
  std::istringstream words(type.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(words, word, ',');) option.choices.push_back(word);
}

OptionText describeOption(const CLI::Option& from) {
  OptionText option;
  for (const std::string& name : from.get_lnames()) option.longNames.push_back("--" + name);
  for (const std::string& name : from.get_snames()) option.shortNames.push_back("-" + name);
  if (option.isArgument()) option.name = from.get_name(true);
  if (from.get_items_expected_max() > 0) readType(from.get_type_name(), option);
  option.description = from.get_description();
  option.defaultValue = from.get_default_str();
  option.environment = from.get_envname();
  option.required = from.get_required();
  option.repeated = from.get_items_expected_max() >= CLI::detail::expected_max_vector_size;
  return option;
}

/// A footer is paragraphs, one of which may be "Examples:" followed by command lines that begin with two blanks.
void readFooter(const std::string& footer, CommandText& command) {
  std::istringstream lines(footer);
  bool inExamples = false, joins = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == kExamples) {
      inExamples = true;
    } else if (inExamples && line.starts_with("  ")) {
      command.examples.push_back(line.substr(2));
    } else if (line.empty()) {
      inExamples = joins = false;
    } else {
      const bool asItIs = line.starts_with(' ');
      if (joins && command.notes.back().starts_with(' ') == asItIs)
        command.notes.back() += '\n' + line;
      else
        command.notes.push_back(line);
      inExamples = false;
      joins = true;
    }
  }
}

CommandText describeBelow(const CLI::App& app, std::vector<std::string> words) {
  CommandText command;
  words.push_back(app.get_name());
  command.words = words;
  command.summary = app.get_description();
  readFooter(app.get_footer(), command);
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return !o->get_group().empty(); }))
    command.options.push_back(describeOption(*option));
  std::stable_partition(command.options.begin(), command.options.end(), [](auto& o) { return !o.isArgument(); });
  if (app.get_prefix_command()) {  // CLI11 knows no names for what it leaves to the command
    command.options.push_back({.name = "PROG", .value = "FILE", .description = "The program", .required = true});
    command.options.push_back(
        {.name = "ARGS", .value = "TEXT", .description = "The program's arguments, flags included", .repeated = true});
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App* s) { return !s->get_group().empty(); }))
    command.commands.push_back(describeBelow(*sub, words));
  return command;
}

nlohmann::ordered_json toJson(const CommandText& command) {
  nlohmann::ordered_json json = {{"words", command.words},
                                 {"summary", command.summary},
                                 {"notes", command.notes},
                                 {"examples", command.examples},
                                 {"options", nlohmann::ordered_json::array()},
                                 {"commands", nlohmann::ordered_json::array()}};
  for (const OptionText& o : command.options) {
    std::vector<std::string> names = o.shortNames;
    names.insert(names.end(), o.longNames.begin(), o.longNames.end());
    json["options"].push_back({{"names", names},
                               {"argument", o.name},
                               {"value", o.value},
                               {"choices", o.choices},
                               {"description", o.description},
                               {"default", o.defaultValue},
                               {"environment", o.environment},
                               {"required", o.required},
                               {"repeated", o.repeated}});
  }
  for (const CommandText& sub : command.commands) json["commands"].push_back(toJson(sub));
  return json;
}

}  // namespace

std::string OptionText::names() const {
  if (isArgument()) return name;
  std::vector<std::string> all = shortNames;
  all.insert(all.end(), longNames.begin(), longNames.end());
  return fmt::format("{}", fmt::join(all, ", "));
}

std::string CommandText::name(std::string_view between) const {
  return fmt::format("{}", fmt::join(words, between));
}

std::string CommandText::usage() const {
  std::string usage = "[OPTIONS]";
  if (!commands.empty()) usage += " COMMAND";
  for (const OptionText& option : options) {
    if (!option.isArgument()) continue;
    const std::string word = option.name + (option.repeated ? "..." : "");
    usage += option.required ? " " + word : " [" + word + "]";
  }
  return usage;
}

CommandText describe(const CLI::App& app) {
  return describeBelow(app, {});
}

std::string describeAsJson(const CommandText& command) {
  nlohmann::ordered_json json = {{"schemaVersion", 1}};
  json.update(toJson(command));
  return json.dump(2) + '\n';
}

}  // namespace jvmc::tools
