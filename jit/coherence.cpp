#include "jit/coherence.h"

#include <llvm/IR/Dominators.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include "ir/support/fault.h"
#include "runtime/abi/array_chunks.h"

namespace jvmc::jit {
namespace {

using llvm::IRBuilder;

constexpr std::string_view kWholeMarker = "jvmc.check.whole";

std::string_view markerName(CheckKind kind) {
  return kind == CheckKind::Read ? "jvmc.check.read" : "jvmc.check.write";
}
std::string_view elementsMarkerName(CheckKind kind) {
  return kind == CheckKind::Read ? "jvmc.check.elements.read" : "jvmc.check.elements.write";
}

llvm::FunctionCallee declareStub(llvm::Module& module, std::string_view name, llvm::ArrayRef<llvm::Type*> parameters) {
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(module.getContext()), parameters, false);
  llvm::FunctionCallee stub = module.getOrInsertFunction(name, type);
  auto* function = llvm::cast<llvm::Function>(stub.getCallee());
  function->setCallingConv(llvm::CallingConv::PreserveAll);
  function->setDoesNotThrow();
  return stub;
}

llvm::FunctionCallee declareCheckStub(llvm::Module& module, CheckKind kind) {
  llvm::Type* pointer = llvm::PointerType::getUnqual(module.getContext());
  return declareStub(module, checkStub(kind), {pointer, pointer});
}

llvm::FunctionCallee declareElementsStub(llvm::Module& module, CheckKind kind) {
  llvm::Type* pointer = llvm::PointerType::getUnqual(module.getContext());
  llvm::Type* index = llvm::Type::getInt32Ty(module.getContext());
  return declareStub(module, elementsStub(kind), {pointer, pointer, index, index});
}

llvm::FunctionCallee declareMarker(llvm::Module& module, std::string_view name, llvm::FunctionType* type) {
  llvm::FunctionCallee marker = module.getOrInsertFunction(name, type);
  auto* function = llvm::cast<llvm::Function>(marker.getCallee());
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  function->setWillReturn();
  function->addFnAttr(llvm::Attribute::NoSync);
  function->addFnAttr(llvm::Attribute::NoFree);
  return marker;  // not `speculatable`: above its null check the object may be null
}

llvm::Value* headerWord(IRBuilder<>& b, llvm::Value* object) {
  llvm::LoadInst* word = b.CreateLoad(b.getInt64Ty(), object);
  word->setAtomic(llvm::AtomicOrdering::Monotonic);
  return word;
}

// The same for one comparison alone, of which it becomes a part: not atomic, because the code generator leaves atomic
// loads apart. Whichever of two values it finds, it finds it once.
llvm::Value* headerOperand(IRBuilder<>& b, llvm::Value* object) {
  return b.CreateLoad(b.getInt64Ty(), object);
}

// i1: the copy is fresh, and this thread is its writer. (CHUNKED has no writer.)
llvm::Value* isWritersCopy(IRBuilder<>& b, llvm::Value* word, llvm::Value* token, llvm::Value* ctx) {
  llvm::Value* slot = b.CreateLoad(
      b.getInt64Ty(), b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), ctx, offsetof(rt::ThreadContext, writerSlot)));
  // A thread that has no slot must not take the 0 of "no writer" for its own.
  llvm::Value* isWriter =
      b.CreateAnd(b.CreateICmpEQ(b.CreateAnd(word, b.getInt64(rt::kWriterMask)), slot), b.CreateIsNotNull(slot));
  return b.CreateAnd(b.CreateICmpUGE(word, token), isWriter);
}

constexpr uint32_t kNearlyAlways = 1 << 20, kMostly = 4;

// Instructions that follow run if `condition` holds, seldom, and end before `before`.
void onlyIf(IRBuilder<>& b, llvm::Value* condition, llvm::Instruction* before, uint32_t often) {
  llvm::MDNode* weights = llvm::MDBuilder(b.getContext()).createBranchWeights(1, often);
  b.SetInsertPoint(llvm::SplitBlockAndInsertIfThen(condition, before->getIterator(), /*Unreachable=*/false, weights));
}

