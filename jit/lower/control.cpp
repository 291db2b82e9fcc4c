// Terminators.
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;

// A loop that polls in each round gains nothing from being unrolled: every copy would come with the cold code of its
// safepoints. Where rounds are cheap enough for that to matter, strip-mining has taken the poll out.
void FunctionLowering::lowerBr(const Instr& instr) {
  branchTo(instr.targets[0]);
  const auto& instrs = body_[current_].instrs;
  if (current_.value == 0 || instrs.front().op != ir::Opcode::kPoll) return;
  llvm::LLVMContext& context = unit_.context();
  llvm::MDNode* disable = llvm::MDNode::get(context, llvm::MDString::get(context, "llvm.loop.unroll.disable"));
  llvm::MDNode* loop = llvm::MDNode::getDistinct(context, {nullptr, disable});
  loop->replaceOperandWith(0, loop);
  b_.GetInsertBlock()->getTerminator()->setMetadata(llvm::LLVMContext::MD_loop, loop);
}

void FunctionLowering::lowerBrIf(const Instr& instr) {
  const ir::BlockCall &yes = instr.targets[0], &no = instr.targets[1];
  llvm::Value* condition = b_.CreateIsNotNull(value(instr.operands[0]));
  llvm::BasicBlock *from = b_.GetInsertBlock(), *yesBlock = blocks_[yes.block.index()],
                   *noBlock = blocks_[no.block.index()];
  addIncoming(yes, from);
  if (yes.block != no.block) {
    addIncoming(no, from);
    b_.CreateCondBr(condition, yesBlock, noBlock);
    return;
  }
  // Both ways to one block with different arguments: a phi knows a predecessor only once, so one way gets its own
  // block.
  llvm::BasicBlock* detour = newBlock("");
  b_.CreateCondBr(condition, yesBlock, detour);
  b_.SetInsertPoint(detour);
  branchTo(no);
}

void FunctionLowering::lowerSwitch(const Instr& instr) {
  // Each edge has its own block, for the same reason; LLVM folds those that carry nothing.
  auto edge = [&](const ir::BlockCall& target) {
    llvm::IRBuilder<>::InsertPointGuard guard(b_);
    llvm::BasicBlock* block = newBlock("");
    b_.SetInsertPoint(block);
    branchTo(target);
    return block;
  };
  llvm::Value* condition = value(instr.operands[0]);
  llvm::SwitchInst* sw = b_.CreateSwitch(condition, edge(instr.targets[0]), unsigned(instr.cases.size()));
  for (size_t i = 0; i < instr.cases.size(); ++i)
    sw->addCase(b_.getInt32(uint32_t(instr.cases[i])), edge(instr.targets[i + 1]));
}

void FunctionLowering::lowerReturn(const Instr& instr) {
  emitReturn(instr.operands.empty() ? nullptr : value(instr.operands[0]));
}

void FunctionLowering::lowerThrow(const Instr& instr) {
  callHelper(Helper::throwObject, {value(instr.operands[0])});
  raise(instr);
}

// A verified program may reach it all the same; it must not take the node down.
void FunctionLowering::lowerUnreachable(const Instr& instr) {
  callHelper(Helper::throwBuiltin, {b_.getInt32(uint32_t(rt::BuiltinThrow::AbstractMethod)), b_.getInt32(0)});
  leaveWithException();
}

}  // namespace jvmc::jit
