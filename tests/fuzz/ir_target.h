// What irc does with a text that somebody sent: parse it, show what is wrong with it, verify, print, format, store.
// Used by the fuzzer and by the test that replays seeded mutations. Whatever the input, nothing may crash; and what
// parses and verifies must survive printing, formatting and storing unchanged.
#pragma once

#include <string>
#include <string_view>

#include "ir/binary/hash.h"
#include "ir/binary/reader.h"
#include "ir/support/check.h"
#include "ir/text/formatter.h"
#include "ir/text/parser.h"
#include "ir/text/printer.h"

namespace jvmc::ir::test {

inline std::string printAll(const text::ParsedModule& parsed) {
  std::string out = *text::printModule(*parsed.module);
  for (const text::OptimisedBody& o : parsed.optimised)
    out += "\n" + text::printFunction(*parsed.module, o.function, o.body);
  return out;
}

/// Parses and verifies `source`; nothing if it is not valid. Every diagnostic is rendered in both forms.
inline std::optional<text::ParsedModule> parseAndCheck(std::string source) {
  text::SourceSet sources;
  sources.add("input.ir", std::move(source));
  text::DiagnosticSink sink(50);
  std::optional<text::ParsedModule> parsed = text::parseModule(sources, sink);
  bool ok = parsed && text::checkModule(*parsed, sink);
  text::renderDiagnostics(sources, sink, true);
  for (const text::Diagnostic& d : sink.sorted()) text::diagnosticJson(sources, d);
  JVMC_CHECK(ok != sink.hasErrors());
  if (!ok) return std::nullopt;
  return parsed;
}

/// The canonical layout keeps the meaning and is a fixed point.
inline void checkFormatting(const std::string& source, const text::ParsedModule& parsed) {
  text::SourceSet sources;
  text::DiagnosticSink sink;
  std::optional<std::string> once = text::formatSource(sources, sources.add("input.ir", source), sink);
  JVMC_CHECK(once.has_value());
  std::optional<std::string> twice = text::formatSource(sources, sources.add("formatted.ir", *once), sink);
  JVMC_CHECK(twice == once, *once, twice.value_or("(does not parse)"));
  std::optional<text::ParsedModule> formatted = parseAndCheck(*once);
  JVMC_CHECK(formatted.has_value(), *once);
  for (uint32_t f = 0; f < parsed.module->functions.size(); ++f)
    JVMC_CHECK(hashFunction(*parsed.module, FunctionId(f)) == hashFunction(*formatted->module, FunctionId(f)), *once);
}

inline void checkStoring(const text::ParsedModule& parsed) {
  Result<std::vector<uint8_t>> bytes = writeModuleBytes(*parsed.module);
  JVMC_CHECK(bytes.ok());
  Result<std::unique_ptr<Module>> stored = openModuleBytes(*bytes);
  JVMC_CHECK(stored.ok(), stored.ok() ? "" : stored.error().message);
  JVMC_CHECK(*text::printModule(**stored) == *text::printModule(*parsed.module));
}

/// True if `source` is a valid program.
inline bool useText(const std::string& source) {
  std::optional<text::ParsedModule> parsed = parseAndCheck(source);
  if (!parsed) return false;
  std::string printed = printAll(*parsed);
  std::optional<text::ParsedModule> again = parseAndCheck(printed);
  JVMC_CHECK(again.has_value(), printed);
  JVMC_CHECK(printAll(*again) == printed, printed);
  checkFormatting(source, *parsed);
  checkStoring(*parsed);
  return true;
}

}  // namespace jvmc::ir::test
