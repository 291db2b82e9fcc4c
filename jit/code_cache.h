// What code exists: address ranges of compiled functions (for profilers, crash reports and perf), and the continuations
// by function and resume point. Ranges are only ever added; code is never moved or freed while the provider lives.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/support/ids.h"
#include "jit/debug/code_sites.h"
#include "runtime/abi/calling_convention.h"
#include "runtime/abi/code_provider.h"

namespace jvmc::jit {

class CodeCache {
 public:
  /// Where `function`'s code lies, and what its object says about it: the code begins at `offset` there. Thread-safe.
  void addRange(uint64_t start, uint64_t bytes, ir::FunctionId function, std::shared_ptr<const UnitLines> lines,
                uint64_t offset);
  ir::FunctionId functionAt(uint64_t pc) const;
  std::vector<rt::CodeSite> sitesAt(uint64_t pc) const;
  uint64_t codeBytes() const;

  static uint64_t key(ir::FunctionId function, uint32_t resumePoint) {
    return uint64_t(function.value) << 32 | resumePoint;
  }
  void addContinuation(uint64_t key, rt::ContinuationFn code);
  rt::ContinuationFn continuation(uint64_t key) const;

 private:
  struct Range {
    uint64_t end;
    ir::FunctionId function;
    std::shared_ptr<const UnitLines> lines;
    uint64_t offset;  ///< of the start, in the code of `lines`
  };
  /// The range around `pc`, or null. Under mutex_.
  const std::pair<const uint64_t, Range>* rangeAtLocked(uint64_t pc) const;

  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Range> ranges_;  // by start
  std::unordered_map<uint64_t, rt::ContinuationFn> continuations_;
  uint64_t codeBytes_ = 0;
};

}  // namespace jvmc::jit
