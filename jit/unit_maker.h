// From a function to an optimised LLVM module: our pipeline, the lowering, LLVM's pipeline.
#pragma once

#include <optional>
#include <string>

#include "ir/analysis/call_graph.h"
#include "ir/passes/pipeline.h"
#include "jit/debug/code_sites.h"
#include "jit/lower/unit.h"

namespace jvmc::jit {

struct UnitRequest {
  ir::FunctionId function;
  std::optional<uint32_t> resumePoint{};
  std::string symbol;
  ir::PipelineOptions pipeline{};
  /// Both or none: the code says which places of the program it stands for, and `sites` gets these.
  const FunctionsByLine* functions = nullptr;
  CodeSites* sites = nullptr;
};

/// The function, or its continuation, as an LLVM module before LLVM's passes; it has passed LLVM's verifier.
/// Fails if the body cannot be read.
Result<std::unique_ptr<llvm::Module>> makeUnit(llvm::LLVMContext& context, const rt::ModuleLayout& layout,
                                               const ir::CallGraph& calls, const llvm::TargetMachine& machine,
                                               const UnitRequest& request);

}  // namespace jvmc::jit
