// Counted loops: an integer goes up or down by a constant, and one test against a limit decides whether to go on.
#pragma once

#include <functional>
#include <optional>

#include "ir/analysis/cfg.h"

namespace jvmc::ir {

/// The instruction that defines a value; null for parameters and constants. Valid while the body does not change.
class Definitions {
 public:
  explicit Definitions(const FunctionBody& body);
  const Instr* operator[](ValueId v) const { return byValue_[v.index()]; }

 private:
  std::vector<const Instr*> byValue_;
};

/// The constant as a signed integer, if `v` is an i32 or i64 constant.
std::optional<int64_t> integerConstant(const FunctionBody& body, ValueId v);

struct CountedLoop {
  BlockId header;
  /// The block whose br_if is the test: the header, or the block in front of the only back edge.
  BlockId exiting;
  bool isTopTested = false;   ///< the test comes before the body, which may then run no time at all
  uint32_t paramIndex = 0;    ///< of the induction variable in the header's parameters
  ValueId induction;          ///< that parameter
  ValueId initial;            ///< its value on entry; invalid if entries differ
  int64_t step = 0;           ///< added on every back edge; not 0
  TypeId type;                ///< i32 or i64
  bool testsNext = false;     ///< the test reads induction + step, not induction
  Opcode stay = Opcode::kLt;  ///< the loop goes on while `tested stay limit`: lt, le, gt, ge or ne
  ValueId limit;              ///< constant or defined outside the loop
  uint32_t stayTarget = 0;    ///< which target of the br_if goes on: 0 or 1
};

/// Recognises loop number `loop` of `cfg`. Other exits from the loop are allowed. `mayBeLimit` may admit limits that
/// are defined in the loop but do not change.
std::optional<CountedLoop> findCountedLoop(const FunctionBody& body, const Cfg& cfg, const Definitions& definitions,
                                           int loop, const std::function<bool(ValueId)>& mayBeLimit = {});

/// How often the body of the loop runs at most, if that is a constant.
std::optional<uint64_t> constantTrips(const FunctionBody& body, const CountedLoop& counted);

/// `v` is a constant or defined outside the loop.
bool isInvariant(const FunctionBody& body, const Loop& loop, ValueId v);

}  // namespace jvmc::ir
