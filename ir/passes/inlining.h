// What inlining offers to the pass that prepares calls for it.
#pragma once

#include "ir/passes/pass.h"

namespace jvmc::ir {

/// The stored body of a function that may be copied into its callers, or null: it is too big, may recurse or has
/// handlers.
const FunctionBody* inlinableBody(const PassContext& context, FunctionId callee, bool inLoop);

}  // namespace jvmc::ir
