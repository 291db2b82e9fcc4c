#include "ir/binary/format.h"

#include <xxhash.h>

#include <cstring>

#include "binary/module.capnp.h"

namespace jvmc::ir {
namespace {

constexpr std::string_view kMagic = "JVMC-IRM";
constexpr size_t kVersionAt = 8, kLengthAt = 16, kHashLowAt = 24, kHashHighAt = 32, kReservedAt = 40;

// Little-endian whatever the machine is.
void put(std::string& out, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) out[at + i] = char(value >> (8 * i));
}
uint64_t get(std::span<const uint8_t> in, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint64_t(in[at + i]) << (8 * i);
  return value;
}

Error corrupt(std::string what) {
  return {ErrorCode::kCorrupt, "the module file is " + std::move(what)};
}

}  // namespace

std::string ModuleHash::text() const {
  return fmt::format("{:016x}{:016x}", high, low);
}

ModuleHash hashContent(std::span<const uint8_t> content) {
  XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  return {hash.high64, hash.low64};
}

std::string makeHeader(std::span<const uint8_t> content) {
  std::string header(kHeaderBytes, '\0');
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  ModuleHash hash = hashContent(content);
  put(header, kVersionAt, schema::FORMAT_VERSION, 4);
  put(header, kLengthAt, content.size(), 8);
  put(header, kHashLowAt, hash.low, 8);
  put(header, kHashHighAt, hash.high, 8);
  return header;
}

Result<ModuleHash> checkHeader(std::span<const uint8_t> start, uint64_t fileBytes) {
  size_t magicBytes = std::min(start.size(), kMagic.size());
  if (start.empty() || std::memcmp(start.data(), kMagic.data(), magicBytes) != 0)
    return Error{ErrorCode::kInvalidInput, "not a module file (it does not begin with \"JVMC-IRM\")"};
  if (start.size() < kHeaderBytes)
    return corrupt(fmt::format("truncated: {} bytes, its header alone has {}", fileBytes, kHeaderBytes));
  uint64_t version = get(start, kVersionAt, 4);
  if (version > schema::FORMAT_VERSION)
    return Error{ErrorCode::kUnsupportedVersion,
                 fmt::format("the module file has format version {}; this program reads "
                             "up to {}: build the module again, or use a newer program",
                             version, uint32_t(schema::FORMAT_VERSION))};
  if (version == 0) return corrupt("corrupt: format version 0");
  uint64_t length = get(start, kLengthAt, 8), present = fileBytes - kHeaderBytes;
  if (length > present) return corrupt(fmt::format("truncated: {} of {} content bytes", present, length));
  if (length < present) return corrupt(fmt::format("corrupt: {} bytes after its end", present - length));
  if (length % 8 != 0) return corrupt("corrupt: odd length");
  bool isReservedZero = get(start, 12, 4) == 0;
  for (size_t i = kReservedAt; i < kHeaderBytes; ++i) isReservedZero = isReservedZero && start[i] == 0;
  if (!isReservedZero) return corrupt("corrupt: its header has unknown parts");
  return ModuleHash{get(start, kHashHighAt, 8), get(start, kHashLowAt, 8)};
}

}  // namespace jvmc::ir
