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

/// Writes the file in one step: readers see the old one or the new one, never a part. (A temporary file beside it is
/// renamed; it is gone after a failure. A device or pipe is written to directly.)
/// Fails with kIo and the system's reason: no such folder, no permission, disk full.
Status writeModule(const Module& module, const std::string& path);

}  // namespace jvmc::ir
