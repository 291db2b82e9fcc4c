#include "tools/common/settings/settings_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

// Version 3.3 asserts what a file can make untrue ("[[["): that is an error of the file, not of this program.
namespace {
struct BrokenToml {};
}  // namespace
#undef NDEBUG
#define TOML_ASSERT(expr) ((expr) ? void() : throw BrokenToml())
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wterminate"  // some of them stand in functions that do not throw; none of ours calls those
#include <toml++/toml.h>
#pragma GCC diagnostic pop

namespace jvmc::tools {

namespace {

using ir::text::DiagnosticSink;
using ir::text::SourceSet;
using ir::text::Span;

class Reader {
 public:
  Reader(const SourceSet& sources, uint32_t source, DiagnosticSink& sink)
      : text_(sources[source].text()), name_(sources[source].name()), source_(source), sink_(sink) {}

  std::vector<FileSetting> run() {
    toml::table parsed;
    try {
      parsed = toml::parse(text_);
    } catch (const toml::parse_error& error) {
      fail(std::string(error.description()), spanOf(error.source()));
      return {};
    } catch (const BrokenToml&) {
      sink_.add({.message = "this is not valid TOML", .place = name_});
      return {};
    }
    for (auto&& [key, node] : parsed) {
      if (const toml::table* table = node.as_table()) {
        for (auto&& [inner, value] : *table) add({std::string(key.str()), spanOf(key.source())}, inner, value);
      } else {
        add({"", {}}, key, node);
      }
    }
    return std::move(settings_);
  }

 private:
  struct Command {
    std::string name;
    Span span;
  };

  void add(const Command& command, const toml::key& key, const toml::node& node) {
    FileSetting setting{command.name, std::string(key.str()), "",
                        command.span, spanOf(key.source()),   spanOf(node.source())};
    if (valueText(node, setting.value)) return settings_.push_back(std::move(setting));
    fail(fmt::format("'{}' must be a string, a number, true or false, or a list of strings", setting.key),
         setting.keySpan);
  }

  static bool valueText(const toml::node& node, std::string& out) {
    if (auto text = node.value_exact<std::string>()) return out = *text, true;
    if (auto number = node.value_exact<int64_t>()) return out = std::to_string(*number), true;
    if (auto number = node.value_exact<double>()) return out = fmt::format("{}", *number), true;
    if (auto flag = node.value_exact<bool>()) return out = *flag ? "true" : "false", true;
    const toml::array* list = node.as_array();
    for (size_t i = 0; list && i < list->size(); ++i) {
      auto item = (*list)[i].value_exact<std::string>();
      if (!item) return false;
      out += (i ? "," : "") + *item;
    }
    return list != nullptr;
  }

  /// toml++ counts lines and columns of characters from 1; a span counts bytes.
  uint32_t offsetOf(const toml::source_position& at) const {
    size_t offset = 0;
    for (uint32_t line = 1; line < at.line && offset < text_.size(); ++line)
      offset = std::min(text_.find('\n', offset), text_.size() - 1) + 1;
    for (uint32_t column = 1; column < at.column && offset < text_.size() && text_[offset] != '\n'; ++column) do
        ++offset;
      while (offset < text_.size() && (text_[offset] & 0xC0) == 0x80);
    return uint32_t(std::min(offset, text_.size()));
  }

  Span spanOf(const toml::source_region& region) const {
    const uint32_t begin = offsetOf(region.begin);
    const bool oneLine = region.end.line == region.begin.line && region.end.column > region.begin.column;
    return {source_, begin, oneLine ? offsetOf(region.end) - begin : 1};
  }

  void fail(std::string message, Span span) { sink_.add({.message = std::move(message), .span = span}); }

  std::string_view text_;
  std::string name_;
  uint32_t source_;
  DiagnosticSink& sink_;
  std::vector<FileSetting> settings_;
};

}  // namespace

std::vector<FileSetting> readSettingsFile(const std::string& path, SourceSet& sources, DiagnosticSink& sink) {
  constexpr std::streamsize kBytesMax = 1 << 20;
  std::ifstream file(path, std::ios::binary);
  std::string text(size_t(kBytesMax) + 1, '\0');
  if (file) file.read(text.data(), std::streamsize(text.size()));
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    sink.add({.message = std::strerror(errno ? errno : EIO), .place = path});
    return {};
  }
  text.resize(size_t(file.gcount()));
  if (file.gcount() > kBytesMax) {
    sink.add({.message = fmt::format("larger than {} bytes", kBytesMax), .place = path});
    return {};
  }
  const uint32_t source = sources.add(path, std::move(text));
  return Reader(sources, source, sink).run();
}

}  // namespace jvmc::tools
