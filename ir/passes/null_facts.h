// Which references are known not to be null, where.
#pragma once

#include <vector>

#include "ir/analysis/cfg.h"
#include "ir/analysis/induction.h"

namespace jvmc::ir {

/// Forward data flow: an access that did not throw, an allocation, a test against null or of the class, and a caught
/// exception make a reference known. A parameter is known if every edge passes something known.
class NullFacts {
 public:
  NullFacts(const FunctionBody& body, const Cfg& cfg);

  /// Walks through `block` and calls `visit(index, nonNull)` before each instruction, where nonNull(ValueId) tells.
  template <class Visit>
  void walk(BlockId block, Visit visit) const {
    Set known = in_[block.index()];
    const auto& instrs = body_[block].instrs;
    for (uint32_t i = 0; i < instrs.size(); ++i) {
      visit(i, [&](ValueId v) { return has(known, v); });
      transfer(instrs[i], known);
    }
  }
  /// At the end of `block`, before its terminator.
  bool nonNullAtEnd(BlockId block, ValueId v) const;

 private:
  using Set = std::vector<uint64_t>;  // by ValueId
  static bool has(const Set& set, ValueId v) { return set[v.index() / 64] >> (v.index() % 64) & 1; }
  static void put(Set& set, ValueId v, bool known);

  void solve();
  void transfer(const Instr& instr, Set& known) const;
  void addTest(const Instr& branch, size_t target, Set& known) const;
  bool meetInto(BlockId target, const BlockCall& call, bool isHandler, const Set& known);

  const FunctionBody& body_;
  const Cfg& cfg_;
  Definitions definitions_;
  size_t words_;
  std::vector<Set> in_;
};

/// The instruction throws if its first operand is null, and has a flag that says it cannot be.
bool checksFirstOperand(Opcode op);

}  // namespace jvmc::ir