void callStub(IRBuilder<>& b, llvm::FunctionCallee stub, llvm::ArrayRef<llvm::Value*> arguments) {
  llvm::CallInst* call = b.CreateCall(stub, arguments);
  call->setCallingConv(llvm::CallingConv::PreserveAll);
  call->addFnAttr(llvm::Attribute::Cold);
}

void expandCheck(llvm::CallInst* marker, CheckKind kind) {
  llvm::Value *object = marker->getArgOperand(0), *token = marker->getArgOperand(1), *ctx = marker->getArgOperand(2);
  IRBuilder<> b(marker);
  if (kind == CheckKind::Read || JVMC_FAULT("write-check-asks-for-freshness-only")) {
    onlyIf(b, b.CreateICmpULT(headerOperand(b, object), token), marker, kNearlyAlways);
  } else {
    // Nothing about writers is looked at before it is known that the object is not at home.
    onlyIf(b, b.CreateICmpULT(headerOperand(b, object), b.getInt64(rt::kEpochHome)), marker, kMostly);
    llvm::Instruction* end = b.GetInsertBlock()->getTerminator();
    onlyIf(b, b.CreateNot(isWritersCopy(b, headerWord(b, object), token, ctx)), end, kNearlyAlways);
  }
  callStub(b, declareCheckStub(*marker->getModule(), kind), {ctx, object});
  marker->replaceAllUsesWith(object);
}

llvm::Value* isChunked(IRBuilder<>& b, llvm::Value* word) {
  return b.CreateICmpEQ(b.CreateLShr(word, uint64_t(rt::kEpochShift)),
                        b.getInt64(rt::kEpochChunked >> rt::kEpochShift));
}

void expandWhole(llvm::CallInst* marker) {
  IRBuilder<> b(marker);
  marker->replaceAllUsesWith(b.CreateNot(isChunked(b, headerWord(b, marker->getArgOperand(0)))));
}

// i32. Of a copy that may not be there yet: not to be taken for the length that is read when it is.
llvm::Value* lengthOfCopy(IRBuilder<>& b, llvm::Value* array) {
  llvm::LoadInst* length = b.CreateLoad(
      b.getInt32Ty(), b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), array, uint64_t(rt::kArrayLengthOffset)));
  length->setAtomic(llvm::AtomicOrdering::Monotonic);
  return length;
}

// ptr: to the state of the chunk that an element inside the array is in, which begins with its epoch word.
llvm::Value* chunkState(IRBuilder<>& b, llvm::Value* array, llvm::Value* index, uint64_t log2, llvm::Value* ctx) {
  llvm::Value* offset = b.CreateShl(b.CreateZExt(index, b.getInt64Ty()), log2);
  llvm::Value* first = b.CreateAdd(b.CreatePtrToInt(array, b.getInt64Ty()), b.getInt64(rt::kArrayElementsOffset));
  llvm::Value* chunk = b.CreateLShr(b.CreateAdd(first, offset), uint64_t(rt::kArrayChunkShift));
  llvm::Value* states = b.CreateLoad(
      b.getInt64Ty(), b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), ctx, offsetof(rt::ThreadContext, chunkStates)));
  llvm::Value* state = b.CreateAdd(states, b.CreateMul(chunk, b.getInt64(sizeof(rt::ChunkState))));
  return b.CreateIntToPtr(state, b.getPtrTy());
}

