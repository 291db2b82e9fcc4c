// Settings: flags whose values may also come from the environment or from a file. Each flag that has a variable
// (CLI11's envname) is one, under its long name. What counts, first of these: the command line, the environment, the
// file, the default.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/common/settings/settings_file.h"

namespace jvmc::tools {

/// The file does not make sense, or is not there though it was named.
class SettingsError : public std::runtime_error {
 public:
  SettingsError(std::shared_ptr<const ir::text::SourceSet> sources, ir::text::DiagnosticSink sink)
      : std::runtime_error("settings"), sources_(std::move(sources)), sink_(std::move(sink)) {}
  /// Messages with place and caret, as of a program.
  std::string text(bool color) const { return ir::text::renderDiagnostics(*sources_, sink_, color); }

 private:
  std::shared_ptr<const ir::text::SourceSet> sources_;
  ir::text::DiagnosticSink sink_;
};

/// Of one command line. Used by tools::parse.
class Settings {
 public:
  /// `file` is bound to --config: read once the command line is parsed. While it is empty, `usual` is read, if it
  /// exists. Commands of `without` do not read it, so that they work with one that is wrong.
  Settings(CLI::App& app, const std::string& file, std::string usual, std::set<std::string> without);

  /// What is required may stand in the file: nothing is until apply().
  void relax();
  void restore();
  /// After parsing: gives settings of the file to the flags that neither the command line nor the environment has set.
  /// Throws SettingsError, or CLI::RequiredError for what is nowhere.
  void apply();

  struct Row {
    std::string command;  ///< empty: of all commands that have it
    std::string key, value, origin;
  };
  /// Each setting of each command with what counts now; of those that all commands agree in, one row. For people to
  /// look at: tokens are hidden.
  std::vector<Row> rows() const;
  /// The file that is read or would be.
  const std::string& path() const { return file_.empty() ? usual_ : file_; }

 private:
  struct Setting {
    CLI::App* command;
    CLI::Option* option;
    std::string key;
    bool required;
  };

  bool readsFile() const;
  void apply(const FileSetting& from, ir::text::DiagnosticSink& sink);
  void unknown(const FileSetting& from, ir::text::DiagnosticSink& sink) const;
  std::string originOf(const Setting& setting) const;
  /// The command of `run --color` is run, but the setting belongs to the tool.
  bool isOverridden(const Setting& setting) const;

  CLI::App& app_;
  const std::string& file_;
  std::string usual_;
  std::set<std::string> without_;
  std::vector<Setting> settings_;
  std::shared_ptr<ir::text::SourceSet> sources_ = std::make_shared<ir::text::SourceSet>();
  std::map<const CLI::Option*, FileSetting> fromFile_;
};

}  // namespace jvmc::tools
