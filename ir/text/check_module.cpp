// Findings of the verifier, shown where they belong: in the text if the module was parsed, else by name.
#include <fmt/format.h>

#include "ir/text/parser.h"
#include "ir/text/value_names.h"

namespace jvmc::ir::text {
namespace {

using Kind = VerifyPlace::Kind;

template <class Spans>
std::optional<Span> at(const Spans& spans, uint32_t index) {
  if (index >= spans.size()) return std::nullopt;
  return spans[index];
}

std::optional<Span> bodySpan(const BodySpans& body, const VerifyPlace& place) {
  if (place.kind == Kind::Block) return at(body.blocks, place.block.value);
  if (place.kind == Kind::FrameState) return at(body.frameStates, place.index);
  if (place.block.index() >= body.instrs.size()) return std::nullopt;
  const std::vector<BodySpans::Instr>& instrs = body.instrs[place.block.index()];
  if (place.index >= instrs.size()) return std::nullopt;
  const BodySpans::Instr& instr = instrs[place.index];
  if (place.operand < instr.operands.size()) return instr.operands[place.operand];
  if (place.target < instr.targets.size()) return instr.targets[place.target];
  return instr.whole;
}

std::optional<Span> declarationSpan(const SourceMap& map, const VerifyPlace& place) {
  if (place.kind == Kind::Native) return at(map.natives, place.index);
  if (place.kind == Kind::Module || place.cls.index() >= map.classes.size()) return std::nullopt;
  const SourceMap::ClassSpans& cls = map.classes[place.cls.index()];
  switch (place.kind) {
    case Kind::Field:
      return at(cls.fields, place.index);
    case Kind::Static:
      return at(cls.statics, place.index);
    case Kind::Method:
      return at(cls.methods, place.index);
    default:
      return cls.name;
  }
}

Diagnostic toDiagnostic(const ParsedModule& parsed, const VerifyError& error, const OptimisedBody* optimised) {
  Diagnostic d;
  d.code = Code::Invariant;
  d.message = error.message;
  d.invariant = invariantName(error.invariant);
  uint32_t function = error.place.function.value;
  bool inBody =
      error.place.kind == Kind::Block || error.place.kind == Kind::Instr || error.place.kind == Kind::FrameState;
  if (inBody) {
    const BodySpans* spans = optimised                             ? &optimised->spans
                             : function < parsed.map.bodies.size() ? &parsed.map.bodies[function]
                                                                   : nullptr;
    if (spans) d.span = bodySpan(*spans, error.place);
  } else if (error.place.kind == Kind::Function) {
    d.span = at(parsed.map.functions, function);
  } else {
    d.span = declarationSpan(parsed.map, error.place);
  }
  d.notes.push_back({fmt::format("always: {}", invariantSentence(error.invariant)), std::nullopt});
  return d;
}

std::string placeText(const Module& module, const VerifyPlace& place) {
  auto className = [&] { return place.cls.index() < module.classes.size() ? module[place.cls].name : "?"; };
  auto functionName = [&] {
    return place.function.index() < module.functions.size() ? module[place.function].name : "?";
  };
  switch (place.kind) {
    case Kind::Module:
      return "";
    case Kind::Class:
      return fmt::format("class '{}'", className());
    case Kind::Field:
      return fmt::format("field {} of class '{}'", place.index, className());
    case Kind::Static:
      return fmt::format("static field {} of class '{}'", place.index, className());
    case Kind::Method:
      return fmt::format("method {} of class '{}'", place.index, className());
    case Kind::Native:
      return fmt::format("native {}", place.index);
    case Kind::Function:
      return fmt::format("function '@{}'", functionName());
    case Kind::Block:
      return fmt::format("function '@{}', block {}", functionName(), place.block.value);
    case Kind::Instr:
      return fmt::format("function '@{}', block {}, instruction {}", functionName(), place.block.value, place.index);
    case Kind::FrameState:
      return fmt::format("function '@{}', frame state {}", functionName(), place.index);
  }
  return "";
}

}  // namespace

bool checkModule(const ParsedModule& parsed, DiagnosticSink& sink) {
  // The sink counts what it does not keep, so the verifier may find some more than are shown.
  constexpr size_t kMost = 1000;
  std::vector<VerifyError> errors = verifyModule(*parsed.module, kMost);
  for (const VerifyError& error : errors) sink.add(toDiagnostic(parsed, error, nullptr));
  if (!errors.empty()) return false;
  bool ok = true;
  for (const OptimisedBody& optimised : parsed.optimised) {
    for (const VerifyError& error : verifyBody(*parsed.module, optimised.function, optimised.body, kMost)) {
      sink.add(toDiagnostic(parsed, error, &optimised));
      ok = false;
    }
  }
  return ok;
}

Diagnostic describeError(const Module& module, const VerifyError& error, const std::string& name) {
  Diagnostic d;
  d.code = Code::Invariant;
  d.message = error.message;
  d.invariant = invariantName(error.invariant);
  std::string place = placeText(module, error.place);
  d.place = place.empty() ? name : name + ", " + place;
  if (error.loc.line && error.loc.file < module.files.size())
    d.place += fmt::format(" ({}:{})", module.files[error.loc.file], error.loc.line);
  return d;
}

}  // namespace jvmc::ir::text
