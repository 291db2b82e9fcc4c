// What a command line takes, as data: read off the CLI11 description that also parses it. Help in other forms (man
// pages, completion of shells, JSON) is made of this, so that a new command or flag is in all of them at once.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace jvmc::tools {

struct OptionText {
  std::vector<std::string> longNames = {},
                           shortNames = {};  ///< with their dashes; none of them: an argument without a name
  std::string name = {};                     ///< of an argument without a name: "PROGRAM"
  std::string value = {};                    ///< "FILE", "UINT"; empty: takes none
  std::vector<std::string> choices = {};     ///< the only values there are; empty: any
  std::string description = {};
  std::string defaultValue = {};  ///< empty: none, or said in the description
  std::string environment = {};   ///< the variable that sets it; empty: none
  bool required = false;
  bool repeated = false;  ///< takes any number of values

  bool isArgument() const { return longNames.empty() && shortNames.empty(); }
  /// "-o, --output"; the name of an argument.
  std::string names() const;
  /// What may be its value is a file: its placeholder says so.
  bool takesFile() const { return value == "FILE" || name == "FILE" || name == "PROG" || name == "ARGS"; }
};

struct CommandText {
  std::vector<std::string> words;  ///< "jvmcluster", "run"
  std::string summary;
  std::vector<std::string> notes;     ///< paragraphs; one whose lines begin with blanks is shown as it is
  std::vector<std::string> examples;  ///< command lines, each with its comment
  std::vector<OptionText> options;    ///< flags first, then arguments in their order
  std::vector<CommandText> commands;

  std::string name(std::string_view between = " ") const;
  std::string usage() const;  ///< what follows the name: "[OPTIONS] THREAD NODE"
};

/// Of an app and its subcommands, but for hidden ones.
CommandText describe(const CLI::App& app);

/// JSON: schemaVersion, and for each command words, summary, notes, examples, options, commands.
std::string describeAsJson(const CommandText& command);

}  // namespace jvmc::tools
