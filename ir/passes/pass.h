// A pass changes the code of one function, never its frames: it keeps the FrameState of every safepoint.
//
// What a pass finds, and must leave (verifyBody checks most of it):
//   - A safepoint has a FrameState: its chain, innermost frame first, is what capture writes there. Call instructions
//   and
//     volatile accesses name their `after` point, instructions that may run a class initialiser their `before` point, a
//     poll the `before` point of the baseline instruction that comes next.
//   - Any other instruction that may throw has a state *without slots*: it only names the place for the stack trace
//     (function, resumePoint / 2, and the places it is inlined at by `outer`).
//   - A block's handler belongs to the outermost function: no function with handlers is inlined. So an exception that
//     arises in an inlined body passes through every frame of the chain.
//   - Values of a state are uses: they dominate the instruction.
#pragma once

#include <string_view>

#include "ir/analysis/call_graph.h"
#include "ir/module.h"

namespace jvmc::ir {

/// What a pass may look at besides the body.
struct PassContext {
  const Module& module;
  const CallGraph& calls;
  FunctionId function;
  const FunctionBody& baseline;  ///< as stored; frame states refer to it
  bool checked = false;          ///< code for a program with peers
  bool unmovable = false;        ///< code that is never stopped: no polls (see PipelineOptions)
};

struct Pass {
  std::string_view name;
  std::string_view what;  ///< one sentence
  /// Optional: only faster. Required: the code is wrong or cannot be stopped without it.
  enum class Need : uint8_t { Optional, Required, WhenChecked } need;
  void (*run)(const PassContext& context, FunctionBody& body);
};

}  // namespace jvmc::ir
