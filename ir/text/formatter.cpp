#include "ir/text/formatter.h"

#include <algorithm>

#include "ir/text/lexer.h"
#include "ir/text/syntax.h"

namespace jvmc::ir::text {
namespace {

struct OutLine {
  std::string text;
  std::string comment;  ///< at its end
  bool blankBefore = false;
};

/// What a line is decides its indentation and the spaces around its colons.
enum class LineKind { Item, ClassHead, Member, Label, Instr, FrameState, Virtual, Close };

class Formatter {
 public:
  Formatter(const SourceSet& sources, uint32_t source, const TokenList& list)
      : sources_(sources), source_(source), tokens_(list.tokens), comments_(list.comments) {}

  std::string run() {
    while (tokens_[at_].kind != TokenKind::End) line();
    ownComments(uint32_t(at_), 0);
    return render();
  }

 private:
  enum class Region { Top, Class, Function };

  std::string_view raw(const Token& token) const { return sources_.text(token.span); }

  // -- logical lines

  void line() {
    LineKind kind = classify();
    bool isItem = kind == LineKind::Item || kind == LineKind::ClassHead;
    size_t firstOut = out_.size();
    ownComments(uint32_t(at_), kind == LineKind::Close ? 2 : indentOf(kind));
    OutLine current;
    current.blankBefore = blankLineBefore(tokens_[at_].span.offset) && kind != LineKind::Close && !afterOpen_;
    if (isItem) separateItem(firstOut, current);
    afterOpen_ = false;
    current.text = std::string(indentOf(kind), ' ');
    body(kind, current);
    out_.push_back(std::move(current));
  }

  LineKind classify() const {
    const Token& first = tokens_[at_];
    const Token& second = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
    if (first.kind == TokenKind::RBrace) return LineKind::Close;
    if (region_ == Region::Class) return LineKind::Member;
    if (region_ == Region::Top)
      return first.text == "class" || first.text == "interface" ? LineKind::ClassHead : LineKind::Item;
    if (first.kind != TokenKind::Ident) return LineKind::Instr;
    if (first.text == "framestate" && second.kind == TokenKind::Hash) return LineKind::FrameState;
    if (first.text == "virtual" && second.kind == TokenKind::Number) return LineKind::Virtual;
    if (second.startsLine) return LineKind::Instr;
    bool isCall = opcodeFromMnemonic(std::string_view(first.text).substr(0, first.text.find('.'))).has_value();
    bool isLabel = second.kind == TokenKind::Colon || (second.kind == TokenKind::Ident && second.text == "handler") ||
                   (second.kind == TokenKind::LParen && !isCall);
    return isLabel ? LineKind::Label : LineKind::Instr;
  }

  static size_t indentOf(LineKind kind) {
    switch (kind) {
      case LineKind::Member:
      case LineKind::Instr:
      case LineKind::FrameState:
        return 2;
      case LineKind::Virtual:
        return 4;
      default:
        return 0;
    }
  }

  /// The tokens of one logical line: to the next token that starts a line outside brackets, or to the brace that opens
  /// or closes a class or function.
  void body(LineKind kind, OutLine& current) {
    int depth = 0;
    inLocation_ = false;
    const Token* before = nullptr;
    bool opensRegion = kind == LineKind::ClassHead || isFunctionHead();
    bool isFunction = kind != LineKind::ClassHead;
    for (;; ++at_) {
      const Token& token = tokens_[at_];
      if (token.kind == TokenKind::End) break;
      bool structuralClose = token.kind == TokenKind::RBrace && depth == 0;
      if (before && depth == 0 && ((token.startsLine && !continues(*before)) || structuralClose)) break;
      if (before && token.startsLine) {
        breakLine(current,
                  indentOf(kind) + (token.kind == TokenKind::RParen || token.kind == TokenKind::RBracket ? 0 : 4));
      } else if (before && spaceBetween(kind, *before, token)) {
        current.text += ' ';
      }
      current.text += raw(token);
      before = &token;
      if (token.kind == TokenKind::LBrace && depth == 0 && opensRegion) {
        ++at_;
        region_ = isFunction ? Region::Function : Region::Class;
        afterOpen_ = true;
        break;
      }
      if (structuralClose) {
        ++at_;
        region_ = Region::Top;
        break;
      }
      if (token.kind == TokenKind::LParen || token.kind == TokenKind::LBracket || token.kind == TokenKind::LBrace)
        ++depth;
      if (token.kind == TokenKind::RParen || token.kind == TokenKind::RBracket || token.kind == TokenKind::RBrace)
        --depth;
      trailingComment(uint32_t(at_ + 1), current);
    }
    trailingComment(uint32_t(at_), current);
  }

  /// A statement cannot end with this token.
  static bool continues(const Token& last) {
    return last.kind == TokenKind::Comma || last.kind == TokenKind::Equal || last.kind == TokenKind::Arrow;
  }

  bool isFunctionHead() const {
    return region_ == Region::Top && (tokens_[at_].text == "func" || tokens_[at_].text == "optimised");
  }

