#include "jit/optimizer.h"

#include <llvm/Analysis/CFG.h>
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>

#include "ir/support/check.h"
#include "jit/coherence.h"

namespace jvmc::jit {
namespace {

/// LLVM's four analysis managers, wired to each other.
struct Analyses {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;

  void registerAll(llvm::PassBuilder& builder) {
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(callGraph);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, callGraph, modules);
  }
};

std::string emit(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  bool unsupported = machine.addPassesToEmitFile(passes, out, nullptr, type);
  JVMC_CHECK(!unsupported);
  passes.run(module);
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

llvm::orc::JITTargetMachineBuilder hostMachine() {
  static const llvm::orc::JITTargetMachineBuilder kHost = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();  // for inline assembly
    auto builder = llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
    builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
    builder.setRelocationModel(llvm::Reloc::PIC_);
    builder.setCodeModel(llvm::CodeModel::Small);
    builder.getOptions().AllowFPOpFusion = llvm::FPOpFusion::Strict;
    builder.getOptions().EnableGlobalISel = false;
    return builder;
  }();
  return kHost;
}

std::unique_ptr<llvm::TargetMachine> makeTargetMachine() {
  return llvm::cantFail(hostMachine().createTargetMachine());
}

void optimise(llvm::Module& module, llvm::TargetMachine& machine) {
  Analyses analyses;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopInterleaving = tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling = true;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerPeepholeEPCallback(
      [](llvm::FunctionPassManager& passes, llvm::OptimizationLevel) { passes.addPass(SimplifyChecks()); });
  builder.registerVectorizerStartEPCallback(
      [](llvm::FunctionPassManager& passes, llvm::OptimizationLevel) { passes.addPass(ExpandChecks()); });
  llvm::TargetLibraryInfoImpl noLibrary(machine.getTargetTriple());
  noLibrary.disableAllFunctions();
  analyses.functions.registerPass([&] { return llvm::TargetLibraryAnalysis(noLibrary); });
  analyses.registerAll(builder);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, analyses.modules);
}

void prepareQuickly(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::FunctionAnalysisManager none;
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) ExpandChecks().run(function, none);
  machine.setOptLevel(llvm::CodeGenOptLevel::None);
  machine.setO0WantsFastISel(true);
}

bool isSmallAndLoopFree(const llvm::Module& module) {
  constexpr unsigned kInstructionsMax = 4000;  // 32 KiB of frame at worst, of 1 MiB
  if (module.getInstructionCount() > kInstructionsMax) return false;
  for (const llvm::Function& function : module) {
    llvm::SmallVector<std::pair<const llvm::BasicBlock*, const llvm::BasicBlock*>> backEdges;
    if (!function.isDeclaration()) llvm::FindFunctionBackedges(function, backEdges);
    if (!backEdges.empty()) return false;
  }
  return true;
}

std::unique_ptr<llvm::MemoryBuffer> emitObject(llvm::Module& module, llvm::TargetMachine& machine) {
  std::string bytes = emit(module, machine, llvm::CodeGenFileType::ObjectFile);
  return llvm::MemoryBuffer::getMemBufferCopy(bytes, module.getName());
}

std::string emitAssembly(llvm::Module& module, llvm::TargetMachine& machine) {
  return emit(module, machine, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace jvmc::jit
