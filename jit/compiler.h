// The optimising compiler: ir bodies -> LLVM 19 -> machine code in function cells.
//
//   requestFunction ──► queue ──► worker: ir::runPipeline ──► lower/ ──► LLVM O2 ──► object ──► JITLink ──► cell
//   requestContinuation ───────► worker: ir::runContinuationPipeline ──► (the same) ──► code cache
//
// LLVM is loaded by the first request, so a program that is never hot does not pay for it. Nothing of LLVM runs on the
// caller's stack: a fiber's is too small. Design: docs/internals/jit.md.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ir/passes/pipeline.h"
#include "ir/support/result.h"
#include "runtime/abi/code_provider.h"
#include "runtime/abi/layout.h"

namespace jvmc::jit {

/// A code provider for the program of `layout`. Gives every cell an `entry` (an adapter of its signature) before it
/// returns from the first request; until then cells are untouched.
///
/// `layout` (and its module), `cells` (one per function of the module, and the cell of missing
/// implementations last) and `classes` (by ClassIndex) must outlive the
/// provider and every thread that may run code of it.
std::unique_ptr<rt::CodeProvider> makeJit(const rt::ModuleLayout& layout, rt::FunctionCell* cells,
                                          const rt::ClassInfo* const* classes, rt::CodeOptions options);

enum class TextKind : uint8_t { Llvm, Asm };

struct EmitOptions {
  TextKind kind = TextKind::Llvm;
  bool optimised = true;                     ///< Llvm: after LLVM's passes, or as the lowering made it
  bool checked = false;                      ///< with coherence checks
  std::optional<uint32_t> resumePoint = {};  ///< the continuation at this point instead of the function
  ir::PipelineOptions pipeline = {};         ///< which passes of ours run first (`checked` is taken from above)
};

/// What the compiler makes of `function`, as text for people and tests. Needs no runtime: cells and classes are named
/// symbolically. Any thread. Fails if the body cannot be read.
Result<std::string> emitText(const rt::ModuleLayout& layout, ir::FunctionId function, const EmitOptions& options = {});

}  // namespace jvmc::jit
