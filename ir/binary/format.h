// The fixed header of an `.irm` file (drawn in module.capnp), shared by writer and reader.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ir/binary/writer.h"
#include "ir/support/result.h"

namespace jvmc::ir {

inline constexpr size_t kHeaderBytes = 64;

ModuleHash hashContent(std::span<const uint8_t> content);

/// The header that goes before `content`.
std::string makeHeader(std::span<const uint8_t> content);

/// Checks everything that the header tells, except the content's hash. `fileBytes` is the size of the whole file, of
/// which `start` needs to hold the header only. Gives the hash that the content must have.
Result<ModuleHash> checkHeader(std::span<const uint8_t> start, uint64_t fileBytes);

}  // namespace jvmc::ir
