#include "ir/text/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ir/support/check.h"

namespace jvmc::ir::text {
namespace {

constexpr std::string_view kRed = "\033[1;31m", kYellow = "\033[1;33m", kBlue = "\033[1;34m", kGreen = "\033[1;32m",
                           kBold = "\033[1m", kReset = "\033[0m";

/// Names in messages come from the input: a control character in one must not reach the terminal.
std::string clean(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

/// Builds the text of one diagnostic; `gutter` is the width of the line numbers in all its snippets.
class Renderer {
 public:
  Renderer(const SourceSet& sources, bool color) : sources_(sources), color_(color) {}

  std::string render(const Diagnostic& d) {
    bool isError = d.severity == Severity::Error;
    std::string_view tint = isError ? kRed : kYellow;
    gutter_ = gutterWidth(d);
    const std::string code = d.code == Code{} ? "" : fmt::format("[{}]", codeText(d.code));
    out_ += paint(tint, (isError ? "error" : "warning") + code);
    out_ += paint(kBold, ": " + clean(d.message)) + "\n";
    if (d.span) {
      snippet(*d.span, tint);
    } else if (!d.place.empty()) {
      out_ += fmt::format("{}{} {}\n", std::string(gutter_, ' '), paint(kBlue, "-->"), clean(d.place));
    }
    trailer(d);
    return std::move(out_);
  }

 private:
  size_t gutterWidth(const Diagnostic& d) const {
    uint32_t line = d.span ? sources_.position(*d.span).line : 1;
    for (const Note& note : d.notes)
      if (note.span) line = std::max(line, sources_.position(*note.span).line);
    return fmt::formatted_size("{}", line);
  }

  void trailer(const Diagnostic& d) {
    bool plain = !d.invariant.empty() || !d.helps.empty() ||
                 std::any_of(d.notes.begin(), d.notes.end(), [](const Note& n) { return !n.span; });
    if (plain && d.span) bar("");
    if (!d.invariant.empty()) remark("note", kBold, fmt::format("breaks the invariant '{}'", d.invariant));
    for (const Note& note : d.notes)
      if (!note.span) remark("note", kBold, note.text);
    for (const std::string& help : d.helps) remark("help", kGreen, help);
    for (const Note& note : d.notes) {
      if (!note.span) continue;
      out_ += paint(kBold, "note") + ": " + clean(note.text) + "\n";
      snippet(*note.span, kBlue);
    }
  }

  void remark(std::string_view kind, std::string_view tint, std::string_view text) {
    out_ += fmt::format("{} {} {}: {}\n", std::string(gutter_, ' '), paint(kBlue, "="), paint(tint, kind),
                        clean(std::string(text)));
  }

  void bar(std::string_view rest) {
    out_ += fmt::format("{} {}{}\n", std::string(gutter_, ' '), paint(kBlue, "|"), rest);
  }

  void snippet(const Span& span, std::string_view tint) {
    const SourceText& source = sources_[span.source];
    LineColumn at = source.position(span.offset);
    out_ += fmt::format("{}{} {}:{}:{}\n", std::string(gutter_, ' '), paint(kBlue, "-->"), source.name(), at.line,
                        at.column);
    bar("");
    Shown shown = show(source.line(at.line), at.column, span.length);
    std::string number = fmt::format("{:>{}} |", at.line, gutter_);
    out_ += paint(kBlue, number) + (shown.line.empty() ? "" : " ") + shown.line + "\n";
    bar(" " + std::string(shown.caretAt, ' ') + paint(tint, std::string(shown.caretWidth, '^')));
  }

  struct Shown {
    std::string line;
    size_t caretAt = 0, caretWidth = 1;
  };

  /// The line as shown: tabs as spaces, control characters masked, very long lines cut around the place.
  Shown show(std::string_view line, uint32_t column, uint32_t spanBytes) const {
    constexpr size_t kMaxShown = 160;
    Shown shown;
    std::vector<std::string> cells;
    size_t caretBegin = 0, caretEnd = 0, character = 0, byteOfCaret = 0;
    for (size_t i = 0; i < line.size();) {
      size_t length = 1;
      while (i + length < line.size() && (line[i + length] & 0xC0) == 0x80) ++length;
      if (++character == column) caretBegin = cells.size(), byteOfCaret = i;
      unsigned char c = static_cast<unsigned char>(line[i]);
      if (c == '\t') {
        cells.insert(cells.end(), 2, " ");
      } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xC2)) {
        cells.push_back("?");
      } else {
        cells.emplace_back(line.substr(i, length));
      }
      if (character >= column && i < byteOfCaret + spanBytes) caretEnd = cells.size();
      i += length;
    }
    if (column > character) caretBegin = cells.size();
    caretEnd = std::max(caretEnd, caretBegin + 1);
    size_t from = caretBegin > kMaxShown / 2 ? caretBegin - kMaxShown / 2 : 0;
    size_t to = std::min(cells.size(), from + kMaxShown);
    for (size_t i = from; i < to; ++i) shown.line += cells[i];
    shown.caretAt = caretBegin - from;
    shown.caretWidth = std::max<size_t>(1, std::min(caretEnd, std::max(to, caretBegin + 1)) - caretBegin);
    return shown;
  }

