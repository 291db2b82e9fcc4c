// LLVM's part: the machine compiled for, the passes over a unit, and the step to an object file.
#pragma once

#include <llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>

namespace jvmc::jit {

/// This host with all its features, as code is made for it: floating point is never contracted. The first call
/// initialises LLVM. Thread-safe.
llvm::orc::JITTargetMachineBuilder hostMachine();
/// One per thread: a machine is not thread-safe.
std::unique_ptr<llvm::TargetMachine> makeTargetMachine();

/// Runs LLVM's O3 pipeline with the expansion of coherence markers in it. No library function is known to it, so guest
/// loops become no calls of memcpy or memset, which are not element-atomic.
void optimise(llvm::Module& module, llvm::TargetMachine& machine);

/// What has to be done to a unit that is not optimised: markers are expanded, nothing else.
void expandOnly(llvm::Module& module);

std::unique_ptr<llvm::MemoryBuffer> emitObject(llvm::Module& module, llvm::TargetMachine& machine);
std::string emitAssembly(llvm::Module& module, llvm::TargetMachine& machine);

}  // namespace jvmc::jit
