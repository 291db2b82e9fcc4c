// What the parts of the verifier share: where they put their findings.
#pragma once

#include "ir/verifier.h"

namespace jvmc::ir::verify {

class Report {
 public:
  explicit Report(size_t limit) : limit_(limit) {}

  void add(Invariant invariant, const VerifyPlace& place, const SourceLoc& loc, std::string message) {
    if (!full()) errors_.push_back({invariant, std::move(message), loc, place});
  }
  bool full() const { return errors_.size() >= limit_; }
  size_t count() const { return errors_.size(); }
  std::vector<VerifyError> take() { return std::move(errors_); }

 private:
  size_t limit_;
  std::vector<VerifyError> errors_;
};

/// Ids and shapes of all declarations. False: so broken that nothing else may be looked at (types, builtins, ids out of
/// range, a cyclic hierarchy).
bool checkDeclarations(const Module& module, Report& report);

/// One body. `allowOptimised` false refuses markers, flags and frame states, whatever body.optimised says.
void checkBody(const Module& module, FunctionId function, const FunctionBody& body, bool allowOptimised,
               Report& report);

/// The types that no value has: void, i8 and i16.
inline bool isStackType(const Module& module, TypeId type) {
  return type.index() < module.types.size() && type != kVoid && type != kI8 && type != kI16;
}

}  // namespace jvmc::ir::verify
