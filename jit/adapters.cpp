#include "jit/adapters.h"

namespace jvmc::jit {
namespace {

char letter(ir::TypeKind kind) {
  switch (kind) {
    case ir::TypeKind::Void:
      return 'v';
    case ir::TypeKind::I32:
      return 'i';
    case ir::TypeKind::I64:
      return 'l';
    case ir::TypeKind::F32:
      return 'f';
    case ir::TypeKind::F64:
      return 'd';
    default:
      return 'r';
  }
}

llvm::Value* slotAddress(llvm::IRBuilder<>& b, llvm::Value* slots, size_t i) {
  return b.CreateConstInBoundsGEP1_64(b.getInt64Ty(), slots, i);
}

void defineC2i(Unit& unit, const ir::FunctionDecl& decl, const std::string& key) {
  llvm::Function* f = unit.define(c2iSymbol(key), unit.compiledSignature(decl.params, decl.result));
  f->getArg(1)->addAttr(llvm::Attribute::Nest);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(unit.context(), "", f));
  auto allocate = [&](size_t n) {
    return b.CreateAlloca(b.getInt64Ty(), b.getInt32(uint32_t(std::max<size_t>(n, 1))));
  };
  llvm::Value *arguments = allocate(decl.params.size()), *result = allocate(1);
  for (size_t i = 0; i < decl.params.size(); ++i)
    b.CreateStore(unit.toSlot(b, f->getArg(unsigned(i) + 2)), slotAddress(b, arguments, i));
  // While unwinding nobody looks at the result, but it must not be a stale reference on the stack of a collector's
  // scan.
  b.CreateStore(b.getInt64(0), result);
  b.CreateCall(unit.helper(Helper::interpret), {f->getArg(0), f->getArg(1), arguments, result});
  if (decl.result == ir::kVoid) {
    b.CreateRetVoid();
    return;
  }
  b.CreateRet(unit.fromSlot(b, b.CreateLoad(b.getInt64Ty(), result), f->getReturnType()));
}

void defineI2c(Unit& unit, const ir::FunctionDecl& decl, const std::string& key) {
  llvm::Type* pointer = llvm::PointerType::getUnqual(unit.context());
  auto* type =
      llvm::FunctionType::get(llvm::Type::getVoidTy(unit.context()), {pointer, pointer, pointer, pointer}, false);
  llvm::Function* f = unit.define(i2cSymbol(key), type);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(unit.context(), "", f));
  llvm::Value *cell = f->getArg(1), *arguments = f->getArg(2), *result = f->getArg(3);
  llvm::FunctionType* signature = unit.compiledSignature(decl.params, decl.result);
  std::vector<llvm::Value*> values{f->getArg(0), cell};
  for (size_t i = 0; i < decl.params.size(); ++i)
    values.push_back(unit.fromSlot(b, b.CreateLoad(b.getInt64Ty(), slotAddress(b, arguments, i)),
                                   signature->getParamType(unsigned(i) + 2)));
  llvm::LoadInst* entry = b.CreateLoad(pointer, cell);
  entry->setAtomic(llvm::AtomicOrdering::Acquire);
  llvm::CallInst* call = b.CreateCall(signature, entry, values);
  call->addParamAttr(1, llvm::Attribute::Nest);
  call->setDoesNotThrow();
  if (decl.result != ir::kVoid) b.CreateStore(unit.toSlot(b, call), result);
  b.CreateRetVoid();
}

}  // namespace

std::string signatureKey(const ir::Module& module, const ir::FunctionDecl& function) {
  std::string key;
  for (ir::TypeId p : function.params) key += letter(module.types[p].kind);
  return key + '>' + letter(module.types[function.result].kind);
}

void defineAdapters(Unit& unit, const ir::FunctionDecl& function, const std::string& key) {
  defineC2i(unit, function, key);
  defineI2c(unit, function, key);
}

// It takes no more than context and cell: further arguments and the result do not matter to a callee that only throws.
void defineAbstractMethod(Unit& unit) {
  llvm::Function* f = unit.define(std::string(kAbstractSymbol), unit.compiledSignature({}, ir::kVoid));
  f->getArg(1)->addAttr(llvm::Attribute::Nest);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(unit.context(), "", f));
  uint32_t what = uint32_t(rt::BuiltinThrow::AbstractMethod);
  b.CreateCall(unit.helper(Helper::throwBuiltin), {f->getArg(0), b.getInt32(what), b.getInt32(0)});
  b.CreateRetVoid();
}

}  // namespace jvmc::jit