void expandElements(llvm::CallInst* marker, CheckKind kind) {
  llvm::Value *array = marker->getArgOperand(0), *low = marker->getArgOperand(1), *high = marker->getArgOperand(2);
  const uint64_t log2 = llvm::cast<llvm::ConstantInt>(marker->getArgOperand(3))->getZExtValue();
  llvm::Value *whole = marker->getArgOperand(4), *token = marker->getArgOperand(5), *ctx = marker->getArgOperand(6);
  IRBuilder<> b(marker);
  onlyIf(b, b.CreateNot(whole), marker, kNearlyAlways);
  if (log2 != kRange) {
    // Beyond the array there is no chunk to look at: the access will throw.
    llvm::Value* length = lengthOfCopy(b, array);
    onlyIf(b, b.CreateICmpULT(low, length), b.GetInsertBlock()->getTerminator(), kMostly);
    llvm::Value* word = headerWord(b, chunkState(b, array, low, log2, ctx));
    llvm::Value* good = kind == CheckKind::Read ? b.CreateICmpUGE(word, token) : isWritersCopy(b, word, token, ctx);
    onlyIf(b, b.CreateNot(good), b.GetInsertBlock()->getTerminator(), kMostly);
  }
  callStub(b, declareElementsStub(*marker->getModule(), kind), {ctx, array, low, high});
  marker->replaceAllUsesWith(array);
}

// The marker that `value` is, if it stands in `block` and nobody but `users` many need it.
llvm::CallInst* markerIn(llvm::Value* value, llvm::BasicBlock* block, unsigned users) {
  auto* call = llvm::dyn_cast<llvm::CallInst>(value);
  return call && call->getParent() == block && call->hasNUses(users) ? call : nullptr;
}

// Nothing of the check of an element was hoisted or shared: its three markers become one, which looks at the header
// once.
bool expandTogether(llvm::CallInst* marker, CheckKind kind) {
  const uint64_t log2 = llvm::cast<llvm::ConstantInt>(marker->getArgOperand(3))->getZExtValue();
  llvm::CallInst* check = markerIn(marker->getArgOperand(0), marker->getParent(), 2);
  llvm::CallInst* whole = markerIn(marker->getArgOperand(4), marker->getParent(), 1);
  if (log2 == kRange || !check || !whole || whole->getArgOperand(0) != check) return false;
  if (JVMC_FAULT("write-check-asks-for-freshness-only")) return false;
  llvm::Value *array = check->getArgOperand(0), *low = marker->getArgOperand(1), *high = marker->getArgOperand(2);
  llvm::Value *token = marker->getArgOperand(5), *ctx = marker->getArgOperand(6);
  IRBuilder<> b(marker);
  llvm::Value* word = nullptr;
  if (kind == CheckKind::Read) {
    onlyIf(b, b.CreateICmpULT(headerOperand(b, array), token), marker, kNearlyAlways);  // CHUNKED is too old, too
    word = headerWord(b, array);
  } else {
    onlyIf(b, b.CreateICmpULT(headerOperand(b, array), b.getInt64(rt::kEpochHome)), marker, kMostly);
    word = headerWord(b, array);
    llvm::Instruction* end = b.GetInsertBlock()->getTerminator();
    onlyIf(b, b.CreateNot(isWritersCopy(b, word, token, ctx)), end, kNearlyAlways);
  }
  // The chunk's state, if there is one: else the header again, so that nothing is read that is not there.
  llvm::Value* length = lengthOfCopy(b, array);
  llvm::Value* isInChunk = b.CreateAnd(isChunked(b, word), b.CreateICmpULT(low, length));
  llvm::Value* state = b.CreateSelect(isInChunk, chunkState(b, array, low, log2, ctx), array);
  llvm::Value* chunk = headerWord(b, state);
  llvm::Value* good = kind == CheckKind::Read ? b.CreateICmpUGE(chunk, token) : isWritersCopy(b, chunk, token, ctx);
  onlyIf(b, b.CreateNot(b.CreateAnd(isInChunk, good)), b.GetInsertBlock()->getTerminator(), kMostly);
  callStub(b, declareElementsStub(*marker->getModule(), kind), {ctx, array, low, high});
  marker->replaceAllUsesWith(array);
  for (llvm::CallInst* each : {marker, whole, check}) each->eraseFromParent();
  return true;
}

