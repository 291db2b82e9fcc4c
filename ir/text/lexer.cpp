#include "ir/text/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "ir/text/literals.h"

namespace jvmc::ir::text {
namespace {

bool isDigit(char c) {
  return c >= '0' && c <= '9';
}
bool isNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}
bool isValueChar(char c) {
  return isNameStart(c) || isDigit(c) || c == '.';
}
bool isNameChar(char c) {
  return isValueChar(c) || c == '/';
}

class Lexer {
 public:
  Lexer(const SourceSet& sources, uint32_t source, DiagnosticSink& sink)
      : text_(sources[source].text()), source_(source), sink_(sink) {}

  TokenList run() {
    for (skipSpace(); at_ < text_.size(); skipSpace()) token();
    push(TokenKind::End, at_, "");
    return std::move(out_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  Span spanFrom(size_t start) const { return {source_, uint32_t(start), uint32_t(at_ - start)}; }

  void skipSpace() {
    for (; at_ < text_.size(); ++at_) {
      char c = peek();
      if (c == '\n') {
        startsLine_ = true;
        badOnLine_ = false;
      } else if (c == '/' && peek(1) == '/') {
        comment();
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return;
      }
    }
  }

  /// Leaves at_ on the last character of the comment.
  void comment() {
    size_t start = at_;
    at_ = std::min(text_.find('\n', at_), text_.size());
    if (at_ > start && text_[at_ - 1] == '\r') --at_;
    out_.comments.push_back({spanFrom(start), uint32_t(out_.tokens.size()), startsLine_});
    --at_;
  }

  void push(TokenKind kind, size_t start, std::string text) {
    out_.tokens.push_back({kind, startsLine_, spanFrom(start), std::move(text)});
    startsLine_ = false;
  }

  void error(Code code, Span span, std::string message) {
    sink_.add({.code = code, .message = std::move(message), .span = span});
  }

  void token() {
    size_t start = at_;
    char c = peek();
    if (isNameStart(c)) return push(TokenKind::Ident, start, name());
    if (c == '@' || c == '%') return sigil(c);
    if (c == '"') {
      std::optional<std::string> value = quoted();
      push(value ? TokenKind::String : TokenKind::Bad, start, value.value_or(""));
      return;
    }
    if (isDigit(c) || (c == '-' && (isDigit(peek(1)) || peek(1) == 'i'))) return number();
    punctuation(c);
  }

  std::string name() {
    size_t start = at_;
    while (isNameChar(peek()) && !(peek() == '/' && peek(1) == '/')) ++at_;
    return std::string(text_.substr(start, at_ - start));
  }

  void sigil(char sigil) {
    size_t start = at_++;
    if (sigil == '@' && peek() == '"') {
      std::optional<std::string> value = quoted();
      push(value ? TokenKind::Global : TokenKind::Bad, start, value.value_or(""));
      return;
    }
    size_t nameStart = at_;
    if (sigil == '@') {
      if (isNameStart(peek())) name();
    } else {
      while (isValueChar(peek())) ++at_;
    }
    if (at_ == nameStart) {
      error(Code::Syntax, spanFrom(start), fmt::format("a name must follow '{}'", sigil));
      return push(TokenKind::Bad, start, "");
    }
    push(sigil == '@' ? TokenKind::Global : TokenKind::Local, start,
         std::string(text_.substr(nameStart, at_ - nameStart)));
  }

  /// The decoded string at at_; skips it and reports if it is bad.
  std::optional<std::string> quoted() {
    size_t start = at_++;
    while (at_ < text_.size() && peek() != '"' && peek() != '\n') at_ += peek() == '\\' && peek(1) != '\n' ? 2 : 1;
    at_ = std::min(at_, text_.size());
    if (peek() != '"') {
      error(Code::BadString, {source_, uint32_t(start), 1}, "this string does not end on its line");
      return std::nullopt;
    }
    ++at_;
    std::string_view raw = text_.substr(start + 1, at_ - start - 2);
    std::string decoded;
    size_t badAt = 0;
    if (unescapeString(raw, decoded, badAt)) return decoded;
    error(Code::BadString, {source_, uint32_t(start + 1 + badAt), 2},
          "unknown escape; the escapes are \\n \\t \\r \\\\ \\\" \\0 and \\xHH");
    return decoded;
  }

  /// Takes everything that can belong to a number; literals.h decides whether it is one.
  void number() {
    size_t start = at_;
    if (peek() == '-') ++at_;
    bool isHex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
    for (; at_ < text_.size(); ++at_) {
      char c = peek(), before = text_[at_ - (at_ > start ? 1 : 0)];
      bool isExponentSign =
          (c == '-' || c == '+') && (before == 'p' || before == 'P' || (!isHex && (before == 'e' || before == 'E')));
      if (!isValueChar(c) && !isExponentSign) break;
    }
    push(TokenKind::Number, start, std::string(text_.substr(start, at_ - start)));
  }

  void punctuation(char c) {
    static constexpr std::pair<char, TokenKind> kSingle[] = {
        {'(', TokenKind::LParen},   {')', TokenKind::RParen},   {'{', TokenKind::LBrace}, {'}', TokenKind::RBrace},
        {'[', TokenKind::LBracket}, {']', TokenKind::RBracket}, {',', TokenKind::Comma},  {':', TokenKind::Colon},
        {'=', TokenKind::Equal},    {'!', TokenKind::Bang},     {'#', TokenKind::Hash}};
    size_t start = at_++;
    if (c == '-' && peek() == '>') {
      ++at_;
      return push(TokenKind::Arrow, start, "");
    }
    for (auto [character, kind] : kSingle)
      if (c == character) return push(kind, start, "");
    while (at_ < text_.size() && (peek() & 0xC0) == 0x80) ++at_;  // the rest of a UTF-8 character
    if (!badOnLine_) error(Code::BadCharacter, spanFrom(start), "unexpected character");
    badOnLine_ = true;  // one message a line is enough
    push(TokenKind::Bad, start, "");
  }

  std::string_view text_;
  uint32_t source_;
  DiagnosticSink& sink_;
  size_t at_ = 0;
  bool startsLine_ = true;
  bool badOnLine_ = false;
  TokenList out_;
};

}  // namespace

std::string_view tokenKindText(TokenKind kind) {
  switch (kind) {
    case TokenKind::End:
      return "the end of the file";
    case TokenKind::Bad:
      return "a damaged token";
    case TokenKind::Ident:
      return "a name";
    case TokenKind::String:
      return "a string";
    case TokenKind::Global:
      return "a function name (@name)";
    case TokenKind::Local:
      return "a value (%name)";
    case TokenKind::Number:
      return "a number";
    case TokenKind::LParen:
      return "'('";
    case TokenKind::RParen:
      return "')'";
    case TokenKind::LBrace:
      return "'{'";
    case TokenKind::RBrace:
      return "'}'";
    case TokenKind::LBracket:
      return "'['";
    case TokenKind::RBracket:
      return "']'";
    case TokenKind::Comma:
      return "','";
    case TokenKind::Colon:
      return "':'";
    case TokenKind::Equal:
      return "'='";
    case TokenKind::Arrow:
      return "'->'";
    case TokenKind::Bang:
      return "'!'";
    case TokenKind::Hash:
      return "'#'";
  }
  return "?";
}

TokenList tokenize(const SourceSet& sources, uint32_t source, DiagnosticSink& sink) {
  return Lexer(sources, source, sink).run();
}

bool isPlainName(std::string_view name) {
  return !name.empty() && isNameStart(name[0]) && std::all_of(name.begin(), name.end(), isNameChar) &&
         name.find("//") == name.npos;
}

bool isValueName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), isValueChar);
}

bool isLabelName(std::string_view name) {
  return isPlainName(name) && name.find_first_of("./") == name.npos;
}

}  // namespace jvmc::ir::text
