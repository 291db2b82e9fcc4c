// Words, numbers and signs of Sprout. `#` starts a comment to the end of the line.
#pragma once

#include <string>
#include <vector>

#include "examples/frontend/compiler.h"

namespace sprout {

struct Token {
  enum class Kind { Word, Number, Sign, End } kind = Kind::End;
  std::string text;
  uint32_t line = 1, column = 1;
};

/// All tokens, the last one End. Throws CompileError.
std::vector<Token> tokenize(const std::string& source);

}  // namespace sprout
