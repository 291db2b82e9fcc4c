// Pure instructions and lengths of known arrays that do not change in a loop move in front of it. LLVM does the same
// later; here it lets the passes that follow see limits and indexes as what they are.
#include "ir/passes/null_facts.h"
#include "ir/passes/passes.h"
#include "ir/passes/preheader.h"

namespace jvmc::ir {
namespace {

bool isMovable(const Instr& instr) {
  if (instr.op == Opcode::kArrayLength) return instr.flags & kNoNullCheck;
  return instr.info().has(kPure);
}

void hoist(FunctionBody& body, const Loop& loop, BlockId front) {
  auto allInvariant = [&](const Instr& instr) {
    for (ValueId v : instr.operands)
      if (!isInvariant(body, loop, v)) return false;
    return true;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (BlockId b : loop.blocks) {
      auto& instrs = body[b].instrs;
      for (size_t i = 0; i < instrs.size();) {
        if (!isMovable(instrs[i]) || !allInvariant(instrs[i])) {
          ++i;
          continue;
        }
        Instr moved = std::move(instrs[i]);
        instrs.erase(instrs.begin() + ptrdiff_t(i));
        body[moved.result].block = front;
        auto& to = body[front].instrs;
        to.insert(to.end() - 1, std::move(moved));
        changed = true;
      }
    }
  }
}

// A length may move if its array is known not to be null in front of the loop already.
void flagLengths(FunctionBody& body, const Cfg& cfg, const Loop& loop, BlockId front) {
  NullFacts facts(body, cfg);
  for (BlockId b : loop.blocks)
    for (Instr& instr : body[b].instrs)
      if (instr.op == Opcode::kArrayLength && isInvariant(body, loop, instr.operands[0]))
        if (facts.nonNullAtEnd(front, instr.operands[0])) {
          instr.flags |= kNoNullCheck;
          instr.frameState = FrameStateId();
        }
}

// Flags from checks inside the loop say nothing about the place in front of it.
bool hasUnmovableLength(const FunctionBody& body, const Loop& loop) {
  for (BlockId b : loop.blocks)
    for (const Instr& instr : body[b].instrs)
      if (instr.op == Opcode::kArrayLength && !(instr.flags & kNoNullCheck)) return true;
  return false;
}

}  // namespace

// Runs before null_check_elimination: the only lengths with a flag here are those that strip_mining and this pass made.
void runLoopInvariants(const PassContext&, FunctionBody& body) {
  makePreheaders(body);
  Cfg cfg(body);
  for (size_t l = cfg.loops().size(); l-- > 0;) {
    const Loop& loop = cfg.loops()[l];
    BlockId front = findPreheader(body, cfg, loop);
    if (hasUnmovableLength(body, loop)) flagLengths(body, cfg, loop, front);
    hoist(body, loop, front);
  }
}

}  // namespace jvmc::ir
