// Coherence markers; what becomes of them is in coherence.h. (Polls: safepoints.cpp.)
#include <bit>

#include "jit/coherence.h"
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;

void FunctionLowering::lowerCoherenceToken(const Instr& instr) {
  setResult(instr, loadContext(b_.getInt64Ty(), offsetof(rt::ThreadContext, epoch)));
}

// The token is the last operand of every check. For ranges and elements of an array there are two markers more.
//
// The object may be null, and then the marker must not run. Nearly always the access that the check is for follows at
// once and throws for null; that exception is raised here already, which leaves the marker unconditional and thus free
// to be hoisted. For a cast or type test of null, which throws nothing, the marker is skipped.
void FunctionLowering::lowerCheck(const Instr& instr) {
  bool isWrite =
      instr.op == Opcode::kCheckWrite || instr.op == Opcode::kCheckRangeWrite || instr.op == Opcode::kCheckElemWrite;
  CheckKind kind = isWrite ? CheckKind::Write : CheckKind::Read;
  bool isRange = instr.op == Opcode::kCheckRangeRead || instr.op == Opcode::kCheckRangeWrite;
  bool isElement = instr.op == Opcode::kCheckElemRead || instr.op == Opcode::kCheckElemWrite;
  llvm::Value *object = value(instr.operands[0]), *token = value(instr.operands.back());
  auto mark = [&](llvm::Value* notNull) {
    llvm::CallInst* copy = b_.CreateCall(checkMarker(unit_.module(), kind), {notNull, token, ctx_});
    copy->addRetAttr(llvm::Attribute::NonNull);
    if (!isRange && !isElement) return copy;
    llvm::Value* low = value(instr.operands[1]);
    llvm::Value* high = isRange ? value(instr.operands[2]) : b_.CreateAdd(low, b_.getInt32(1));
    llvm::Value* whole = b_.CreateCall(wholeMarker(unit_.module()), {copy, token, ctx_});
    const uint64_t bytes = ir::storageBytes(unit_.kind(elementType(instr.operands[0])));
    llvm::Value* log2 = b_.getInt32(isRange ? kRange : uint32_t(std::countr_zero(bytes)));
    llvm::CallInst* part =
        b_.CreateCall(elementsMarker(unit_.module(), kind), {copy, low, high, log2, whole, token, ctx_});
    part->addRetAttr(llvm::Attribute::NonNull);
    return part;
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
