#include "jit/unit_maker.h"

#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>

#include "jit/lower/function_lowering.h"

namespace jvmc::jit {
namespace {

void checkWellFormed(const llvm::Module& module) {
  std::string problems;
  llvm::raw_string_ostream out(problems);
  if (!llvm::verifyModule(module, &out)) return;
  module.print(out, nullptr);
  JVMC_UNREACHABLE("lowering made bad LLVM IR", problems);
}

}  // namespace

Result<std::unique_ptr<llvm::Module>> makeUnit(llvm::LLVMContext& context, const rt::ModuleLayout& layout,
                                               const ir::CallGraph& calls, const llvm::TargetMachine& machine,
                                               const UnitRequest& request) {
  const ir::Module& program = layout.module();
  auto body = request.resumePoint ? ir::runContinuationPipeline(program, calls, request.function, *request.resumePoint,
                                                                request.pipeline)
                                  : ir::runPipeline(program, calls, request.function, request.pipeline);
  if (!body.ok()) return std::move(body).error().withContext("compiling '@" + program[request.function].name + "'");
  Unit unit(context, layout, machine, request.symbol);
  std::optional<SiteMarker> marker;
  if (request.sites) marker.emplace(unit, *request.functions, *body, request.function, *request.sites);
  FunctionLowering(unit, {*body, calls, request.function, request.symbol, request.resumePoint, request.pipeline.checked,
                          request.pipeline.unmovable, marker ? &*marker : nullptr})
      .run();
  if (marker) marker->close();
  checkWellFormed(unit.module());
  return unit.take();
}

}  // namespace jvmc::jit
