#include "jit/lower/unit.h"

namespace jvmc::jit {

Unit::Unit(llvm::LLVMContext& context, const rt::ModuleLayout& layout, const llvm::TargetMachine& machine,
           const std::string& name)
    : context_(context),
      layout_(layout),
      module_(std::make_unique<llvm::Module>(name, context)),
      metadata_(context),
      tbaaRoot_(metadata_.createTBAARoot("guest memory")) {
  module_->setDataLayout(machine.createDataLayout());
  module_->setTargetTriple(machine.getTargetTriple().str());
  module_->setFramePointer(llvm::FramePointerKind::All);
  module_->setUwtable(llvm::UWTableKind::Async);
}

llvm::Type* Unit::stackType(ir::TypeId type) {
  return stackType(kind(type));
}

llvm::Type* Unit::stackType(ir::TypeKind kind) {
  bool isSmall = kind == ir::TypeKind::I8 || kind == ir::TypeKind::I16;
  return storageType(isSmall ? ir::TypeKind::I32 : kind);
}

llvm::Type* Unit::storageType(ir::TypeKind kind) {
  switch (kind) {
    case ir::TypeKind::Void:
      return llvm::Type::getVoidTy(context_);
    case ir::TypeKind::I8:
      return llvm::Type::getInt8Ty(context_);
    case ir::TypeKind::I16:
      return llvm::Type::getInt16Ty(context_);
    case ir::TypeKind::I32:
      return llvm::Type::getInt32Ty(context_);
    case ir::TypeKind::I64:
      return llvm::Type::getInt64Ty(context_);
    case ir::TypeKind::F32:
      return llvm::Type::getFloatTy(context_);
    case ir::TypeKind::F64:
      return llvm::Type::getDoubleTy(context_);
    case ir::TypeKind::Null:
    case ir::TypeKind::Ref:
    case ir::TypeKind::Array:
      return llvm::PointerType::getUnqual(context_);
  }
  JVMC_UNREACHABLE(int(kind));
}

llvm::FunctionType* Unit::compiledSignature(const std::vector<ir::TypeId>& params, ir::TypeId result) {
  llvm::Type* pointer = llvm::PointerType::getUnqual(context_);
  std::vector<llvm::Type*> types{pointer, pointer};
  for (ir::TypeId p : params) types.push_back(stackType(p));
  return llvm::FunctionType::get(stackType(result), types, false);
}

llvm::FunctionType* Unit::continuationSignature() {
  llvm::Type* pointer = llvm::PointerType::getUnqual(context_);
  return llvm::FunctionType::get(llvm::Type::getVoidTy(context_), {pointer, pointer, pointer}, false);
}

llvm::Function* Unit::define(const std::string& symbol, llvm::FunctionType* type) {
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, symbol, *module_);
  function->setDoesNotThrow();  // nothing unwinds through generated code by C++ exceptions
  function->setUWTableKind(llvm::UWTableKind::Async);
  function->addFnAttr("frame-pointer", "all");
  llvm::Argument* ctx = function->getArg(0);
  ctx->setName("ctx");
  for (auto kind : {llvm::Attribute::NoAlias, llvm::Attribute::NonNull, llvm::Attribute::NoUndef}) ctx->addAttr(kind);
  ctx->addAttr(llvm::Attribute::getWithDereferenceableBytes(context_, offsetof(rt::ThreadContext, thread)));
  return function;
}

llvm::FunctionCallee Unit::helper(Helper helper) {
  const HelperInfo& info = helperInfo(helper);
  auto typeOf = [&](char letter) -> llvm::Type* {
    switch (letter) {
      case 'v':
        return llvm::Type::getVoidTy(context_);
      case 'i':
        return llvm::Type::getInt32Ty(context_);
      case 'l':
        return llvm::Type::getInt64Ty(context_);
      case 'f':
        return llvm::Type::getFloatTy(context_);
      case 'd':
        return llvm::Type::getDoubleTy(context_);
      default:
        return llvm::PointerType::getUnqual(context_);
    }
  };
  std::vector<llvm::Type*> params{llvm::PointerType::getUnqual(context_)};
  for (char letter : info.params) params.push_back(typeOf(letter));
  auto callee = module_->getOrInsertFunction(info.symbol, llvm::FunctionType::get(typeOf(info.result), params, false));
  llvm::cast<llvm::Function>(callee.getCallee())->setDoesNotThrow();
  return callee;
}

llvm::FunctionCallee Unit::fmod() {
  llvm::Type* f64 = llvm::Type::getDoubleTy(context_);
  auto callee = module_->getOrInsertFunction(kFmodSymbol, llvm::FunctionType::get(f64, {f64, f64}, false));
  auto* function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  function->setWillReturn();
  return callee;
}

llvm::Constant* Unit::external(const std::string& symbol) {
  return llvm::cast<llvm::Constant>(module_->getOrInsertGlobal(symbol, llvm::Type::getInt8Ty(context_)));
}
llvm::Constant* Unit::cell(ir::FunctionId function) {
  return external(cellSymbol(function));
}
llvm::Constant* Unit::classInfo(rt::ClassIndex index) {
  return external(classSymbol(index));
}
llvm::Constant* Unit::classTable() {
  return external(std::string(kClassTableSymbol));
}

llvm::MDNode* Unit::tag(const std::string& name) {
  llvm::MDNode*& node = tags_[name];
  if (!node) {
    llvm::MDNode* type = metadata_.createTBAAScalarTypeNode(name, tbaaRoot_);
    node = metadata_.createTBAAStructTagNode(type, type, 0);
  }
  return node;
}

llvm::MDNode* Unit::fieldTag(const ir::SymbolRef& field, bool isStatic) {
  const char* separator = isStatic ? "::" : ".";
  return tag(program()[field.owner].name + separator + std::to_string(field.member));
}
llvm::MDNode* Unit::elementTag(ir::TypeKind kind) {
  bool isReference = kind >= ir::TypeKind::Null;
  return tag("element " + std::to_string(isReference ? int(ir::TypeKind::Ref) : int(kind)));
}
llvm::MDNode* Unit::headerTag(std::string_view word) {
  return tag("header " + std::string(word));
}

llvm::Value* Unit::toSlot(llvm::IRBuilder<>& b, llvm::Value* value) {
  llvm::Type* type = value->getType();
  if (type->isPointerTy()) return b.CreatePtrToInt(value, b.getInt64Ty());
  if (type->isDoubleTy()) return b.CreateBitCast(value, b.getInt64Ty());
  if (type->isFloatTy()) value = b.CreateBitCast(value, b.getInt32Ty());
  return b.CreateZExt(value, b.getInt64Ty());
}

llvm::Value* Unit::fromSlot(llvm::IRBuilder<>& b, llvm::Value* slot, llvm::Type* type) {
  if (type->isPointerTy()) return b.CreateIntToPtr(slot, type);
  if (type->isDoubleTy()) return b.CreateBitCast(slot, type);
  if (type->isFloatTy()) return b.CreateBitCast(b.CreateTrunc(slot, b.getInt32Ty()), type);
  return b.CreateTrunc(slot, type);
}

}  // namespace jvmc::jit
