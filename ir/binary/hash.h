// Content hash of a function: what portable frames name functions by.
#pragma once

#include "ir/module.h"

namespace jvmc::ir {

/// Hash (XXH3-128) of name, signature and body; every symbol by its name and signature, so that the hash does not depend
/// on table positions, value names or source locations.
FunctionHash hashFunction(const Module& module, FunctionId function);

}  // namespace jvmc::ir
