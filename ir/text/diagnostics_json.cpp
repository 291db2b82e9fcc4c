#include <nlohmann/json.hpp>

#include "ir/text/diagnostics.h"

namespace jvmc::ir::text {
namespace {

using Json = nlohmann::ordered_json;

void addPlace(Json& out, const SourceSet& sources, const Span& span) {
  const SourceText& source = sources[span.source];
  LineColumn begin = source.position(span.offset), end = source.position(span.end());
  out["file"] = source.name();
  out["line"] = begin.line;
  out["column"] = begin.column;
  out["endLine"] = end.line;
  out["endColumn"] = end.column;
}

}  // namespace

std::string diagnosticJson(const SourceSet& sources, const Diagnostic& diagnostic) {
  Json out;
  out["severity"] = diagnostic.severity == Severity::Error ? "error" : "warning";
  out["code"] = codeText(diagnostic.code);
  out["message"] = diagnostic.message;
  if (diagnostic.span) addPlace(out, sources, *diagnostic.span);
  if (!diagnostic.place.empty()) out["place"] = diagnostic.place;
  if (!diagnostic.invariant.empty()) out["invariant"] = diagnostic.invariant;
  for (const Note& note : diagnostic.notes) {
    Json item;
    item["message"] = note.text;
    if (note.span) addPlace(item, sources, *note.span);
    out["notes"].push_back(std::move(item));
  }
  for (const std::string& help : diagnostic.helps) out["helps"].push_back(help);
  // Names in messages come from the input and may be any bytes.
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace jvmc::ir::text
