// irc dis: a stored module (or text) back to canonical text.
#include <fmt/format.h>

#include "ir/text/printer.h"
#include "tools/irc/commands.h"

namespace jvmc::irc {
namespace {

struct DisOptions {
  std::vector<std::string> files;
  std::string output;
  std::string function;
  bool noLines = false;
};

std::optional<std::string> disassemble(Session& session, const Program& program, const DisOptions& options) {
  ir::text::PrintOptions print{.locations = !options.noLines};
  if (options.function.empty()) {
    Result<std::string> text = ir::text::printModule(*program.module, print);
    if (text.ok()) return *text;
    session.fail(options.files[0], text.error());
    return std::nullopt;
  }
  std::string_view name = options.function;
  if (name.starts_with('@')) name.remove_prefix(1);
  ir::FunctionId function = program.module->findFunction(name);
  if (!function.valid()) {
    session.fail(kDiagnostics, options.files[0], fmt::format("there is no function '@{}'", name));
    return std::nullopt;
  }
  Result<const ir::FunctionBody*> body = program.module->body(function);
  if (body.ok()) return ir::text::printFunction(*program.module, function, **body, print);
  session.fail(options.files[0], body.error());
  return std::nullopt;
}

int runDis(const CommonOptions& common, const DisOptions& options) {
  Session session(common);
  std::optional<Program> program = session.load(options.files);
  if (!program) return session.finish();
  if (std::optional<std::string> text = disassemble(session, *program, options))
    writeOutput(session, options.output, *text);
  return session.finish();
}

}  // namespace

void addDis(CLI::App& app, const CommonOptions& common, Action& action) {
  auto* command = app.add_subcommand("dis", "Show a stored module as text");
  auto options = std::make_shared<DisOptions>();
  command->add_option("FILE", options->files, "A stored module (.irm), or texts (.ir)")->required();
  command->add_option("-o,--output", options->output, "Write here instead of to standard output");
  command->add_option("--function", options->function, "Show this function only");
  command->add_flag("--no-lines", options->noLines, "Leave out debug lines (the text is then not lossless)");
  command->footer(
      "Examples:\n"
      "  irc dis program.irm\n"
      "  irc dis program.irm --function @main --no-lines");
  command->callback([&action, &common, options] { action = [&common, options] { return runDis(common, *options); }; });
}

}  // namespace jvmc::irc
