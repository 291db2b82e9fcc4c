// irc check: parse and verify, say what is wrong, write nothing.
#include "tools/irc/commands.h"

namespace jvmc::irc {
namespace {

int runCheck(const CommonOptions& common, const std::vector<std::string>& files) {
  Session session(common);
  session.load(files);
  return session.finish();
}

}  // namespace

void addCheck(CLI::App& app, const CommonOptions& common, Action& action) {
  auto* command = app.add_subcommand("check", "Check a program and report everything that is wrong with it");
  auto files = std::make_shared<std::vector<std::string>>();
  command
      ->add_option("FILE", *files,
                   "Texts (.ir), joined into one program, or one stored module (.irm); - is standard input")
      ->required();
  command->footer(
      "Examples:\n"
      "  irc check program.ir library.ir\n"
      "  irc check program.irm\n"
      "  irc check --json --error-limit 0 program.ir");
  command->callback([&action, &common, files] { action = [&common, files] { return runCheck(common, *files); }; });
}

}  // namespace jvmc::irc
