// Arrays. An index is checked by one unsigned compare with the length; lengths are never negative.
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;

ir::TypeId FunctionLowering::elementType(ir::ValueId array) const {
  const ir::Type& type = program_.types[body_[array].type];
  // The literal null has no element type; the access throws before it matters.
  return type.kind == ir::TypeKind::Array ? type.element() : ir::kI32;
}

// The object was checked for null. The length of an array never changes.
llvm::Value* FunctionLowering::arrayLength(ir::ValueId array) {
  llvm::LoadInst* length = b_.CreateLoad(b_.getInt32Ty(), fieldAddress(value(array), rt::kArrayLengthOffset));
  length->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.headerTag("length"));
  length->setMetadata(llvm::LLVMContext::MD_invariant_load, unit_.empty());
  length->setMetadata(llvm::LLVMContext::MD_range,
                      unit_.metadata().createRange(llvm::APInt(32, 0), llvm::APInt(32, 1u << 31)));
  return length;
}

// Operand 0 is the array, operand 1 the index.
llvm::Value* FunctionLowering::elementAddress(const Instr& instr, ir::TypeKind element) {
  llvm::Value *array = value(instr.operands[0]), *index = value(instr.operands[1]);
  checkNull(instr, array);
  if (!(instr.flags & ir::kNoBoundsCheck))
    throwIf(b_.CreateICmpUGE(index, arrayLength(instr.operands[0])), instr, rt::BuiltinThrow::ArrayIndex, index);
  llvm::Value* elements = fieldAddress(array, rt::kArrayElementsOffset);
  return b_.CreateInBoundsGEP(unit_.storageType(element), elements, b_.CreateSExt(index, b_.getInt64Ty()));
}

void FunctionLowering::lowerArrayLength(const Instr& instr) {
  checkNull(instr, value(instr.operands[0]));
  setResult(instr, arrayLength(instr.operands[0]));
}

void FunctionLowering::lowerLoadElem(const Instr& instr) {
  ir::TypeKind kind = unit_.kind(elementType(instr.operands[0]));
  setResult(instr, loadTyped(instr, elementAddress(instr, kind), kind, unit_.elementTag(kind)));
}

void FunctionLowering::lowerStoreElem(const Instr& instr) {
  ir::TypeKind kind = unit_.kind(elementType(instr.operands[0]));
  llvm::Value *address = elementAddress(instr, kind), *element = value(instr.operands[2]);
  llvm::Value* array = value(instr.operands[0]);
  if (kind >= ir::TypeKind::Null) checkStore(instr, array, element);
  storeTyped(array, address, element, kind, unit_.elementTag(kind));
}

// Arrays are covariant: what fits the static type need not fit the array. The usual case is an exact match of the
// array's element class, told by two loads.
void FunctionLowering::checkStore(const Instr& instr, llvm::Value* array, llvm::Value* element) {
  if (instr.flags & ir::kNoStoreCheck) return;
  if (llvm::isa<llvm::ConstantPointerNull>(element)) return;
  llvm::BasicBlock *check = newBlock("store.check"), *done = newBlock("");
  b_.CreateCondBr(b_.CreateIsNull(element), done, check);
  b_.SetInsertPoint(check);
  llvm::Value* wanted = loadInfo(b_.getPtrTy(), classInfoOf(array), offsetof(rt::ClassInfo, element));
  coldPath(b_.CreateICmpNE(wanted, classInfoOf(element)), "store.check.slow", [&] {
    llvm::CallInst* fits = callHelper(Helper::arrayStoreCheck, {array, element});
    fits->setOnlyReadsMemory();
    throwIf(b_.CreateIsNull(fits), instr, rt::BuiltinThrow::ArrayStore, classIndexOf(element));
  });
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
}

void FunctionLowering::lowerArrayCopy(const Instr& instr) {
  callHelper(Helper::arrayCopy, operands(instr));
  checkUnwinding(instr, MayCapture::No);
}

void FunctionLowering::lowerArrayFill(const Instr& instr) {
  std::vector<llvm::Value*> arguments = operands(instr);
  arguments[3] = unit_.toSlot(b_, arguments[3]);
  callHelper(Helper::arrayFill, arguments);
  checkUnwinding(instr, MayCapture::No);
}

}  // namespace jvmc::jit
