// Text to module. Several sources become one module: names are global over all of them, items may stand in any order,
// and natives that are declared alike in two sources are one native.
//
// Parsing finds what is wrong with the *text*: grammar, unknown and doubled names, literals. Types and structure are
// the verifier's subject; checkModule() runs it and shows its findings at their place in the text.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ir/module.h"
#include "ir/text/diagnostics.h"
#include "ir/text/source.h"
#include "ir/verifier.h"

namespace jvmc::ir::text {

/// Where the parts of a body stand in the text.
struct BodySpans {
  std::vector<Span> blocks;
  struct Instr {
    Span whole;
    std::vector<Span> operands, targets;
  };
  std::vector<std::vector<Instr>> instrs;  ///< by block, instruction
  std::vector<Span> frameStates;
};

/// Where declarations stand in the text. Builtin classes have no span.
struct SourceMap {
  struct ClassSpans {
    std::optional<Span> name;
    std::vector<Span> fields, statics, methods;
  };
  std::vector<ClassSpans> classes;  ///< by ClassId
  std::vector<Span> functions;      ///< by FunctionId
  std::vector<Span> natives;        ///< by NativeId
  std::vector<BodySpans> bodies;    ///< by FunctionId
};

/// `optimised func @f`: a body beside the stored one of the same function.
struct OptimisedBody {
  FunctionId function;
  FunctionBody body;
  BodySpans spans;
};

struct ParsedModule {
  std::unique_ptr<Module> module;
  std::vector<OptimisedBody> optimised;
  SourceMap map;
};

/// Parses all sources of `sources`. Nothing if there was any error; all errors found are in `sink`.
std::optional<ParsedModule> parseModule(const SourceSet& sources, DiagnosticSink& sink);

/// Verifies the module and its optimised bodies. True if all invariants hold; findings go to `sink`.
bool checkModule(const ParsedModule& parsed, DiagnosticSink& sink);

/// A finding of the verifier as a diagnostic without a text, for modules that were not parsed. `name` is the file's.
Diagnostic describeError(const Module& module, const VerifyError& error, const std::string& name);

}  // namespace jvmc::ir::text
