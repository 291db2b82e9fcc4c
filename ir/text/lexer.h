// Tokens of the text form. The lexer never fails: a bad piece becomes a diagnostic and is skipped, so that the parser
// sees the rest. Comments are kept aside for the formatter.
#pragma once

#include <string>
#include <vector>

#include "ir/text/diagnostics.h"
#include "ir/text/source.h"

namespace jvmc::ir::text {

enum class TokenKind : uint8_t {
  End,
  Bad,     ///< reported already: the parser gives up its statement without another word
  Ident,   ///< word: keyword, class, block, mnemonic with its suffix, "Class.member"
  String,  ///< "text": a string literal or a quoted name
  Global,  ///< @name or @"name"
  Local,   ///< %name
  Number,  ///< with its sign
  LParen,
  RParen,
  LBrace,
  RBrace,
  LBracket,
  RBracket,
  Comma,
  Colon,
  Equal,
  Arrow,
  Bang,
  Hash,
};

/// "'('", "a name", ... for messages.
std::string_view tokenKindText(TokenKind kind);

struct Token {
  TokenKind kind = TokenKind::End;
  bool startsLine = false;  ///< nothing but space and comments before it on its line
  Span span;
  /// Ident, Number: as written. Global, Local: without the sigil. Quoted: with escapes decoded.
  std::string text;
};

struct Comment {
  Span span;             ///< from // to the end of the line, exclusive
  uint32_t beforeToken;  ///< index of the token that follows
  bool ownLine;          ///< nothing before it on its line
};

struct TokenList {
  std::vector<Token> tokens;  ///< the last is End
  std::vector<Comment> comments;
};

TokenList tokenize(const SourceSet& sources, uint32_t source, DiagnosticSink& sink);

/// [A-Za-z_$][A-Za-z0-9_$./]*, as classes and functions are written without quotes; no "//" inside.
bool isPlainName(std::string_view name);
/// [A-Za-z0-9_$.]+, as values are written after the %.
bool isValueName(std::string_view name);
/// Plain name without '.' and '/': a block label.
bool isLabelName(std::string_view name);

}  // namespace jvmc::ir::text
