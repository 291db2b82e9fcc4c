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
//
// The object may be null, and then the marker must not run. Nearly always the access that the check is for follows at
// once and throws for null; that exception is raised here already, which leaves the marker unconditional and thus free
// to be hoisted. For a cast or type test of null, which throws nothing, the marker is skipped.
void FunctionLowering::lowerCheck(const Instr& instr) {
  bool isWrite =
      instr.op == Opcode::kCheckWrite || instr.op == Opcode::kCheckRangeWrite || instr.op == Opcode::kCheckElemWrite;
  llvm::FunctionCallee marker = checkMarker(unit_.module(), isWrite ? CheckKind::Write : CheckKind::Read);
  llvm::Value *object = value(instr.operands[0]), *token = value(instr.operands.back());
  auto mark = [&](llvm::Value* notNull) {
    llvm::CallInst* call = b_.CreateCall(marker, {notNull, token, ctx_});
    call->addRetAttr(llvm::Attribute::NonNull);
    return call;
  };
  if (!(instr.flags & ir::kNoNullCheck)) {
    const Instr* access = accessOf(instr);
    if (!access) {
      llvm::BasicBlock *from = b_.GetInsertBlock(), *check = newBlock("check"), *done = newBlock("");
      b_.CreateCondBr(b_.CreateIsNull(object), done, check);
      b_.SetInsertPoint(check);
      llvm::Value* checked = mark(object);
      b_.CreateBr(done);
      b_.SetInsertPoint(done);
      llvm::PHINode* phi = b_.CreatePHI(b_.getPtrTy(), 2);
      phi->addIncoming(object, from);
      phi->addIncoming(checked, check);
      return setResult(instr, phi);
    }
    throwIf(b_.CreateIsNull(object), *access, rt::BuiltinThrow::NullPointer);
  }
  setResult(instr, mark(object));
}

// The instruction of this block that a check is for, if it throws for null; else null.
const Instr* FunctionLowering::accessOf(const Instr& check) const {
  const auto& instrs = body_[current_].instrs;
  for (const Instr* next = &check + 1; next <= &instrs.back(); ++next) {
    if (next->info().has(ir::kMarker) && next->op != Opcode::kPoll) continue;
    bool isAccess = !next->operands.empty() && next->operands[0] == check.result && next->frameState.valid();
    bool ignoresNull = next->op == Opcode::kInstanceOf || next->op == Opcode::kCheckCast;
    return isAccess && !ignoresNull ? next : nullptr;
  }
  return nullptr;
}

}  // namespace jvmc::jit
