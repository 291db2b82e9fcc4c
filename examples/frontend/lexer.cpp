#include "examples/frontend/lexer.h"

#include <cctype>
#include <string_view>

namespace sprout {

std::vector<Token> tokenize(const std::string& source) {
  std::vector<Token> tokens;
  uint32_t line = 1;
  size_t lineStart = 0;
  size_t i = 0;
  auto isWord = [&](size_t k) { return k < source.size() && (std::isalnum(uint8_t(source[k])) || source[k] == '_'); };
  while (i < source.size()) {
    char c = source[i];
    if (c == '\n') {
      ++line;
      lineStart = ++i;
      continue;
    }
    if (std::isspace(uint8_t(c))) {
      ++i;
      continue;
    }
    if (c == '#') {
      while (i < source.size() && source[i] != '\n') ++i;
      continue;
    }
    Token token;
    token.line = line;
    token.column = uint32_t(i - lineStart + 1);
    size_t end = i + 1;
    if (isWord(i)) {
      while (isWord(end)) ++end;
      token.kind = std::isdigit(uint8_t(c)) ? Token::Kind::Number : Token::Kind::Word;
    } else {
      constexpr std::string_view kPairs[] = {"==", "!=", "<=", ">=", "+="};
      for (std::string_view pair : kPairs)
        if (source.compare(i, 2, pair) == 0) end = i + 2;
      if (std::string_view("+-*/%<>=(){},;!").find(c) == std::string_view::npos)
        throw CompileError{std::string("unexpected character '") + c + "'", line, token.column};
      token.kind = Token::Kind::Sign;
    }
    token.text = source.substr(i, end - i);
    tokens.push_back(std::move(token));
    i = end;
  }
  tokens.push_back({Token::Kind::End, "", line, uint32_t(i - lineStart + 1)});
  return tokens;
}

}  // namespace sprout