  /// A line break that the source has inside brackets. Comments in there stay where they are.
  void breakLine(OutLine& current, size_t indent) {
    OutLine done = std::move(current);
    current = {};
    out_.push_back(std::move(done));
    ownComments(uint32_t(at_), indent);
    current.text = std::string(indent, ' ');
  }

  // -- spaces

  bool spaceBetween(LineKind kind, const Token& a, const Token& b) {
    using K = TokenKind;
    if (a.kind == K::Bang) inLocation_ = true;
    if (inLocation_) {
      bool stays = b.kind == K::Number || b.kind == K::String || b.kind == K::Colon;
      inLocation_ = stays;
      if (stays) return false;
    }
    if (b.kind == K::Comma || b.kind == K::RParen || b.kind == K::RBracket) return false;
    if (a.kind == K::LParen || a.kind == K::LBracket || a.kind == K::Bang || a.kind == K::Hash) return false;
    if (b.kind == K::Colon) return kind == LineKind::ClassHead;
    if (a.kind == K::Colon) return kind != LineKind::FrameState && kind != LineKind::Virtual;
    if (b.kind == K::LParen) return false;
    if (b.kind == K::Hash) return a.text != "fs";
    bool inFlags = kind == LineKind::Instr;
    if (inFlags && (a.kind == K::LBrace || b.kind == K::RBrace)) return false;
    return true;
  }

  // -- comments and blank lines

  bool blankLineBefore(uint32_t offset) const {
    std::string_view text = sources_[source_].text().substr(0, offset);
    size_t lastText = text.find_last_not_of(" \t\r\n");
    if (lastText == std::string_view::npos) return false;
    return std::count(text.begin() + std::ptrdiff_t(lastText), text.end(), '\n') > 1;
  }

  /// Comments on lines of their own that stand before `token`.
  void ownComments(uint32_t token, size_t indent) {
    for (; nextComment_ < comments_.size() && comments_[nextComment_].beforeToken <= token; ++nextComment_) {
      const Comment& comment = comments_[nextComment_];
      OutLine line;
      line.text = std::string(indent, ' ') + std::string(sources_.text(comment.span));
      line.blankBefore = blankLineBefore(comment.span.offset) && !afterOpen_;
      afterOpen_ = false;
      out_.push_back(std::move(line));
    }
  }

  void trailingComment(uint32_t beforeToken, OutLine& current) {
    if (nextComment_ >= comments_.size()) return;
    const Comment& comment = comments_[nextComment_];
    if (comment.ownLine || comment.beforeToken != beforeToken) return;
    current.comment = sources_.text(comment.span);
    ++nextComment_;
  }

  /// One blank line before an item, or before the comments that belong to it. Short items may stand together.
  void separateItem(size_t firstOut, OutLine& current) {
    bool isLong = tokens_[at_].text != "native" && tokens_[at_].text != "file";
    bool needed = isLong || lastItemLong_;
    lastItemLong_ = isLong;
    if (!needed || firstOut == 0) return;
    // The comments that touch the item go with it.
    size_t first = out_.size();
    bool attached = !current.blankBefore;
    while (attached && first > firstOut) attached = !out_[--first].blankBefore;
    (first == out_.size() ? current : out_[first]).blankBefore = true;
  }

  // -- output

  std::string render() const {
    constexpr size_t kWidest = 100;
    std::string text;
    for (size_t i = 0; i < out_.size();) {
      size_t end = i;
      size_t width = 0;
      while (end < out_.size() && !out_[end].comment.empty() && (end == i || !out_[end].blankBefore))
        width = std::max(width, characters(out_[end++].text));
      for (size_t run = std::max(end, i + 1); i < run; ++i) {
        if (out_[i].blankBefore && i > 0) text += '\n';
        text += out_[i].text;
        if (!out_[i].comment.empty()) {
          size_t pad = width <= kWidest ? width - characters(out_[i].text) : 0;
          text += std::string(pad + 2, ' ') + out_[i].comment;
        }
        text += '\n';
      }
    }
    return text;
  }

  static size_t characters(std::string_view text) {
    return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  }

  const SourceSet& sources_;
  uint32_t source_;
  const std::vector<Token>& tokens_;
  const std::vector<Comment>& comments_;
  std::vector<OutLine> out_;
  size_t at_ = 0;
  size_t nextComment_ = 0;
  Region region_ = Region::Top;
  bool afterOpen_ = false;
  bool inLocation_ = false;
  bool lastItemLong_ = true;
};

}  // namespace

std::optional<std::string> formatSource(const SourceSet& sources, uint32_t source, DiagnosticSink& sink) {
  DiagnosticSink own(0);
  parseSyntax(sources, source, own);
  if (own.hasErrors()) {
    for (Diagnostic& d : own.sorted()) sink.add(std::move(d));
    return std::nullopt;
  }
  TokenList list = tokenize(sources, source, own);
  return Formatter(sources, source, list).run();
}

}  // namespace jvmc::ir::text
