// Coherence markers; what becomes of them is in coherence.h. (Polls: safepoints.cpp.)
#include "jit/coherence.h"
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;

void FunctionLowering::lowerCoherenceToken(const Instr& instr) {
  setResult(instr, loadContext(b_.getInt64Ty(), offsetof(rt::ThreadContext, epoch)));
}

// The token is the last operand of every check. Ranges and elements of an array are checked by its header.
void FunctionLowering::lowerCheck(const Instr& instr) {
  bool isWrite = instr.op == Opcode::kCheckWrite || instr.op == Opcode::kCheckRangeWrite ||
                 instr.op == Opcode::kCheckElemWrite;
  llvm::FunctionCallee marker = checkMarker(unit_.module(), isWrite ? CheckKind::Write : CheckKind::Read);
  setResult(instr, b_.CreateCall(marker, {value(instr.operands[0]), value(instr.operands.back()), ctx_}));
}

}  // namespace jvmc::jit
