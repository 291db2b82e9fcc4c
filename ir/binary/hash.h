// Content hash of a function: what portable frames name functions by.
#pragma once

#include "ir/module.h"

namespace jvmc::ir {

/// Hash (XXH3-128) of name, signature and body; every symbol by its name and signature, so that the hash does not
/// depend on table positions, value names or source locations.
///
/// What a portable frame depends on is in it: the order of blocks and instructions (resume points), the order of
/// ValueIds (slots), and whether a named field is volatile (which makes its access a safepoint).
/// A function without a body hashes as its declaration.
FunctionHash hashFunction(const Module& module, FunctionId function);

/// The same for a body that is not (yet) the module's own; used to check one that was just read.
FunctionHash hashBody(const Module& module, FunctionId function, const FunctionBody& body);

}  // namespace jvmc::ir
