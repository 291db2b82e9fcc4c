// Writes a module in its binary form (module.capnp).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

/// XXH3-128 of a module file's content. Two files with the same hash hold the same program, names and lines included.
struct ModuleHash {
  uint64_t high = 0, low = 0;
  /// 32 hexadecimal digits.
  std::string text() const;
  friend auto operator<=>(const ModuleHash&, const ModuleHash&) = default;
};

/// The whole file as bytes; equal modules give equal bytes. The module must be valid (verifier.h).
/// Fails if a body cannot be loaded (of a module that was opened from a damaged file).
Result<std::vector<uint8_t>> writeModuleBytes(const Module& module);

/// The module as a file, written in one step (ir/support/write_file.h). Fails as that, and as writeModuleBytes().
Status writeModule(const Module& module, const std::string& path);

}  // namespace jvmc::ir
