// From the Cap'n Proto message to our structures. Trusts nothing: an index that is out of range is an Error, a
// malformed pointer a kj::Exception (see error_bridge.h).
#pragma once

#include <span>
#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

/// From ids in the file to ids in memory. They differ only if the file was written with other built-in classes.
struct DecodeMaps {
  std::vector<TypeId> types;
  std::vector<ClassId> classes;
  std::vector<Opcode> opcodes;  ///< kCount where this program has no such instruction
  std::vector<std::string> opcodeNames;
  std::vector<FunctionHash> hashes;
};

/// Everything but bodies. `content` is what follows the file's header, aligned to 8.
Status decodeDeclarations(Module& module, DecodeMaps& maps, std::span<const uint8_t> content);

/// One body. All its ids are in range; it is not verified. Thread-safe.
Result<FunctionBody> decodeBody(const Module& module, const DecodeMaps& maps, std::span<const uint8_t> content,
                                FunctionId function);

}  // namespace jvmc::ir
