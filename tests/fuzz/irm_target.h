// What a node does with a module file that somebody sent: open it, load every function, pass it on. Used by the fuzzer
// and by the test that replays seeded mutations.
#pragma once

#include <span>
#include <vector>

#include "ir/binary/format.h"
#include "ir/binary/reader.h"

namespace jvmc::ir::test {

/// Opens `bytes`; if that works, loads every body and writes the module again. True if all of it worked.
inline bool useModuleFile(std::span<const uint8_t> bytes) {
  auto module = openModuleBytes(bytes);
  if (!module.ok()) return false;
  bool allGood = true;
  for (uint32_t f = 0; f < (*module)->functions.size(); ++f) allGood = (*module)->body(FunctionId(f)).ok() && allGood;
  return writeModuleBytes(**module).ok() && allGood;
}

/// `content` behind a header that fits it, so that the hash does not stop the reader.
inline std::vector<uint8_t> withHeader(std::span<const uint8_t> content) {
  std::vector<uint8_t> padded(content.begin(), content.end());
  padded.resize((padded.size() + 7) / 8 * 8);
  std::string header = makeHeader(padded);
  padded.insert(padded.begin(), header.begin(), header.end());
  return padded;
}

}  // namespace jvmc::ir::test
