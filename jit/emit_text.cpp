#include <llvm/Support/raw_ostream.h>

#include "jit/compiler.h"
#include "jit/optimizer.h"
#include "jit/unit_maker.h"

namespace jvmc::jit {

Result<std::string> emitText(const rt::ModuleLayout& layout, ir::FunctionId function, const EmitOptions& options) {
  auto machine = makeTargetMachine();
  llvm::LLVMContext context;
  ir::CallGraph calls(layout.module());
  UnitRequest request{function, options.resumePoint, layout.module()[function].name, options.pipeline};
  request.pipeline.checked = options.checked;
  auto unit = makeUnit(context, layout, calls, *machine, request);
  if (!unit.ok()) return std::move(unit).error();
  llvm::Module& module = **unit;
  bool isAsm = options.kind == TextKind::Asm;
  if (options.optimised || isAsm) optimise(module, *machine);
  if (isAsm) return emitAssembly(module, *machine);
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, nullptr);
  return text;
}

}  // namespace jvmc::jit
