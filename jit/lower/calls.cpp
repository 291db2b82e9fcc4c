// Calls. Every call of another function goes through its cell, whose `entry` may change at any moment.
#include "ir/analysis/safepoints.h"
#include "ir/support/fault.h"
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;

llvm::Value* FunctionLowering::slotArray(llvm::ArrayRef<llvm::Value*> values) {
  llvm::IRBuilder<> entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
  llvm::Value* array = entry.CreateAlloca(b_.getInt64Ty(), b_.getInt32(uint32_t(std::max<size_t>(values.size(), 1))));
  for (size_t i = 0; i < values.size(); ++i)
    b_.CreateStore(unit_.toSlot(b_, values[i]), b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), array, i));
  return array;
}

llvm::Value* FunctionLowering::callCell(llvm::Value* cell, const std::vector<ir::TypeId>& params, ir::TypeId result,
                                        llvm::ArrayRef<llvm::Value*> arguments) {
  llvm::LoadInst* entry = b_.CreateLoad(b_.getPtrTy(), cell);
  entry->setAtomic(llvm::AtomicOrdering::Monotonic);
  std::vector<llvm::Value*> all{ctx_, cell};
  all.insert(all.end(), arguments.begin(), arguments.end());
  llvm::CallInst* call = b_.CreateCall(unit_.compiledSignature(params, result), entry, all);
  call->addParamAttr(1, llvm::Attribute::Nest);
  call->setDoesNotThrow();
  return call;
}

// The function that the call runs on an object that is not null, if there is only one.
ir::FunctionId FunctionLowering::directCallee(const Instr& instr) const {
  return instr.op == Opcode::kCall ? instr.symbol.function() : in_.calls.uniqueImplementation(instr.symbol);
}

llvm::Value* FunctionLowering::callFunction(ir::FunctionId callee, const std::vector<ir::TypeId>& params,
                                            ir::TypeId result, llvm::ArrayRef<llvm::Value*> arguments) {
  if (callsItself_ && callee == in_.function) return callSelf(arguments);
  return callCell(unit_.cell(callee), params, result, arguments);
}

llvm::Value* FunctionLowering::callSelf(llvm::ArrayRef<llvm::Value*> arguments) {
  llvm::Value* depth = countsDepth_ ? b_.CreateAdd(outerDepth_, b_.getInt32(1)) : b_.getInt32(0);
  std::vector<llvm::Value*> all{ctx_, b_.CreateIntToPtr(depth, b_.getPtrTy())};
  all.insert(all.end(), arguments.begin(), arguments.end());
  llvm::CallInst* call = b_.CreateCall(function_, all);
  call->addParamAttr(1, llvm::Attribute::Nest);
  if (countsDepth_ && keepsDepth_) storeOwnDepth();
  return call;
}

void FunctionLowering::lowerCall(const Instr& instr) {
  const ir::FunctionDecl& callee = program_[instr.symbol.function()];
  setResult(instr, callFunction(instr.symbol.function(), callee.params, callee.result, operands(instr)));
  if (JVMC_FAULT("no-check-after-a-call")) return;
  checkUnwindingOf(instr, {instr.symbol.function()});
}

// Closed world: if only one implementation exists, the call is direct. Otherwise one load from the class's vtable, or
// from its itable, which is free of collisions. Empty entries lead to a cell that throws AbstractMethodError.
void FunctionLowering::lowerCallVirtual(const Instr& instr) {
  const ir::MethodDecl& method = program_.method(instr.symbol);
  std::vector<llvm::Value*> arguments = operands(instr);
  checkNull(instr, arguments[0]);
  std::vector<ir::TypeId> params{body_[instr.operands[0]].type};
  params.insert(params.end(), method.params.begin(), method.params.end());
  llvm::Value* result;
  if (ir::FunctionId only = in_.calls.uniqueImplementation(instr.symbol); only.valid()) {
    result = callFunction(only, params, method.result, arguments);
  } else {
    bool isInterface = instr.op == Opcode::kCallInterface;
    llvm::Value* info = classInfoOf(arguments[0]);
    llvm::Value *table, *index;
    if (isInterface) {
      table = loadInfo(b_.getPtrTy(), info, offsetof(rt::ClassInfo, itable));
      llvm::Value* mask = loadInfo(b_.getInt32Ty(), info, offsetof(rt::ClassInfo, itableMask));
      index = b_.CreateAnd(mask, b_.getInt32(layout_.selector(instr.symbol)));
    } else {
      table = loadInfo(b_.getPtrTy(), info, offsetof(rt::ClassInfo, vtable));
      index = b_.getInt32(layout_.vtableSlot(instr.symbol));
    }
    llvm::Value* slot = b_.CreateInBoundsGEP(b_.getPtrTy(), table, b_.CreateZExt(index, b_.getInt64Ty()));
    llvm::LoadInst* load = b_.CreateLoad(b_.getPtrTy(), slot);
    load->setMetadata(llvm::LLVMContext::MD_invariant_load, unit_.empty());
    result = callCell(load, params, method.result, arguments);
  }
  setResult(instr, result);
  checkUnwindingOf(instr, in_.calls.implementations(instr.symbol));
}

void FunctionLowering::lowerCallNative(const Instr& instr) {
  const ir::NativeDecl& native = program_[instr.symbol.native()];
  llvm::Value *arguments = slotArray(operands(instr)), *result = slotArray({});
  callHelper(Helper::callNative, {b_.getInt32(instr.symbol.native().value), arguments, result});
  checkUnwinding(instr, MayCapture::Yes);
  if (native.result != ir::kVoid)
    setResult(instr, unit_.fromSlot(b_, b_.CreateLoad(b_.getInt64Ty(), result), unit_.stackType(native.result)));
}

}  // namespace jvmc::jit
