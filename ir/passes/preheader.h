// The block in front of a loop.
#pragma once

#include "ir/analysis/cfg.h"
#include "ir/passes/edit.h"

namespace jvmc::ir {

/// The only block that enters the loop, if it does nothing else after that: it ends in `br header(...)`. Else invalid.
BlockId findPreheader(const FunctionBody& body, const Cfg& cfg, const Loop& loop);

/// Puts a block in front of every loop that has none. The Cfg is no longer right then; true if anything changed.
bool makePreheaders(FunctionBody& body);

}  // namespace jvmc::ir