// How a marker of that name is expanded; null if it is none.
using Expansion = void (*)(llvm::CallInst*);
Expansion expansionOf(llvm::StringRef name) {
  if (name == llvm::StringRef(kWholeMarker)) return expandWhole;
  if (name == llvm::StringRef(markerName(CheckKind::Read)))
    return [](llvm::CallInst* marker) { expandCheck(marker, CheckKind::Read); };
  if (name == llvm::StringRef(markerName(CheckKind::Write)))
    return [](llvm::CallInst* marker) { expandCheck(marker, CheckKind::Write); };
  if (name == llvm::StringRef(elementsMarkerName(CheckKind::Read)))
    return [](llvm::CallInst* marker) { expandElements(marker, CheckKind::Read); };
  if (name == llvm::StringRef(elementsMarkerName(CheckKind::Write)))
    return [](llvm::CallInst* marker) { expandElements(marker, CheckKind::Write); };
  return nullptr;
}

std::vector<llvm::CallInst*> callsOf(llvm::Function& function, llvm::function_ref<bool(llvm::StringRef)> wanted) {
  std::vector<llvm::CallInst*> calls;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    auto* call = llvm::dyn_cast<llvm::CallInst>(&instruction);
    llvm::Function* callee = call ? call->getCalledFunction() : nullptr;
    if (callee && wanted(callee->getName())) calls.push_back(call);
  }
  return calls;
}

void defineStub(Unit& unit, const llvm::TargetMachine& machine, llvm::FunctionCallee callee, Helper helper) {
  // The code generator clears the upper halves of vector registers before a return, also in a function that promises to
  // keep them: without this, code that holds a vector across a check loses half of it.
  std::string features = (machine.getTargetFeatureString() + ",-vzeroupper").str();
  auto* stub = llvm::cast<llvm::Function>(callee.getCallee());
  stub->setUWTableKind(llvm::UWTableKind::Async);
  stub->addFnAttr("frame-pointer", "all");
  stub->addFnAttr("target-cpu", machine.getTargetCPU());
  if (machine.getTargetTriple().isX86()) stub->addFnAttr("target-features", features);
  IRBuilder<> b(llvm::BasicBlock::Create(unit.context(), "", stub));
  std::vector<llvm::Value*> arguments;
  for (llvm::Argument& argument : stub->args()) arguments.push_back(&argument);
  b.CreateCall(unit.helper(helper), arguments);
  b.CreateRetVoid();
}

}  // namespace

std::string_view checkStub(CheckKind kind) {
  return kind == CheckKind::Read ? "stub.checkRead" : "stub.checkWrite";
}

std::string_view elementsStub(CheckKind kind) {
  return kind == CheckKind::Read ? "stub.checkElementsRead" : "stub.checkElementsWrite";
}

llvm::FunctionCallee checkMarker(llvm::Module& module, CheckKind kind) {
  llvm::LLVMContext& context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(context), *token = llvm::Type::getInt64Ty(context);
  return declareMarker(module, markerName(kind), llvm::FunctionType::get(pointer, {pointer, token, pointer}, false));
}

llvm::FunctionCallee wholeMarker(llvm::Module& module) {
  llvm::LLVMContext& context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(context), *token = llvm::Type::getInt64Ty(context);
  llvm::Type* flag = llvm::Type::getInt1Ty(context);
  return declareMarker(module, kWholeMarker, llvm::FunctionType::get(flag, {pointer, token, pointer}, false));
}

llvm::FunctionCallee elementsMarker(llvm::Module& module, CheckKind kind) {
  llvm::LLVMContext& context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(context), *token = llvm::Type::getInt64Ty(context);
  llvm::Type *index = llvm::Type::getInt32Ty(context), *flag = llvm::Type::getInt1Ty(context);
  return declareMarker(module, elementsMarkerName(kind),
                       llvm::FunctionType::get(pointer, {pointer, index, index, index, flag, token, pointer}, false));
}

