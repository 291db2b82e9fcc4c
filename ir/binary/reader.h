// Opens a module in its binary form (module.capnp). The input may be anything: every damage gives an error, never a
// crash.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/binary/writer.h"
#include "ir/module.h"

namespace jvmc::ir {

/// Maps the file, checks header and hash, decodes and verifies the declarations. Bodies are decoded, checked against
/// their FunctionHash and verified when Module::body first asks for them, by any thread.
///
/// The file must not be changed in place while the module lives (writeModule replaces files, which is fine).
/// Errors, each one line: kIo (cannot be read), kInvalidInput (no module, or one that does not verify),
/// kUnsupportedVersion (from a newer program), kCorrupt (truncated or damaged).
/// Cost: one pass over the file for its hash; memory for the declarations.
Result<std::unique_ptr<Module>> openModule(const std::string& path);

/// The same for a module in memory; keeps its own copy of the bytes.
Result<std::unique_ptr<Module>> openModuleBytes(std::span<const uint8_t> bytes);

/// The hash that the header names, after the header's own checks. The content is not read.
Result<ModuleHash> readModuleHash(const std::string& path);
Result<ModuleHash> readModuleHashBytes(std::span<const uint8_t> bytes);

}  // namespace jvmc::ir
