// The verifier: a module that passes it cannot crash a node. Everything read from disk or network goes through it
// before it runs. Each invariant below has a golden test that breaks it (tests/golden/verify/).
//
// (The list of invariants stands here.)
#pragma once

#include <string>
#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

struct VerifyError {
  std::string invariant;  ///< the name in the list above, "dominance"
  std::string message;
  SourceLoc loc;
};

/// Checks declarations and all bodies of a module that is complete in memory. At most `limit` errors.
std::vector<VerifyError> verifyModule(const Module& module, size_t limit = 20);
/// Checks the declarations only (cheap; done when a stored module is opened).
std::vector<VerifyError> verifyDeclarations(const Module& module, size_t limit = 20);
/// Checks one body against its declaration; optimised bodies may hold markers, flags and frame states.
std::vector<VerifyError> verifyBody(const Module& module, FunctionId function, const FunctionBody& body, size_t limit = 20);
/// As verifyBody for a body that was just read: refuses optimised forms, first error as a Status.
Status verifyStoredBody(const Module& module, FunctionId function, const FunctionBody& body);

}  // namespace jvmc::ir
