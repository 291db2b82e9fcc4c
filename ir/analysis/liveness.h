// Exact liveness: which values a frame must hold at each resume point.
//
// The *slots* of a resume point are the values live there, ascending by ValueId, constants left out. At an `after` point
// the result of the call is not a slot: the callee or the runtime supplies it. Values that the handler of the block needs
// are live throughout the block. This order is part of the portable frame format.
#pragma once

#include <vector>

#include "ir/analysis/cfg.h"

namespace jvmc::ir {

class Liveness {
 public:
  Liveness(const FunctionBody& body, const Cfg& cfg);

  /// The slots at `resumePoint` (see module.h), in slot order. O(instructions of the block); cache it if it is hot.
  std::vector<ValueId> slots(uint32_t resumePoint) const;
  /// Live on entry to `b`: equals slots(before its first instruction).
  std::vector<ValueId> liveIn(BlockId b) const;

 private:
  using BitSet = std::vector<uint64_t>;
  const FunctionBody& body_;
  const Cfg& cfg_;
  std::vector<BitSet> liveOut_;  // at the end of each block, before the terminator's own uses are added
  BitSet handlerUses(BlockId b) const;
  void transfer(const Instr& instr, BitSet& live) const;
};

}  // namespace jvmc::ir
