// Making and tidying SSA form.
//
// Passes that copy code (continuations, loop versioning, strip-mining, inlining of loops) use one trick: they copy
// blocks *with the same ValueIds*, so that a ValueId with several definitions is a variable, and let rebuildSsa() sort
// it out.
#pragma once

#include "ir/module.h"

namespace jvmc::ir {

/// Gives each definition of a ValueId that has several a fresh id, and each block where such a variable is live a
/// parameter for it; then removes the parameters that were not needed. Uses in states follow. Unreachable blocks go.
void rebuildSsa(FunctionBody& body);

/// Removes blocks that cannot be reached; renumbers the others, keeping their order. Values learn where they stand now.
void removeUnreachableBlocks(FunctionBody& body);

/// Replaces each block parameter that gets the same value on every edge (or itself) by that value.
void removeTrivialParams(FunctionBody& body);

/// Removes pure instructions, markers without effect, and block parameters that nothing reads. States are readers.
void removeDead(FunctionBody& body);

/// Drops values and states that nothing names any more, and renumbers the rest, keeping their order.
void compact(FunctionBody& body);

}  // namespace jvmc::ir
