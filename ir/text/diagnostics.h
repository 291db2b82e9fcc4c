// Messages about a program, shown the way rustc shows them:
//
//     error[IR0010]: unknown class 'Circl'
//       --> shapes.ir:12:12
//        |
//     12 |   %o = new Circl
//        |            ^^^^^
//        |
//        = help: did you mean 'Circle'?
//
// One run reports many of them: producers add to a DiagnosticSink and go on; who shows them decides on colour or JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/text/source.h"

namespace jvmc::ir::text {

enum class Severity { Error, Warning };

/// What a diagnostic is about; the code shown is stable. `docs/reference/ir.md` lists them.
enum class Code : uint16_t {
#define JVMC_DIAGNOSTIC(name, number, summary) name = number,
#include "ir/text/diagnostics.def"
};

/// "IR0010".
std::string codeText(Code code);
/// The sentence of diagnostics.def.
std::string_view codeSummary(Code code);

struct Note {
  std::string text;
  std::optional<Span> span = std::nullopt;  ///< shown with its source line
};

struct Diagnostic {
  Severity severity = Severity::Error;
  Code code{};
  std::string message;
  std::optional<Span> span = std::nullopt;
  std::string place = {};      ///< shown where there is no span: "out.irm, function '@f', instruction 3"
  std::string invariant = {};  ///< name of the broken invariant of ir/verifier.h, if it is one
  std::vector<Note> notes = {};
  std::vector<std::string> helps = {};
};

/// Collects diagnostics; keeps the first `limit` errors (0 = all) and counts the rest.
class DiagnosticSink {
 public:
  static constexpr size_t kDefaultLimit = 20;
  explicit DiagnosticSink(size_t limit = kDefaultLimit) : limit_(limit) {}

  void add(Diagnostic diagnostic);
  /// The limit is reached: a producer may stop early.
  bool full() const { return limit_ != 0 && kept_.size() >= limit_; }
  bool hasErrors() const { return errorCount_ != 0; }
  size_t errorCount() const { return errorCount_; }
  /// In the order of the sources and their text.
  std::vector<Diagnostic> sorted() const;

 private:
  size_t limit_;
  size_t errorCount_ = 0;
  std::vector<Diagnostic> kept_;
};

/// One diagnostic as text, with ANSI colours if `color`; ends with a newline.
std::string renderDiagnostic(const SourceSet& sources, const Diagnostic& diagnostic, bool color);
/// All of them, separated by blank lines, and a last line that counts the errors (also those over the limit).
std::string renderDiagnostics(const SourceSet& sources, const DiagnosticSink& sink, bool color);
/// One JSON object on one line: severity, code, message, file, line, column, endLine, endColumn, place, invariant,
/// notes, helps. Members that do not apply are left out.
std::string diagnosticJson(const SourceSet& sources, const Diagnostic& diagnostic);

/// The candidate nearest to `name` by edit distance, if it is near enough to be a typing error.
std::optional<std::string> nearestName(std::string_view name, const std::vector<std::string_view>& candidates);

}  // namespace jvmc::ir::text
