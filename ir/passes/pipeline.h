// From a stored function to the form that is compiled: the list of passes, in the order they run.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/passes/pass.h"

namespace jvmc::ir {

struct PipelineOptions {
  bool checked = false;  ///< the program has peers: coherence markers go in
  /// For measurements only: code that cannot be stopped, to be compared with code that can. No polls, hence no strips.
  bool unmovable = false;
  /// Optional passes to run, by name; none given means all. Required ones always run. Unknown names are an error.
  std::optional<std::vector<std::string>> passes{};
  uint64_t seed = 0;  ///< non-zero: of those, a random subset that depends on the seed and the function's name only
};

/// Every pass, in order.
std::span<const Pass> allPasses();

/// The optimised body of `function`. Any thread; the result is the caller's.
/// Fails if the stored body cannot be read or a pass name is unknown.
Result<FunctionBody> runPipeline(const Module& module, const CallGraph& calls, FunctionId function,
                                 const PipelineOptions& options = {});

/// A *continuation*: the optimised body of what `function` does from `resumePoint` on. Its entry parameters are the
/// slots of that point in slot order and, at an `after` point of an instruction with a result, that result.
/// Code around the point is copied so that every loop keeps its natural header: the rest of an iteration runs in
/// copies, the next one in the loop proper. A poll that the frame may come from is not repeated, so that each resume
/// makes progress. Its frame states name the function itself, so a continuation can be captured again.
///
/// If it is entered with an exception instead, that goes where an exception of the entry block goes: the entry block
/// has the handler of the block that `resumePoint` is in, or none.
Result<FunctionBody> runContinuationPipeline(const Module& module, const CallGraph& calls, FunctionId function,
                                             uint32_t resumePoint, const PipelineOptions& options = {});

}  // namespace jvmc::ir
