// irc build: texts to one stored module.
#include "ir/binary/writer.h"
#include "tools/irc/commands.h"

namespace jvmc::irc {
namespace {

int runBuild(const CommonOptions& common, const std::vector<std::string>& files, const std::string& output) {
  Session session(common);
  std::optional<Program> program = session.load(files);
  if (!program) return session.finish();
  if (!program->optimised.empty())
    session.fail(kDiagnostics, files[0], "optimised functions cannot be stored: build the program without them");
  else if (Status written = ir::writeModule(*program->module, output); !written.ok())
    session.fail(output, written.error());
  return session.finish();
}

}  // namespace

void addBuild(CLI::App& app, const CommonOptions& common, Action& action) {
  struct Options {
    std::vector<std::string> files;
    std::string output;
  };
  auto* command = app.add_subcommand("build", "Compile texts to a stored module (.irm)");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->files, "Texts (.ir), joined into one program; - is standard input")->required();
  command->add_option("-o,--output", options->output, "The module to write; replaced in one step")->required();
  command->footer(
      "Examples:\n"
      "  irc build program.ir -o program.irm\n"
      "  irc build main.ir shapes.ir -o shapes.irm");
  command->callback([&action, &common, options] {
    action = [&common, options] { return runBuild(common, options->files, options->output); };
  });
}

}  // namespace jvmc::irc
