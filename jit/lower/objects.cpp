// Creating objects, and asking for their class.
#include <llvm/IR/InlineAsm.h>

#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using rt::ThreadContext;

// ---------------------------------------------------------------- allocation

// Bump allocation: memory between cursor and limit is zeroed and ours, so only the header is written. The fence keeps
// the header before any store that publishes the object; the opaque copy of the address keeps `invariant` loads of
// class and length below the header's stores, which LLVM would otherwise be free to pass.
llvm::Value* FunctionLowering::bumpAllocate(llvm::Value* bytes, llvm::Value* alsoSlowIf, rt::ClassIndex index,
                                            llvm::Value* length, const std::function<llvm::Value*()>& slow) {
  llvm::Value* cursor = loadContext(b_.getInt64Ty(), offsetof(ThreadContext, allocCursor));
  llvm::Value* limit = loadContext(b_.getInt64Ty(), offsetof(ThreadContext, allocLimit));
  llvm::Value* end = b_.CreateAdd(cursor, bytes);
  llvm::Value* isSlow = b_.CreateICmpUGT(end, limit);
  if (alsoSlowIf) isSlow = b_.CreateOr(alsoSlowIf, isSlow);
  llvm::Value* object = coldValue(isSlow, "allocate", slow, [&]() -> llvm::Value* {
    storeContext(end, offsetof(ThreadContext, allocCursor));
    llvm::Value* fresh = b_.CreateIntToPtr(cursor, b_.getPtrTy());
    b_.CreateStore(b_.getInt64(rt::kEpochHome), fieldAddress(fresh, offsetof(rt::ObjectHeader, epochWord)));
    b_.CreateStore(b_.getInt32(index), fieldAddress(fresh, offsetof(rt::ObjectHeader, classWord)));
    if (length) b_.CreateStore(length, fieldAddress(fresh, rt::kArrayLengthOffset));
    return fresh;
  });
  b_.CreateFence(llvm::AtomicOrdering::Release);
  auto* hide =
      llvm::InlineAsm::get(llvm::FunctionType::get(b_.getPtrTy(), {b_.getPtrTy()}, false), "", "=r,0,~{memory}",
                           /*hasSideEffects=*/true);
  llvm::CallInst* hidden = b_.CreateCall(hide, {object});
  hidden->addRetAttr(llvm::Attribute::NonNull);
  hidden->addRetAttr(llvm::Attribute::NoAlias);
  hidden->setDoesNotThrow();
  return hidden;
}

void FunctionLowering::lowerNew(const Instr& instr) {
  checkInitialised(instr, instr.symbol.owner);
  rt::ClassIndex index = layout_.classIndex(instr.symbol.owner);
  llvm::Value* bytes = b_.getInt64(layout_[instr.symbol.owner].instanceBytes);
  setResult(instr, bumpAllocate(bytes, nullptr, index, nullptr, [&]() -> llvm::Value* {
              llvm::Value* object = callHelper(Helper::newObject, {b_.getInt32(index)});
              checkUnwinding(instr, MayCapture::No);
              return object;
            }));
}

// Long arrays and negative lengths take the slow path by one unsigned compare.
void FunctionLowering::lowerNewArray(const Instr& instr) {
  constexpr uint32_t kInlineLengthMax = 1 << 16;
  rt::ClassIndex index = layout_.arrayIndexOfElement(instr.symbol.type);
  uint32_t elementBytes = ir::storageBytes(unit_.kind(instr.symbol.type));
  llvm::Value* length = value(instr.operands[0]);
  llvm::Value* payload = b_.CreateMul(b_.CreateZExt(length, b_.getInt64Ty()), b_.getInt64(elementBytes));
  llvm::Value* bytes =
      b_.CreateAnd(b_.CreateAdd(payload, b_.getInt64(rt::kArrayElementsOffset + 7)), b_.getInt64(~7ull));
  llvm::Value* isLong = b_.CreateICmpUGT(length, b_.getInt32(kInlineLengthMax));
  setResult(instr, bumpAllocate(bytes, isLong, index, length, [&]() -> llvm::Value* {
              llvm::Value* array = callHelper(Helper::newArray, {b_.getInt32(index), length});
              checkUnwinding(instr, MayCapture::No);
              return array;
            }));
}

void FunctionLowering::lowerNewBytes(const Instr& instr) {
  setResult(instr, callHelper(Helper::newBytes, {b_.getInt32(instr.symbol.member)}));
  checkUnwinding(instr, MayCapture::No);
}

