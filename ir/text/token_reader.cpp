#include "ir/text/token_reader.h"

#include <fmt/format.h>

#include "ir/text/literals.h"
#include "ir/text/syntax.h"

namespace jvmc::ir::text {

Token TokenReader::next() {
  Token token = peek();
  if (!atEnd()) ++at_;
  return token;
}

bool TokenReader::accept(TokenKind kind) {
  if (!at(kind)) return false;
  next();
  return true;
}

bool TokenReader::acceptWord(std::string_view word) {
  if (!atWord(word)) return false;
  next();
  return true;
}

bool TokenReader::expect(TokenKind kind, std::string_view where) {
  if (accept(kind)) return true;
  expected(fmt::format("{} {}", tokenKindText(kind), where));
  return false;
}

void TokenReader::error(Code code, Span span, std::string message, std::vector<std::string> helps) {
  sink_.add({.code = code, .message = std::move(message), .span = span, .helps = std::move(helps)});
}

void TokenReader::expected(std::string_view what) {
  if (at_ == 0 || !atNewLine()) return expectedHere(what);
  if (at(TokenKind::Bad)) return;
  // Point behind what was read, not at an innocent next line.
  Span last = lastSpan();
  error(Code::Syntax, {last.source, last.end(), 1},
        fmt::format("expected {}, found {}", what, atEnd() ? "the end of the file" : "the end of the line"));
}

void TokenReader::expectedHere(std::string_view what) {
  const Token& token = peek();
  if (token.kind == TokenKind::Bad) return;
  bool isWord = token.kind == TokenKind::Ident;
  error(Code::Syntax, token.span,
        fmt::format("expected {}, found {}", what,
                    isWord ? fmt::format("'{}'", token.text) : std::string(tokenKindText(token.kind))));
}

std::optional<ast::Name> TokenReader::name(TokenKind kind, std::string_view what) {
  if (!at(kind)) {
    expected(what);
    return std::nullopt;
  }
  Token token = next();
  return ast::Name{std::move(token.text), token.span};
}

std::optional<ast::Name> TokenReader::className(std::string_view what) {
  return name(at(TokenKind::String) ? TokenKind::String : TokenKind::Ident, what);
}

std::optional<ast::Type> TokenReader::type() {
  ast::Type type;
  type.span = peek().span;
  while (atWord("array")) {
    next();
    if (!expect(TokenKind::LParen, "after 'array'")) return std::nullopt;
    if (++type.arrayDepth > kMaxArrayDepth) {
      error(Code::TooDeep, type.span, fmt::format("an array type has at most {} dimensions", kMaxArrayDepth));
      return std::nullopt;
    }
  }
  if (acceptWord("ref")) {
    if (!expect(TokenKind::LParen, "after 'ref'")) return std::nullopt;
    auto cls = className("a class name");
    if (!cls || !expect(TokenKind::RParen, "after the class name")) return std::nullopt;
    type.isClass = true;
    type.base = std::move(cls->text);
    type.baseSpan = cls->span;
  } else {
    auto word = className("a type");
    if (!word) return std::nullopt;
    type.base = std::move(word->text);
    type.baseSpan = word->span;
  }
  for (uint32_t i = 0; i < type.arrayDepth; ++i)
    if (!expect(TokenKind::RParen, "after the element type")) return std::nullopt;
  type.span = type.span.to(lastSpan());
  return type;
}

std::optional<uint32_t> TokenReader::count(std::string_view what) {
  std::optional<uint32_t> value;
  if (at(TokenKind::Number)) value = parseCount(peek().text);
  if (!value) {
    expected(what);
    return std::nullopt;
  }
  next();
  return value;
}

std::optional<ast::Operand> TokenReader::operand() {
  Token token = peek();
  using Kind = ast::Operand::Kind;
  if (accept(TokenKind::Local)) return ast::Operand{Kind::Value, token.text, token.span};
  if (accept(TokenKind::Number)) return ast::Operand{Kind::Literal, token.text, token.span};
  if (atWord("null") || atWord("inf") || atWord("nan")) {
    next();
    ast::Operand literal{Kind::Literal, token.text, token.span};
    if (token.text != "nan" || !accept(TokenKind::LParen)) return literal;
    auto bits = name(TokenKind::Number, "the bits of the NaN");
    if (!bits || !expect(TokenKind::RParen, "after the bits of the NaN")) return std::nullopt;
    literal.text += fmt::format("({})", bits->text);
    literal.span = literal.span.to(lastSpan());
    return literal;
  }
  expected("a value or a literal");
  return std::nullopt;
}

bool TokenReader::operands(TokenKind close, std::vector<ast::Operand>& out) {
  if (accept(close)) return true;
  do {
    auto value = operand();
    if (!value) return false;
    out.push_back(std::move(*value));
  } while (accept(TokenKind::Comma));
  return expect(close, "after the arguments");
}

std::optional<ast::BlockCall> TokenReader::blockCall() {
  auto block = name(TokenKind::Ident, "a block name");
  if (!block) return std::nullopt;
  ast::BlockCall call{std::move(*block), {}};
  if (accept(TokenKind::LParen) && !operands(TokenKind::RParen, call.args)) return std::nullopt;
  call.span = call.block.span.to(lastSpan());
  return call;
}

bool TokenReader::params(std::vector<ast::Param>& out) {
  if (accept(TokenKind::RParen)) return true;
  do {
    auto value = name(TokenKind::Local, "a parameter (%name: type)");
    if (!value || !expect(TokenKind::Colon, "and the type of the parameter")) return false;
    auto valueType = type();
    if (!valueType) return false;
    out.push_back({std::move(*value), std::move(*valueType)});
  } while (accept(TokenKind::Comma));
  return expect(TokenKind::RParen, "after the parameters");
}

bool TokenReader::typeList(std::vector<ast::Type>& out) {
  if (!expect(TokenKind::LParen, "and the parameter types")) return false;
  if (accept(TokenKind::RParen)) return true;
  do {
    auto element = type();
    if (!element) return false;
    out.push_back(std::move(*element));
  } while (accept(TokenKind::Comma));
  return expect(TokenKind::RParen, "after the parameter types");
}

bool TokenReader::location(std::optional<ast::Location>& out) {
  if (!accept(TokenKind::Bang)) return true;
  ast::Location location;
  if (at(TokenKind::String)) {
    location.file = next().text;
    if (!expect(TokenKind::Colon, "between file and line")) return false;
  }
  auto line = count("a line number");
  if (!line) return false;
  location.line = *line;
  if (at(TokenKind::Colon) && peek(1).kind == TokenKind::Number) {
    next();
    auto column = count("a column number");
    if (!column) return false;
    location.column = *column;
  }
  out = std::move(location);
  return true;
}

bool TokenReader::endOfLine() {
  if (atNewLine()) return true;
  expected("the end of the line");
  return false;
}

void TokenReader::skipLine() {
  while (!atNewLine()) next();
}

}  // namespace jvmc::ir::text
