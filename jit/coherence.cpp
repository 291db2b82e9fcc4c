#include "jit/coherence.h"

#include <llvm/IR/InstIterator.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include "ir/support/fault.h"

namespace jvmc::jit {
namespace {

using llvm::IRBuilder;

std::string_view markerName(CheckKind kind) {
  return kind == CheckKind::Read ? "jvmc.check.read" : "jvmc.check.write";
}

llvm::FunctionCallee declareStub(llvm::Module& module, CheckKind kind) {
  llvm::Type* pointer = llvm::PointerType::getUnqual(module.getContext());
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(module.getContext()), {pointer, pointer}, false);
  llvm::FunctionCallee stub = module.getOrInsertFunction(checkStub(kind), type);
  auto* function = llvm::cast<llvm::Function>(stub.getCallee());
  function->setCallingConv(llvm::CallingConv::PreserveAll);
  function->setDoesNotThrow();
  return stub;
}

llvm::Value* headerWord(IRBuilder<>& b, llvm::Value* object) {
  llvm::LoadInst* word = b.CreateLoad(b.getInt64Ty(), object);
  word->setAtomic(llvm::AtomicOrdering::Monotonic);
  return word;
}

// i1: the copy is fresh, and this thread is its writer.
llvm::Value* isWritersCopy(IRBuilder<>& b, llvm::Value* word, llvm::Value* token, llvm::Value* ctx) {
  llvm::Value* slot = b.CreateLoad(
      b.getInt64Ty(), b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), ctx, offsetof(rt::ThreadContext, writerSlot)));
  // A thread that has no slot must not take the 0 of "no writer" for its own.
  llvm::Value* isWriter =
      b.CreateAnd(b.CreateICmpEQ(b.CreateAnd(word, b.getInt64(rt::kWriterMask)), slot), b.CreateIsNotNull(slot));
  return b.CreateAnd(b.CreateICmpUGE(word, token), isWriter);
}

void expand(llvm::CallInst* marker, CheckKind kind) {
  llvm::Value *object = marker->getArgOperand(0), *token = marker->getArgOperand(1), *ctx = marker->getArgOperand(2);
  IRBuilder<> b(marker);
  const auto isRare = [&b](llvm::Value* condition, llvm::Instruction* before, uint32_t often) {
    llvm::MDNode* weights = llvm::MDBuilder(b.getContext()).createBranchWeights(1, often);
    b.SetInsertPoint(llvm::SplitBlockAndInsertIfThen(condition, before->getIterator(), /*Unreachable=*/false, weights));
  };
  constexpr uint32_t kNearlyAlways = 1 << 20, kMostly = 4;
  llvm::Value* word = headerWord(b, object);
  if (kind == CheckKind::Read || JVMC_FAULT("write-check-asks-for-freshness-only")) {
    isRare(b.CreateICmpULT(word, token), marker, kNearlyAlways);
  } else {
    // Nothing about writers is looked at before it is known that the object is not at home.
    isRare(b.CreateICmpULT(word, b.getInt64(rt::kEpochHome)), marker, kMostly);
    llvm::Instruction* end = b.GetInsertBlock()->getTerminator();
    isRare(b.CreateNot(isWritersCopy(b, word, token, ctx)), end, kNearlyAlways);
  }
  llvm::CallInst* slow = b.CreateCall(declareStub(*marker->getModule(), kind), {ctx, object});
  slow->setCallingConv(llvm::CallingConv::PreserveAll);
  slow->addFnAttr(llvm::Attribute::Cold);
  marker->replaceAllUsesWith(object);
  marker->eraseFromParent();
}

}  // namespace

std::string_view checkStub(CheckKind kind) {
  return kind == CheckKind::Read ? "stub.checkRead" : "stub.checkWrite";
}

llvm::FunctionCallee checkMarker(llvm::Module& module, CheckKind kind) {
  llvm::LLVMContext& context = module.getContext();
  llvm::Type* pointer = llvm::PointerType::getUnqual(context);
  auto* type = llvm::FunctionType::get(pointer, {pointer, llvm::Type::getInt64Ty(context), pointer}, false);
  llvm::FunctionCallee marker = module.getOrInsertFunction(markerName(kind), type);
  auto* function = llvm::cast<llvm::Function>(marker.getCallee());
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  function->setWillReturn();
  function->addFnAttr(llvm::Attribute::NoSync);
  function->addFnAttr(llvm::Attribute::NoFree);
  return marker;  // not `speculatable`: above its null check the object may be null
}

llvm::PreservedAnalyses ExpandChecks::run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
  std::vector<std::pair<llvm::CallInst*, CheckKind>> markers;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
    llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
    if (!callee) continue;
    for (CheckKind kind : {CheckKind::Read, CheckKind::Write})
      if (callee->getName() == llvm::StringRef(markerName(kind))) markers.emplace_back(call, kind);
  }
  if (markers.empty()) return llvm::PreservedAnalyses::all();
  for (auto [call, kind] : markers) expand(call, kind);
  function.removeFnAttr(llvm::Attribute::Memory);
  function.removeFnAttr(llvm::Attribute::NoSync);
  return llvm::PreservedAnalyses::none();
}

void defineCheckStubs(Unit& unit, const llvm::TargetMachine& machine) {
  // The code generator clears the upper halves of vector registers before a return, also in a function that promises to
  // keep them: without this, code that holds a vector across a check loses half of it.
  std::string features = (machine.getTargetFeatureString() + ",-vzeroupper").str();
  for (CheckKind kind : {CheckKind::Read, CheckKind::Write}) {
    auto* stub = llvm::cast<llvm::Function>(declareStub(unit.module(), kind).getCallee());
    stub->setUWTableKind(llvm::UWTableKind::Async);
    stub->addFnAttr("frame-pointer", "all");
    stub->addFnAttr("target-cpu", machine.getTargetCPU());
    if (machine.getTargetTriple().isX86()) stub->addFnAttr("target-features", features);
    IRBuilder<> b(llvm::BasicBlock::Create(unit.context(), "", stub));
    b.CreateCall(unit.helper(kind == CheckKind::Read ? Helper::checkRead : Helper::checkWrite),
                 {stub->getArg(0), stub->getArg(1)});
    b.CreateRetVoid();
  }
}

}  // namespace jvmc::jit