// ---------------------------------------------------------------- classes

// The low 24 bits of the class word never change; the flags above them do, which is why they are masked off at once.
llvm::Value* FunctionLowering::classIndexOf(llvm::Value* object) {
  llvm::LoadInst* word = b_.CreateLoad(b_.getInt32Ty(), fieldAddress(object, offsetof(rt::ObjectHeader, classWord)));
  word->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.headerTag("class"));
  word->setMetadata(llvm::LLVMContext::MD_invariant_load, unit_.empty());
  return b_.CreateAnd(word, b_.getInt32(rt::kClassMask));
}

llvm::Value* FunctionLowering::classInfoOf(llvm::Value* object) {
  llvm::Value* slot =
      b_.CreateInBoundsGEP(b_.getPtrTy(), unit_.classTable(), b_.CreateZExt(classIndexOf(object), b_.getInt64Ty()));
  llvm::LoadInst* info = b_.CreateLoad(b_.getPtrTy(), slot);
  info->setMetadata(llvm::LLVMContext::MD_invariant_load, unit_.empty());
  return info;
}

llvm::Value* FunctionLowering::loadInfo(llvm::Type* type, llvm::Value* info, size_t offset) {
  llvm::LoadInst* load = b_.CreateLoad(type, fieldAddress(info, uint32_t(offset)));
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, unit_.empty());
  return load;
}

// `object` is not null. Classes above the display's depth are one load and compare; the rest asks the runtime,
// interfaces and arrays after a test for the exact class.
llvm::Value* FunctionLowering::isInstance(llvm::Value* object, ir::TypeId target) {
  const ir::Type& type = program_.types[target];
  bool isArray = type.kind == ir::TypeKind::Array;
  if (!isArray && type.classId() == ir::builtin::kObject) return b_.getTrue();
  rt::ClassIndex index = isArray ? layout_.arrayIndex(target) : layout_.classIndex(type.classId());
  if (!isArray && !program_[type.classId()].isInterface) {
    uint32_t depth = 0;
    for (ir::ClassId c = program_[type.classId()].super; c.valid(); c = program_[c].super) ++depth;
    if (depth < rt::kDisplayDepth) {
      size_t offset = offsetof(rt::ClassInfo, display) + depth * sizeof(void*);
      return b_.CreateICmpEQ(loadInfo(b_.getPtrTy(), classInfoOf(object), offset), unit_.classInfo(index));
    }
  }
  llvm::Value* isExact = b_.CreateICmpEQ(classIndexOf(object), b_.getInt32(index));
  return coldValue(
      b_.CreateNot(isExact), "instance.slow",
      [&]() -> llvm::Value* {
        llvm::CallInst* answer = callHelper(Helper::instanceOf, {object, b_.getInt32(index)});
        answer->setOnlyReadsMemory();
        return b_.CreateIsNotNull(answer);
      },
      [&]() -> llvm::Value* { return b_.getTrue(); });
}

void FunctionLowering::lowerInstanceOf(const Instr& instr) {
  llvm::Value* object = value(instr.operands[0]);
  llvm::BasicBlock *from = b_.GetInsertBlock(), *ask = newBlock("instance"), *done = newBlock("");
  b_.CreateCondBr(b_.CreateIsNull(object), done, ask);
  b_.SetInsertPoint(ask);
  llvm::Value* answer = isInstance(object, instr.symbol.type);
  llvm::BasicBlock* asked = b_.GetInsertBlock();
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
  llvm::PHINode* phi = b_.CreatePHI(b_.getInt1Ty(), 2);
  phi->addIncoming(b_.getFalse(), from);
  phi->addIncoming(answer, asked);
  setResult(instr, b_.CreateZExt(phi, b_.getInt32Ty()));
}

void FunctionLowering::lowerCheckCast(const Instr& instr) {
  llvm::Value* object = value(instr.operands[0]);
  llvm::BasicBlock *check = newBlock("cast"), *done = newBlock("");
  b_.CreateCondBr(b_.CreateIsNull(object), done, check);
  b_.SetInsertPoint(check);
  llvm::Value* fits = isInstance(object, instr.symbol.type);
  throwIf(b_.CreateNot(fits), instr, rt::BuiltinThrow::ClassCast, classIndexOf(object));
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
  setResult(instr, object);
}

void FunctionLowering::lowerFreeze(const Instr& instr) {
  callHelper(Helper::freeze, {value(instr.operands[0])});
  checkUnwinding(instr, MayCapture::No);
}

}  // namespace jvmc::jit
