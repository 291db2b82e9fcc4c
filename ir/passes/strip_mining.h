// What other passes must know about strips.
#pragma once

#include <optional>

#include "ir/module.h"

namespace jvmc::ir {

/// `definition` defines the end of a strip: the value that ends any strip at its next test. The loop then tests its own
/// limit, polls, and begins a whole strip.
std::optional<uint64_t> neutralLimit(const Instr& definition);

}  // namespace jvmc::ir
