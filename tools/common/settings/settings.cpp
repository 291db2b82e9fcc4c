#include "tools/common/settings/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace jvmc::tools {

using ir::text::DiagnosticSink;

namespace {

std::string environment(const CLI::Option& option) {
  const char* value = std::getenv(option.get_envname().c_str());
  return value ? value : "";
}

std::vector<CLI::App*> allCommands(CLI::App& app) {
  std::vector<CLI::App*> commands = app.get_subcommands([](const CLI::App*) { return true; });
  commands.insert(commands.begin(), &app);
  return commands;
}

}  // namespace

Settings::Settings(CLI::App& app, const std::string& file, std::string usual, std::set<std::string> without)
    : app_(app), file_(file), usual_(std::move(usual)), without_(std::move(without)) {
  for (CLI::App* command : allCommands(app))
    for (CLI::Option* option : command->get_options())
      if (!option->get_envname().empty() && !option->check_lname("config"))
        settings_.push_back({command, option, option->get_lnames().front(), option->get_required()});
}

void Settings::relax() {
  for (const Setting& setting : settings_) setting.option->required(false);
}

void Settings::restore() {
  for (const Setting& setting : settings_) setting.option->required(setting.required);
}

bool Settings::readsFile() const {
  auto parsed = app_.get_subcommands();
  if (!parsed.empty() && without_.count(parsed.front()->get_name())) return false;
  std::error_code ignored;
  return !file_.empty() || std::filesystem::exists(usual_, ignored);
}

void Settings::apply() {
  DiagnosticSink sink;
  if (readsFile())
    for (const FileSetting& setting : readSettingsFile(path(), *sources_, sink)) apply(setting, sink);
  if (sink.hasErrors()) throw SettingsError(sources_, sink);
  for (const Setting& setting : settings_)
    if (setting.required && setting.option->count() == 0 && setting.command->parsed())
      throw CLI::RequiredError(setting.option->get_name());
}

bool Settings::isOverridden(const Setting& setting) const {
  if (setting.option->count() > 0) return true;
  if (setting.command != &app_) return false;
  for (CLI::App* command : app_.get_subcommands())
    if (const CLI::Option* same = command->get_option_no_throw("--" + setting.key); same && same->count() > 0)
      return true;
  return false;
}

void Settings::apply(const FileSetting& from, DiagnosticSink& sink) {
  bool known = false;
  for (const Setting& setting : settings_) {
    const std::string name = setting.command == &app_ ? "" : setting.command->get_name();
    if (setting.key != from.key || (!from.command.empty() && from.command != name)) continue;
    known = true;
    auto earlier = fromFile_.find(setting.option);
    const bool wasLessSpecific = earlier != fromFile_.end() && earlier->second.command.empty() && !from.command.empty();
    const bool isLessSpecific = earlier != fromFile_.end() && !wasLessSpecific;
    if (isLessSpecific || (earlier == fromFile_.end() && isOverridden(setting))) continue;
    try {
      setting.option->clear();
      setting.option->add_result(from.value);
      setting.option->run_callback();
      fromFile_.insert_or_assign(setting.option, from);
    } catch (const CLI::Error& error) {
      sink.add({.message = error.what(), .span = from.valueSpan});
      return;
    }
  }
  if (!known) unknown(from, sink);
}

void Settings::unknown(const FileSetting& from, DiagnosticSink& sink) const {
  std::vector<std::string_view> candidates;
  bool commandIsKnown = from.command.empty();
  for (const Setting& setting : settings_) {
    const bool isMeant = from.command.empty() || setting.command->get_name() == from.command;
    commandIsKnown |= setting.command != &app_ && setting.command->get_name() == from.command;
    if (isMeant) candidates.push_back(setting.key);
  }
  ir::text::Diagnostic diagnostic;
  if (commandIsKnown) {
    diagnostic.message = from.command.empty() ? fmt::format("no command has a setting '{}'", from.key)
                                              : fmt::format("'{}' has no setting '{}'", from.command, from.key);
    diagnostic.span = from.keySpan;
    if (auto nearest = ir::text::nearestName(from.key, candidates))
      diagnostic.helps.push_back(fmt::format("did you mean '{}'?", *nearest));
  } else {
    std::set<std::string> names;
    for (const Setting& setting : settings_)
      if (setting.command != &app_) names.insert(setting.command->get_name());
    candidates.assign(names.begin(), names.end());
    diagnostic.message = fmt::format("there is no command '{}' with settings", from.command);
    diagnostic.span = from.commandSpan;
    if (auto nearest = ir::text::nearestName(from.command, candidates))
      diagnostic.helps.push_back(fmt::format("did you mean '[{}]'?", *nearest));
  }
  sink.add(std::move(diagnostic));
}

std::string Settings::originOf(const Setting& setting) const {
  if (auto found = fromFile_.find(setting.option); found != fromFile_.end()) {
    const ir::text::LineColumn at = sources_->position(found->second.keySpan);
    return fmt::format("{}:{}", path(), at.line);
  }
  if (setting.option->count() == 0) return "default";
  const std::string variable = environment(*setting.option);
  const bool isEnvironment = !variable.empty() && setting.option->results() == std::vector<std::string>{variable};
  return isEnvironment ? setting.option->get_envname() : "command line";
}

std::vector<Settings::Row> Settings::rows() const {
  std::vector<Row> rows;
  for (const Setting& setting : settings_) {
    const auto& given = setting.option->results();
    rows.push_back({setting.command == &app_ ? "" : setting.command->get_name(), setting.key,
                    given.empty() ? setting.option->get_default_str() : given.front(), originOf(setting)});
  }
  auto same = [](const Row& a, const Row& b) { return a.key == b.key && a.value == b.value && a.origin == b.origin; };
  std::vector<Row> shown;
  for (const Row& row : rows) {
    const auto all = std::count_if(rows.begin(), rows.end(), [&](const Row& r) { return r.key == row.key; });
    const auto alike = std::count_if(rows.begin(), rows.end(), [&](const Row& r) { return same(r, row); });
    if (all > 1 && all == alike) {
      if (std::none_of(shown.begin(), shown.end(), [&](const Row& r) { return r.key == row.key; }))
        shown.push_back({"", row.key, row.value, row.origin});
    } else {
      shown.push_back(row);
    }
  }
  for (Row& row : shown)
    if (row.key.ends_with("token") && !row.value.empty() && row.value != "auto") row.value = "(hidden)";
  return shown;
}

}  // namespace jvmc::tools
