// Accesses to references that are known not to be null lose their check, and with it their place for the stack trace if
// nothing else can go wrong there.
#include "ir/analysis/safepoints.h"
#include "ir/passes/null_facts.h"
#include "ir/passes/passes.h"

namespace jvmc::ir {

void dropStateOfSafeInstr(const Module& module, const FunctionBody& body, Instr& instr) {
  bool isSafepoint = safepointKind(module, instr) != SafepointKind::None;
  if (!isSafepoint && !mayThrow(body, instr)) instr.frameState = FrameStateId();
}

void runNullCheckElimination(const PassContext& context, FunctionBody& body) {
  Cfg cfg(body);
  NullFacts facts(body, cfg);
  for (BlockId b : cfg.reversePostOrder()) {
    facts.walk(b, [&](uint32_t i, auto nonNull) {
      Instr& instr = body[b].instrs[i];
      if (!checksFirstOperand(instr.op) || !nonNull(instr.operands[0])) return;
      instr.flags |= kNoNullCheck;
      dropStateOfSafeInstr(context.module, body, instr);
    });
  }
}

}  // namespace jvmc::ir
