// Control-flow facts of one body: edges, reverse post-order, dominators, natural loops, flat instruction indexes.
//
// A block with a handler counts as two nodes, `entry(b)` (its parameters) and `exit(b)` (its instructions' results):
//     entry(b) -> exit(b),  entry(b) -> entry(handler),  exit(b) -> successors
// so that a value defined inside a protected block does not dominate its handler.
#pragma once

#include <vector>

#include "ir/module.h"

namespace jvmc::ir {

/// Calls `visit(ValueId)` for each value that `instr` reads: its operands and the arguments of its targets.
template <class Visit>
void forEachUse(const Instr& instr, Visit visit) {
  for (ValueId v : instr.operands) visit(v);
  for (const BlockCall& target : instr.targets)
    for (ValueId v : target.args) visit(v);
}

/// Calls `visit(ValueId)` for each value of the FrameState chain `id` (which may be invalid: none).
template <class Visit>
void forEachStateValue(const FunctionBody& body, FrameStateId id, Visit visit) {
  auto visitAll = [&](const std::vector<SlotSource>& sources) {
    for (const SlotSource& s : sources)
      if (s.kind == SlotSource::Kind::Value) visit(s.value);
  };
  for (; id.valid(); id = body.frameStates[id.index()].outer) {
    visitAll(body.frameStates[id.index()].slots);
    for (const VirtualObject& object : body.frameStates[id.index()].virtuals) visitAll(object.fields);
  }
}

struct Loop {
  BlockId header;
  std::vector<BlockId> blocks;  ///< sorted; the header included
  int parent = -1;              ///< index of the enclosing loop, -1 if outermost
  uint32_t depth = 1;
};

class Cfg {
 public:
  /// `body` must outlive this and have at least one block; its block ids must be in range. O(edges).
  explicit Cfg(const FunctionBody& body);

  /// Successors of b by its terminator, without the handler; and the handler, if any.
  const std::vector<BlockId>& successors(BlockId b) const { return successors_[b.index()]; }
  BlockId handler(BlockId b) const;
  /// Predecessors by normal and by exceptional edges.
  const std::vector<BlockId>& predecessors(BlockId b) const { return predecessors_[b.index()]; }
  /// Reachable blocks in reverse post-order (handlers included).
  const std::vector<BlockId>& reversePostOrder() const { return rpo_; }
  bool reachable(BlockId b) const { return rpoIndex_[b.index()] != kUnreachable; }

  // Everything "is available" in an unreachable block; nothing of an unreachable block is available in a reachable one.
  /// The parameters of `a` are available everywhere in `b`.
  bool entryDominates(BlockId a, BlockId b) const;
  /// The instruction results of `a` are available at the start of `b` (a != b).
  bool exitDominates(BlockId a, BlockId b) const;

  /// Natural loops, outer before inner. An irreducible cycle is reported by `irreducible()`, with its target block.
  const std::vector<Loop>& loops() const { return loops_; }
  /// Index of the innermost loop of `b`, -1 if none.
  int loopOf(BlockId b) const { return loopOf_[b.index()]; }
  bool isLoopHeader(BlockId b) const { return isHeader_[b.index()]; }
  /// Targets of retreating edges that do not dominate their source: entries of cycles that are no natural loop.
  const std::vector<BlockId>& irreducible() const { return irreducible_; }
  /// Back edge: goes to a block that dominates its source, or (irreducible) to one not later in reverse post-order.
  bool isBackEdge(BlockId from, BlockId to) const;

  /// Flat index of the first instruction of `b`; flatToBlock inverts it.
  uint32_t firstInstr(BlockId b) const { return firstInstr_[b.index()]; }
  uint32_t instrCount() const { return instrCount_; }
  struct Position {
    BlockId block;
    uint32_t index;
  };
  Position position(uint32_t flatIndex) const;

 private:
  static constexpr uint32_t kUnreachable = ~0u;
  static uint32_t entryNode(BlockId b) { return 2 * b.index(); }
  static uint32_t exitNode(BlockId b) { return 2 * b.index() + 1; }
  bool nodeDominates(uint32_t a, uint32_t b) const;
  void computeEdges();
  std::vector<uint32_t> computeOrder();
  void computeDominators(const std::vector<uint32_t>& nodeOrder);
  void computeLoops();
  void addLoop(BlockId header, const std::vector<BlockId>& latches);

  const FunctionBody& body_;
  std::vector<std::vector<BlockId>> successors_, predecessors_;
  std::vector<BlockId> rpo_;
  std::vector<uint32_t> rpoIndex_;
  std::vector<uint32_t> domIn_, domOut_;  // per node: interval in a walk of the dominator tree; domIn_ 0 is unreachable
  std::vector<Loop> loops_;
  std::vector<int> loopOf_;
  std::vector<bool> isHeader_;
  std::vector<BlockId> irreducible_;
  std::vector<uint32_t> firstInstr_;
  uint32_t instrCount_ = 0;
};

}  // namespace jvmc::ir
