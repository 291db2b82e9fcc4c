// The texts a run reads, and positions in them. A Span names bytes of one text; line and column are worked out only
// when a diagnostic is shown or a debug location is made, so that the lexer stays a plain loop over bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace jvmc::ir::text {

/// `length` bytes from `offset` of source number `source` (index in a SourceSet).
struct Span {
  uint32_t source = 0;
  uint32_t offset = 0;
  uint32_t length = 0;

  uint32_t end() const { return offset + length; }
  /// From the start of this span to the end of `last`.
  Span to(const Span& last) const { return {source, offset, last.end() > offset ? last.end() - offset : length}; }
};

/// Counted from 1; the column counts characters (UTF-8 code points), not bytes.
struct LineColumn {
  uint32_t line = 0;
  uint32_t column = 0;
};

class SourceText {
 public:
  SourceText(std::string name, std::string text);

  const std::string& name() const { return name_; }
  std::string_view text() const { return text_; }
  LineColumn position(uint32_t offset) const;
  /// The text of line `line` without its end-of-line characters.
  std::string_view line(uint32_t line) const;

 private:
  std::string name_, text_;
  std::vector<uint32_t> lineStarts_;
};

/// Owns the texts of one run. Texts longer than kMaxSourceBytes must be refused by who reads them.
class SourceSet {
 public:
  static constexpr size_t kMaxSourceBytes = 1u << 30;

  uint32_t add(std::string name, std::string text);
  size_t size() const { return sources_.size(); }
  const SourceText& operator[](uint32_t index) const { return sources_[index]; }
  LineColumn position(const Span& span) const { return sources_[span.source].position(span.offset); }
  std::string_view text(const Span& span) const {
    return sources_[span.source].text().substr(span.offset, span.length);
  }

 private:
  std::deque<SourceText> sources_;
};

}  // namespace jvmc::ir::text
