#include "ir/verifier.h"

#include <fmt/format.h>

#include "ir/verify/report.h"

namespace jvmc::ir {

std::string_view invariantName(Invariant invariant) {
  static constexpr std::string_view kNames[] = {
#define JVMC_INVARIANT(name, text, sentence) text,
      JVMC_INVARIANTS(JVMC_INVARIANT)
#undef JVMC_INVARIANT
  };
  return kNames[static_cast<size_t>(invariant)];
}

std::string_view invariantSentence(Invariant invariant) {
  static constexpr std::string_view kSentences[] = {
#define JVMC_INVARIANT(name, text, sentence) sentence,
      JVMC_INVARIANTS(JVMC_INVARIANT)
#undef JVMC_INVARIANT
  };
  return kSentences[static_cast<size_t>(invariant)];
}

std::vector<VerifyError> verifyDeclarations(const Module& module, size_t limit) {
  verify::Report report(limit);
  verify::checkDeclarations(module, report);
  return report.take();
}

std::vector<VerifyError> verifyModule(const Module& module, size_t limit) {
  verify::Report report(limit);
  if (!verify::checkDeclarations(module, report)) return report.take();
  for (uint32_t f = 0; f < module.functions.size() && !report.full(); ++f) {
    Result<const FunctionBody*> body = module.body(FunctionId(f));
    if (body.ok()) {
      verify::checkBody(module, FunctionId(f), **body, false, report);
      continue;
    }
    VerifyPlace place{.kind = VerifyPlace::Kind::Function, .function = FunctionId(f)};
    report.add(Invariant::Bodies, place, module.functions[f].loc, body.error().message);
  }
  return report.take();
}

std::vector<VerifyError> verifyBody(const Module& module, FunctionId function, const FunctionBody& body, size_t limit) {
  verify::Report report(limit);
  verify::checkBody(module, function, body, true, report);
  return report.take();
}

Status verifyStoredBody(const Module& module, FunctionId function, const FunctionBody& body) {
  verify::Report report(1);
  verify::checkBody(module, function, body, false, report);
  std::vector<VerifyError> errors = report.take();
  if (errors.empty()) return Unit{};
  return Error{ErrorCode::kInvalidInput, fmt::format("function '@{}' is not valid: {} ({})", module[function].name,
                                                     errors[0].message, invariantName(errors[0].invariant))};
}

}  // namespace jvmc::ir
