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

/// Runs LLVM's O2 pipeline with the expansion of coherence markers in it. (O3 adds copies of loops, once for each value
/// of a condition: twice the code and the time for guest programs, not faster on any kernel.) No library function is
/// known to it, so guest loops become no calls of memcpy or memset, which are not element-atomic.
void optimise(llvm::Module& module, llvm::TargetMachine& machine);

/// Instead of optimise(): markers are expanded, nothing else, and `machine` emits simple code from now on. A tenth of
/// the time, for what is worth no more.
void prepareQuickly(llvm::Module& module, llvm::TargetMachine& machine);

/// No function of the unit has a loop, and none is so big that simple code, which keeps every value in the frame, would
/// take up much of a fiber's stack.
bool isSmallAndLoopFree(const llvm::Module& module);

std::unique_ptr<llvm::MemoryBuffer> emitObject(llvm::Module& module, llvm::TargetMachine& machine);
std::string emitAssembly(llvm::Module& module, llvm::TargetMachine& machine);

}  // namespace jvmc::jit