  std::string paint(std::string_view tint, std::string_view text) const {
    if (!color_) return std::string(text);
    return fmt::format("{}{}{}", tint, text, kReset);
  }

  const SourceSet& sources_;
  bool color_;
  size_t gutter_ = 1;
  std::string out_;
};

/// Optimal string alignment distance: insert, delete, replace, swap neighbours.
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> beforeLast(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], beforeLast[j - 2] + 1);
    }
    beforeLast.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string codeText(Code code) {
  return fmt::format("IR{:04}", static_cast<unsigned>(code));
}

std::string_view codeSummary(Code code) {
  switch (code) {
#define JVMC_DIAGNOSTIC(name, number, summary) \
  case Code::name:                             \
    return summary;
#include "ir/text/diagnostics.def"
  }
  JVMC_UNREACHABLE(static_cast<unsigned>(code));
}

void DiagnosticSink::add(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::Error) ++errorCount_;
  if (!full()) kept_.push_back(std::move(diagnostic));
}

std::vector<Diagnostic> DiagnosticSink::sorted() const {
  std::vector<Diagnostic> all = kept_;
  auto key = [](const Diagnostic& d) {
    return d.span ? std::tuple(0, d.span->source, d.span->offset) : std::tuple(1, uint32_t(0), uint32_t(0));
  };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  return all;
}

std::string renderDiagnostic(const SourceSet& sources, const Diagnostic& diagnostic, bool color) {
  return Renderer(sources, color).render(diagnostic);
}

std::string renderDiagnostics(const SourceSet& sources, const DiagnosticSink& sink, bool color) {
  std::string out;
  std::vector<Diagnostic> all = sink.sorted();
  for (const Diagnostic& d : all) out += renderDiagnostic(sources, d, color) + "\n";
  size_t errors = sink.errorCount();
  if (errors == 0) return out;
  std::string tail = fmt::format("{} error{}", errors, errors == 1 ? "" : "s");
  if (errors > all.size()) tail += fmt::format(", {} of them not shown (--error-limit)", errors - all.size());
  out += tail + "\n";
  return out;
}

std::optional<std::string> nearestName(std::string_view name, const std::vector<std::string_view>& candidates) {
  // A third of the letters may be wrong; long names are cut off so that a hostile input cannot make this slow.
  constexpr size_t kLongest = 64;
  if (name.size() < 2 || name.size() > kLongest) return std::nullopt;
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  std::optional<std::string> found;
  for (std::string_view candidate : candidates) {
    size_t difference =
        candidate.size() > name.size() ? candidate.size() - name.size() : name.size() - candidate.size();
    if (difference >= best || candidate == name) continue;
    size_t distance = editDistance(name, candidate);
    if (distance >= best) continue;
    best = distance;
    found = candidate;
  }
  return found;
}

}  // namespace jvmc::ir::text
