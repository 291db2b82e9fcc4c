// A loop that does nothing but read a volatile until it holds something else: how often it reads makes no difference.
// Its load is marked, so that the home of the object may answer when there is another value instead of at once
// (runtime/sync/spinning.cpp). A load that may run while the loop gets on with something must not be marked: each
// answer would be late.
#include "ir/analysis/cfg.h"
#include "ir/analysis/induction.h"
#include "ir/analysis/safepoints.h"
#include "ir/passes/passes.h"

namespace jvmc::ir {
namespace {

bool isVolatileLoad(const Module& module, const Instr& instr) {
  const bool loads = instr.op == Opcode::kLoadField || instr.op == Opcode::kLoadStatic;
  return instr.op == Opcode::kLoadElemVolatile || (loads && isVolatileAccess(module, instr));
}

/// Neither has an effect nor tells one round of the loop from another.
bool isIdle(const Instr& instr) {
  switch (instr.op) {
    case Opcode::kPoll:
    case Opcode::kSpinHint:
    case Opcode::kThreadYield:
    case Opcode::kFence:
    case Opcode::kBr:
    case Opcode::kBrIf:
    case Opcode::kSwitch:
      return true;
    default:
      return instr.info().has(kPure);
  }
}

/// Each round begins with the same values.
bool isRepetitive(const FunctionBody& body, const Loop& loop) {
  const std::vector<ValueId>& params = body[loop.header].params;
  for (BlockId b : loop.blocks)
    for (const BlockCall& target : body[b].instrs.back().targets)
      if (target.block == loop.header && target.args != params) return false;
  return true;
}

/// The only thing of the loop that can end it. Null: it may do something, or not wait at all.
Instr* awaitedLoad(const Module& module, FunctionBody& body, const Loop& loop) {
  Instr* load = nullptr;
  for (BlockId b : loop.blocks) {
    for (Instr& instr : body[b].instrs) {
      if (isIdle(instr)) continue;
      if (load || !isVolatileLoad(module, instr) || module.types[body[instr.result].type].isReference()) return nullptr;
      for (ValueId operand : instr.operands)
        if (!isInvariant(body, loop, operand)) return nullptr;
      load = &instr;
    }
  }
  return load;
}

}  // namespace

void runSpinWaits(const PassContext& context, FunctionBody& body) {
  const Cfg cfg(body);
  for (const Loop& loop : cfg.loops())
    if (isRepetitive(body, loop))
      if (Instr* load = awaitedLoad(context.module, body, loop)) load->flags |= kAwaitsChange;
}

}  // namespace jvmc::ir
