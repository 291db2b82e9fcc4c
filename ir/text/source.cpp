#include "ir/text/source.h"

#include <algorithm>

#include "ir/support/check.h"

namespace jvmc::ir::text {
namespace {

/// Code points that begin in `bytes`; a stray continuation byte counts for nothing.
uint32_t countCharacters(std::string_view bytes) {
  return uint32_t(std::count_if(bytes.begin(), bytes.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

SourceText::SourceText(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {
  lineStarts_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i)
    if (text_[i] == '\n') lineStarts_.push_back(uint32_t(i + 1));
}

LineColumn SourceText::position(uint32_t offset) const {
  auto after = std::upper_bound(lineStarts_.begin(), lineStarts_.end(), offset);
  uint32_t lineIndex = uint32_t(after - lineStarts_.begin()) - 1;
  uint32_t start = lineStarts_[lineIndex];
  std::string_view before = text().substr(start, std::min<size_t>(offset, text_.size()) - start);
  return {lineIndex + 1, countCharacters(before) + 1};
}

std::string_view SourceText::line(uint32_t line) const {
  if (line == 0 || line > lineStarts_.size()) return {};
  uint32_t start = lineStarts_[line - 1];
  std::string_view rest = text().substr(start);
  rest = rest.substr(0, rest.find('\n'));
  if (!rest.empty() && rest.back() == '\r') rest.remove_suffix(1);
  return rest;
}

uint32_t SourceSet::add(std::string name, std::string text) {
  JVMC_CHECK(text.size() <= kMaxSourceBytes, name);
  sources_.emplace_back(std::move(name), std::move(text));
  return uint32_t(sources_.size() - 1);
}

}  // namespace jvmc::ir::text
