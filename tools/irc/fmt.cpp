// irc fmt: texts in the canonical layout.
#include <iostream>
#include <nlohmann/json.hpp>

#include "ir/text/formatter.h"
#include "tools/irc/commands.h"

namespace jvmc::irc {
namespace {

struct FmtOptions {
  std::vector<std::string> files;
  bool check = false;
  bool inPlace = false;
};

/// True if the file is in the canonical layout already, or now is.
bool formatFile(Session& session, const FmtOptions& options, const std::string& path) {
  std::optional<std::string> text = session.readInput(path);
  if (!text) return true;
  uint32_t source = session.sources().add(path == "-" ? "<stdin>" : path, std::move(*text));
  std::optional<std::string> formatted = ir::text::formatSource(session.sources(), source, session.sink());
  if (!formatted) return true;
  bool same = *formatted == session.sources()[source].text();
  if (options.check) return same;
  if (!options.inPlace || path == "-")
    writeOutput(session, "", *formatted);
  else if (!same)
    writeOutput(session, path, *formatted);
  return true;
}

int runFmt(const CommonOptions& common, const FmtOptions& options) {
  Session session(common);
  bool allFormatted = true;
  for (const std::string& path : options.files) {
    if (formatFile(session, options, path)) continue;
    allFormatted = false;
    if (common.json) {
      std::cout << nlohmann::ordered_json{{"place", path}, {"formatted", false}}.dump() << "\n";
    } else {
      std::cout << path << "\n";
    }
  }
  int code = session.finish();
  return code == kOk && !allFormatted ? kDiagnostics : code;
}

}  // namespace

void addFmt(CLI::App& app, const CommonOptions& common, Action& action) {
  auto* command = app.add_subcommand("fmt", "Bring texts into the canonical layout, comments kept");
  auto options = std::make_shared<FmtOptions>();
  command->add_option("FILE", options->files, "Texts (.ir); - is standard input")->required();
  auto* check =
      command->add_flag("--check", options->check, "Change nothing; list files that are not formatted and exit with 1");
  command->add_flag("-i,--in-place", options->inPlace, "Write the files instead of standard output")->excludes(check);
  command->footer(
      "Examples:\n"
      "  irc fmt program.ir\n"
      "  irc fmt -i *.ir\n"
      "  irc fmt --check examples/*.ir");
  command->callback([&action, &common, options] { action = [&common, options] { return runFmt(common, *options); }; });
}

}  // namespace jvmc::irc
