// Coherence checks: is the copy of this object good enough for this thread?
//
// In LLVM IR a check is at first one call of a *marker*,
//
//     %copy = call ptr @jvmc.check.read(ptr %object, i64 %token, ptr %ctx)     memory(none) nounwind willreturn
//
// so LLVM merges equal ones and hoists them out of loops like any pure value; accesses use %copy, so none moves above
// its check. At the start of vectorisation, when that work is done, the markers become real:
//
//     read     header.epoch >= token                                            else cold call
//     write    header is HOME, or epoch >= token and its writer is this thread  else cold call
//
// Elements of an array have two markers more. The header of a copy that is kept in chunks speaks for class and length
// only, which is seldom so, and the same for a whole loop:
//
//     %copy  = call ptr @jvmc.check.read(ptr %array, ...)
//     %whole = call i1 @jvmc.check.whole(ptr %copy, ...)                          header.epoch is not CHUNKED
//     %part  = call ptr @jvmc.check.elements.read(ptr %copy, i32 %low, i32 %high, i32 %log2, i1 %whole, ...)
//                                                                                 not whole: the state of the chunk if
//                                                                                 it is one element; else cold call
//
// So for an element whose index is not known ahead there stays, in a loop, a branch that is hardly ever taken.
//
// The cold call goes to a stub that preserves all registers (calling convention preserve_all; g++ ignores such
// conventions, so the stubs are LLVM IR).
#pragma once

#include <llvm/IR/PassManager.h>

#include "jit/lower/unit.h"

namespace jvmc::jit {

enum class CheckKind : uint8_t { Read, Write };

/// The marker for `kind`, declared in the unit's module: (object, token, ctx) -> the object.
llvm::FunctionCallee checkMarker(llvm::Module& module, CheckKind kind);
/// (array, token, ctx) -> i1: its header, which was checked, speaks for all elements.
llvm::FunctionCallee wholeMarker(llvm::Module& module);
/// (array, low, high, log2, whole, token, ctx) -> the array, of which elements [low, high) are good enough; of those
/// beyond the array nothing is said. `log2`, a constant: of an element's size, if there is but one; else kRange.
inline constexpr uint32_t kRange = 8;
llvm::FunctionCallee elementsMarker(llvm::Module& module, CheckKind kind);

/// Leaves out checks that an earlier one makes needless, where LLVM does not see it: it takes the result of a check for
/// another object, and those for reading and for writing for different things.
class SimplifyChecks : public llvm::PassInfoMixin<SimplifyChecks> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
};

/// Expands every marker of a function. Afterwards LLVM's inferred `memory` and `nosync` attributes are dropped, since
/// they were true of the markers only.
class ExpandChecks : public llvm::PassInfoMixin<ExpandChecks> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses);
  static bool isRequired() { return true; }
};

/// Names of the stubs for `kind`.
std::string_view checkStub(CheckKind kind);
std::string_view elementsStub(CheckKind kind);
/// Defines the stubs in `unit`.
void defineCheckStubs(Unit& unit, const llvm::TargetMachine& machine);

}  // namespace jvmc::jit
