// A cursor over the tokens of one source with the small grammar helpers that items and bodies share. A helper that
// returns false or nothing has reported the error; the caller gives up its statement and skips to the next one.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "ir/text/ast.h"
#include "ir/text/lexer.h"

namespace jvmc::ir::text {

class TokenReader {
 public:
  TokenReader(const std::vector<Token>& tokens, DiagnosticSink& sink) : tokens_(tokens), sink_(sink) {}

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool at(TokenKind kind) const { return peek().kind == kind; }
  bool atWord(std::string_view word) const { return at(TokenKind::Ident) && peek().text == word; }
  bool atEnd() const { return at(TokenKind::End); }
  /// The next token is the first of its line: a statement ends before it.
  bool atNewLine() const { return peek().startsLine || atEnd(); }
  Token next();
  Span lastSpan() const { return tokens_[at_ ? at_ - 1 : 0].span; }

  bool accept(TokenKind kind);
  bool acceptWord(std::string_view word);
  bool expect(TokenKind kind, std::string_view where);
  void error(Code code, Span span, std::string message, std::vector<std::string> helps = {});
  /// "expected X, found Y" at the next token, or after the last one if the line ended. Silent if the lexer has reported
  /// that token.
  void expected(std::string_view what);
  /// The same at the beginning of a statement: at the next token in any case.
  void expectedHere(std::string_view what);

  std::optional<ast::Name> name(TokenKind kind, std::string_view what);
  /// A class name: plain word or string.
  std::optional<ast::Name> className(std::string_view what);
  std::optional<ast::Type> type();
  std::optional<uint32_t> count(std::string_view what);
  std::optional<ast::Operand> operand();
  bool operands(TokenKind close, std::vector<ast::Operand>& out);
  std::optional<ast::BlockCall> blockCall();
  bool params(std::vector<ast::Param>& out);
  bool typeList(std::vector<ast::Type>& out);
  /// `!...` if it is there.
  bool location(std::optional<ast::Location>& out);
  /// Nothing else may stand on this line.
  bool endOfLine();
  /// As endOfLine, but the '}' of the class may follow.
  bool endOfMember() { return at(TokenKind::RBrace) || endOfLine(); }
  /// To the first token of the next line.
  void skipLine();

 private:
  const std::vector<Token>& tokens_;
  DiagnosticSink& sink_;
  size_t at_ = 0;
};

}  // namespace jvmc::ir::text