llvm::PreservedAnalyses SimplifyChecks::run(llvm::Function& function, llvm::FunctionAnalysisManager& analyses) {
  const auto isCheck = [](llvm::StringRef name) {
    return name == llvm::StringRef(markerName(CheckKind::Read)) ||
           name == llvm::StringRef(markerName(CheckKind::Write));
  };
  std::vector<llvm::CallInst*> checks = callsOf(function, isCheck);
  if (checks.empty()) return llvm::PreservedAnalyses::all();
  bool changed = false;
  // What is checked is the object, whatever has been found out about it before: so equal checks look equal.
  for (llvm::CallInst* check : checks) {
    auto* earlier = llvm::dyn_cast<llvm::CallInst>(check->getArgOperand(0));
    while (earlier && earlier->getCalledFunction() && isCheck(earlier->getCalledFunction()->getName())) {
      check->setArgOperand(0, earlier->getArgOperand(0));
      earlier = llvm::dyn_cast<llvm::CallInst>(check->getArgOperand(0));
      changed = true;
    }
  }
  // What is good enough for writing is so for reading.
  llvm::DominatorTree& dominators = analyses.getResult<llvm::DominatorTreeAnalysis>(function);
  using Checked = std::pair<llvm::Value*, llvm::Value*>;  // the object, the token
  const auto checkedBy = [](llvm::CallInst* check) {
    return Checked(check->getArgOperand(0), check->getArgOperand(1));
  };
  llvm::DenseMap<Checked, llvm::SmallVector<llvm::CallInst*, 2>> writes;
  const auto isWrite = [](llvm::CallInst* check) {
    return check->getCalledFunction()->getName() == llvm::StringRef(markerName(CheckKind::Write));
  };
  for (llvm::CallInst* check : checks)
    if (isWrite(check)) writes[checkedBy(check)].push_back(check);
  for (llvm::CallInst* check : checks) {
    if (isWrite(check)) continue;
    for (llvm::CallInst* write : writes.lookup(checkedBy(check))) {
      if (!dominators.dominates(write, check)) continue;
      check->replaceAllUsesWith(write);
      check->eraseFromParent();
      changed = true;
      break;
    }
  }
  if (!changed) return llvm::PreservedAnalyses::all();
  llvm::PreservedAnalyses kept;
  kept.preserveSet<llvm::CFGAnalyses>();
  return kept;
}

llvm::PreservedAnalyses ExpandChecks::run(llvm::Function& function, llvm::FunctionAnalysisManager&) {
  // Elements first: they may take their arrays' markers along.
  std::vector<llvm::CallInst*> elements =
      callsOf(function, [](llvm::StringRef name) { return name.starts_with("jvmc.check.elements."); });
  for (llvm::CallInst* marker : elements) {
    const bool isRead = marker->getCalledFunction()->getName() == llvm::StringRef(elementsMarkerName(CheckKind::Read));
    expandTogether(marker, isRead ? CheckKind::Read : CheckKind::Write);
  }
  std::vector<llvm::CallInst*> markers =
      callsOf(function, [](llvm::StringRef name) { return expansionOf(name) != nullptr; });
  if (elements.empty() && markers.empty()) return llvm::PreservedAnalyses::all();
  for (llvm::CallInst* marker : markers) {
    expansionOf(marker->getCalledFunction()->getName())(marker);
    marker->eraseFromParent();
  }
  function.removeFnAttr(llvm::Attribute::Memory);
  function.removeFnAttr(llvm::Attribute::NoSync);
  return llvm::PreservedAnalyses::none();
}

void defineCheckStubs(Unit& unit, const llvm::TargetMachine& machine) {
  defineStub(unit, machine, declareCheckStub(unit.module(), CheckKind::Read), Helper::checkRead);
  defineStub(unit, machine, declareCheckStub(unit.module(), CheckKind::Write), Helper::checkWrite);
  defineStub(unit, machine, declareElementsStub(unit.module(), CheckKind::Read), Helper::checkRangeRead);
  defineStub(unit, machine, declareElementsStub(unit.module(), CheckKind::Write), Helper::checkRangeWrite);
}

}  // namespace jvmc::jit
