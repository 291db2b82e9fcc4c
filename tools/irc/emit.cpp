// irc emit: what the compiler makes of functions. `irc emit ir` shows the optimised IR after the passes; it can be
// parsed again beside the module. `llvm` and `asm` show what the JIT makes of that.
#include <fmt/format.h>

#include "ir/passes/pipeline.h"
#include "ir/text/printer.h"
#include "jit/compiler.h"
#include "runtime/abi/layout.h"
#include "tools/irc/commands.h"

namespace jvmc::irc {
namespace {

struct EmitOptions {
  std::string what;
  std::vector<std::string> files;
  std::string output;
  std::string function;
  std::vector<std::string> passes;
  bool checked = false;
  bool unmovable = false;
  bool noLines = false;
  bool unoptimised = false;
  uint64_t seed = 0;
  std::optional<uint32_t> resumePoint;
};

std::string passTable() {
  std::string text = "Passes, in order:\n";
  for (const ir::Pass& pass : ir::allPasses()) {
    const char* need = pass.need == ir::Pass::Need::Required      ? " (always)"
                       : pass.need == ir::Pass::Need::WhenChecked ? " (with --checked)"
                                                                  : "";
    text += fmt::format("  {:<24} {}{}\n", pass.name, pass.what, need);
  }
  return text;
}

ir::PipelineOptions pipelineOptions(const EmitOptions& options) {
  ir::PipelineOptions pipeline;
  pipeline.checked = options.checked;
  pipeline.unmovable = options.unmovable;
  pipeline.seed = options.seed;
  bool isAll = options.passes.empty() || options.passes == std::vector<std::string>{"all"};
  if (options.passes == std::vector<std::string>{"none"})
    pipeline.passes = std::vector<std::string>();
  else if (!isAll)
    pipeline.passes = options.passes;
  return pipeline;
}

/// The functions asked for; nothing after a failure, which is then in the session.
std::optional<std::vector<ir::FunctionId>> chooseFunctions(Session& session, const ir::Module& module,
                                                           const EmitOptions& options) {
  std::vector<ir::FunctionId> chosen;
  if (options.function.empty()) {
    for (uint32_t f = 0; f < module.functions.size(); ++f) chosen.push_back(ir::FunctionId(f));
    return chosen;
  }
  std::string_view name = options.function;
  if (name.starts_with('@')) name.remove_prefix(1);
  ir::FunctionId function = module.findFunction(name);
  if (!function.valid()) {
    session.fail(kDiagnostics, options.files[0], fmt::format("there is no function '@{}'", name));
    return std::nullopt;
  }
  return std::vector<ir::FunctionId>{function};
}

/// Makes the text of one function.
using Emitter = std::function<Result<std::string>(ir::FunctionId)>;

Emitter irEmitter(const ir::Module& module, const EmitOptions& options) {
  auto calls = std::make_shared<ir::CallGraph>(module);
  return [&module, &options, calls, pipeline = pipelineOptions(options)](ir::FunctionId f) -> Result<std::string> {
    auto body = options.resumePoint ? ir::runContinuationPipeline(module, *calls, f, *options.resumePoint, pipeline)
                                    : ir::runPipeline(module, *calls, f, pipeline);
    if (!body.ok()) return body.error();
    for (const ir::VerifyError& error : ir::verifyBody(module, f, *body))
      return Error{ErrorCode::kInternal, "the passes made a body that is not valid: " + error.message};
    return ir::text::printFunction(module, f, *body, {.locations = !options.noLines});
  };
}

Emitter jitEmitter(const ir::Module& module, const EmitOptions& options) {
  auto layout = std::make_shared<rt::ModuleLayout>(module, rt::AddressPlan());
  jit::EmitOptions emit;
  emit.kind = options.what == "asm" ? jit::TextKind::Asm : jit::TextKind::Llvm;
  emit.optimised = !options.unoptimised;
  emit.checked = options.checked;
  emit.resumePoint = options.resumePoint;
  emit.pipeline = pipelineOptions(options);
  return [layout, emit](ir::FunctionId f) { return jit::emitText(*layout, f, emit); };
}

std::optional<std::string> emit(Session& session, const ir::Module& module, const EmitOptions& options) {
  auto functions = chooseFunctions(session, module, options);
  if (!functions) return std::nullopt;
  Emitter emitter = options.what == "ir" ? irEmitter(module, options) : jitEmitter(module, options);
  std::string text;
  for (ir::FunctionId f : *functions) {
    Result<std::string> one = emitter(f);
    if (!one.ok()) {
      session.fail(options.files[0], one.error());
      return std::nullopt;
    }
    if (!text.empty()) text += "\n";
    text += *one;
  }
  return text;
}

int runEmit(const CommonOptions& common, const EmitOptions& options) {
  Session session(common);
  std::optional<Program> program = session.load(options.files);
  if (!program) return session.finish();
  if (std::optional<std::string> text = emit(session, *program->module, options))
    writeOutput(session, options.output, *text);
  return session.finish();
}

}  // namespace

void addEmit(CLI::App& app, const CommonOptions& common, Action& action) {
  auto* command = app.add_subcommand("emit", "Show what the compiler makes of a program");
  auto options = std::make_shared<EmitOptions>();
  command->add_option("WHAT", options->what, "ir: after the passes; llvm, asm: what the JIT makes of that")
      ->required()
      ->check(CLI::IsMember({"ir", "llvm", "asm"}));
  command->add_option("FILE", options->files, "A stored module (.irm), or texts (.ir)")->required();
  command->add_option("-o,--output", options->output, "Write here instead of to standard output");
  command->add_option("--function", options->function, "Show this function only");
  command->add_option("--passes", options->passes, "Optional passes to run, by name, or all, or none")
      ->delimiter(',')
      ->allow_extra_args(false);  // a file may follow
  command->add_flag("--checked", options->checked, "As for a program with peers: with coherence checks");
  command->add_flag("--unmovable", options->unmovable, "For measurements: without polls, checks after calls, barriers");
  command->add_option("--seed", options->seed, "Run a random subset of the passes");
  command->add_option("--resume", options->resumePoint, "Show the continuation at this resume point of the function")
      ->needs("--function");
  command->add_flag("--no-lines", options->noLines, "Leave out debug lines");
  command->add_flag("--unoptimised", options->unoptimised, "llvm: as it is before LLVM's own passes");
  command->footer(passTable() +
                  "Examples:\n"
                  "  irc emit ir program.ir --function @main\n"
                  "  irc emit ir program.irm --function @saxpy --passes strip_mining,inlining");
  command->callback([&action, &common, options] { action = [&common, options] { return runEmit(common, *options); }; });
}

}  // namespace jvmc::irc
