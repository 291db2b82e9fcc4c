// Reads the program that `run` is given: text or stored form, told apart by content.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace jvmc::tool {

struct LoadedProgram {
  std::vector<uint8_t> module;  ///< the bytes of a .irm; empty on failure
  int exitCode = 0;             ///< of a failure: 127 no such file, 126 not a program
  std::string message;          ///< of a failure: for stderr, complete lines
};

LoadedProgram loadProgram(const std::string& path, bool color);

}  // namespace jvmc::tool
