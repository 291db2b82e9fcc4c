// Exact liveness: which values a frame must hold at each resume point.
//
// The *slots* of a resume point are the values live there, ascending by ValueId, constants left out. At an `after`
// point the result of the call is not a slot: the callee or the runtime supplies it. Values that the handler of the
// block needs are live throughout the block. This order is part of the portable frame format.
//
// A value is live at a point if some path from there reads it. Passing it as a branch argument reads it, even if the
// target ignores that parameter: every tier can then copy arguments without asking what the target does with them.
//
// In an optimised body the values of an instruction's FrameState are read by it too. (That is for passes; portable
// slots are always those of the stored body.)
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
  using BitSet = std::vector<uint64_t>;  // by ValueId; constants never set

  void solve();
  BitSet liveInOf(BlockId b) const;
  BitSet liveOutOf(BlockId b) const;
  void addHandlerUses(BlockId b, BitSet& live) const;
  void addLiveIntoTarget(const BlockCall& target, BitSet& live) const;
  void addUse(ValueId v, BitSet& live) const;
  void transfer(const Instr& instr, BitSet& live) const;
  std::vector<ValueId> toSlots(const BitSet& live) const;

  const FunctionBody& body_;
  const Cfg& cfg_;
  size_t words_;
  std::vector<BitSet> liveIn_;  // per block, its own parameters included
};

}  // namespace jvmc::ir
