// Fields and statics.
//
// Racing programs stay type-safe: reference fields are accessed `unordered` (atomic, otherwise free); primitive fields
// are plain, because LLVM does not vectorise atomic accesses. A plain load that races is undefined for LLVM, which may
// then let two uses of it differ: harmless for a number that is only computed with, fatal for one that was
// bounds-checked. So every primitive load that can reach an index, a length, a divisor or a branch is frozen
// (findControlInputs).
#include "ir/analysis/safepoints.h"
#include "ir/support/fault.h"
#include "jit/coherence.h"
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;
using rt::ThreadContext;

namespace {

// Calls `visit` for the operands whose value decides where control goes or which memory is touched.
template <class Visit>
void forEachControlOperand(const Instr& instr, Visit visit) {
  switch (instr.op) {
    case Opcode::kBrIf:
    case Opcode::kSwitch:
    case Opcode::kNewArray:
      return visit(instr.operands[0]);
    case Opcode::kDiv:
    case Opcode::kRem:
    case Opcode::kLoadElem:
    case Opcode::kStoreElem:
    case Opcode::kLoadElemVolatile:
    case Opcode::kStoreElemVolatile:
    case Opcode::kCasElem:
    case Opcode::kAddElem:
    case Opcode::kSwapElem:
      return visit(instr.operands[1]);
    default:
      break;
  }
  // Calls and returns: parameters and results count as well-defined (`noundef`) in the other function.
  if (instr.info().has(ir::kCall) || instr.op == Opcode::kReturn)
    for (ir::ValueId v : instr.operands) visit(v);
}

}  // namespace

// Backwards from those operands through pure instructions and block parameters.
void FunctionLowering::findControlInputs() {
  feedsControl_.assign(body_.values.size(), false);
  std::vector<ir::ValueId> work;
  auto mark = [&](ir::ValueId v) {
    if (feedsControl_[v.index()]) return;
    feedsControl_[v.index()] = true;
    work.push_back(v);
  };
  std::vector<std::vector<ir::ValueId>> sources(body_.values.size());
  auto pass = [&](const ir::BlockCall& target, size_t firstParam) {
    for (size_t i = 0; i < target.args.size(); ++i)
      sources[body_[target.block].params[firstParam + i].index()].push_back(target.args[i]);
  };
  for (const ir::Block& block : body_.blocks) {
    if (block.handler) pass(*block.handler, 1);
    for (const Instr& instr : block.instrs) {
      forEachControlOperand(instr, mark);
      for (const ir::BlockCall& target : instr.targets) pass(target, 0);
      bool computes = instr.info().has(ir::kPure) || instr.op == Opcode::kDiv || instr.op == Opcode::kRem;
      if (instr.result.valid() && computes) sources[instr.result.index()] = instr.operands;
    }
  }
  while (!work.empty()) {
    ir::ValueId v = work.back();
    work.pop_back();
    for (ir::ValueId source : sources[v.index()]) mark(source);
  }
}

llvm::Value* FunctionLowering::fieldAddress(llvm::Value* object, uint32_t offset) {
  return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), object, offset);
}

void FunctionLowering::checkNull(const Instr& instr, llvm::Value* object) {
  if (instr.flags & ir::kNoNullCheck) return;
  throwIf(b_.CreateIsNull(object), instr, rt::BuiltinThrow::NullPointer);
}

llvm::Value* FunctionLowering::loadTyped(const Instr& instr, llvm::Value* address, ir::TypeKind kind,
                                         llvm::MDNode* tag) {
  llvm::LoadInst* load = b_.CreateLoad(unit_.storageType(kind), address);
  load->setMetadata(llvm::LLVMContext::MD_tbaa, tag);
  if (kind >= ir::TypeKind::Null) {
    load->setAtomic(llvm::AtomicOrdering::Unordered);
    return load;
  }
  llvm::Value* loaded = feedsControl(instr.result) ? b_.CreateFreeze(load) : load;
  bool isSmall = kind == ir::TypeKind::I8 || kind == ir::TypeKind::I16;
  return isSmall ? b_.CreateSExt(loaded, b_.getInt32Ty()) : loaded;
}

// As needsBarrier() of runtime/helpers/access.h: the header is in the cache, since the object's epoch was checked.
llvm::Value* FunctionLowering::needsBarrier(llvm::Value* object) {
  llvm::Value* flags = loadContextAtomic(b_.getInt32Ty(), offsetof(ThreadContext, barrierFlags));
  llvm::LoadInst* word = b_.CreateLoad(b_.getInt32Ty(), fieldAddress(object, offsetof(rt::ObjectHeader, classWord)));
  word->setAtomic(llvm::AtomicOrdering::Monotonic);
  return b_.CreateIsNotNull(b_.CreateAnd(flags, b_.CreateOr(word, b_.getInt32(rt::kBarrierAlways))));
}

// `object` is the start of the object that holds `address`.
void FunctionLowering::storeTyped(llvm::Value* object, llvm::Value* address, llvm::Value* value, ir::TypeKind kind,
                                  llvm::MDNode* tag) {
  bool isReference = kind >= ir::TypeKind::Null;
  if (isReference && !in_.unmovable && !JVMC_FAULT("store-without-barrier")) {
    coldPath(needsBarrier(object), "barrier", [&] {
      llvm::Value* offset =
          b_.CreateSub(b_.CreatePtrToInt(address, b_.getInt64Ty()), b_.CreatePtrToInt(object, b_.getInt64Ty()));
      callHelper(Helper::storeBarrier, {object, offset, value});
    });
  }
  llvm::Type* type = unit_.storageType(kind);
  if (type->isIntegerTy() && value->getType() != type) value = b_.CreateTrunc(value, type);
  llvm::StoreInst* store = b_.CreateStore(value, address);
  store->setMetadata(llvm::LLVMContext::MD_tbaa, tag);
  if (isReference) store->setAtomic(llvm::AtomicOrdering::Unordered);
}

void FunctionLowering::lowerLoadField(const Instr& instr) {
  if (ir::isVolatileAccess(program_, instr)) return lowerVolatileField(instr);
  llvm::Value* object = value(instr.operands[0]);
  checkNull(instr, object);
  const rt::FieldLayout& field = layout_.field(instr.symbol);
  setResult(instr,
            loadTyped(instr, fieldAddress(object, field.offset), field.kind, unit_.fieldTag(instr.symbol, false)));
}

void FunctionLowering::lowerStoreField(const Instr& instr) {
  if (ir::isVolatileAccess(program_, instr)) return lowerVolatileField(instr);
  llvm::Value* object = value(instr.operands[0]);
  checkNull(instr, object);
  const rt::FieldLayout& field = layout_.field(instr.symbol);
  storeTyped(object, fieldAddress(object, field.offset), value(instr.operands[1]), field.kind,
             unit_.fieldTag(instr.symbol, false));
}

// Statics objects lie at the same address on every node.
llvm::Value* FunctionLowering::staticsObject(ir::ClassId owner) {
  return b_.CreateIntToPtr(b_.getInt64(layout_[owner].staticsAddress), b_.getPtrTy());
}

// The statics object made valid for the thread's epoch as it is now: the class's initialisation may just have been
// acquired, so an earlier token would not do.
llvm::Value* FunctionLowering::checkedStatics(ir::ClassId owner, CheckKind kind) {
  llvm::Value* statics = staticsObject(owner);
  if (!in_.checked) return statics;
  llvm::Value* token = loadContext(b_.getInt64Ty(), offsetof(ThreadContext, epoch));
  return b_.CreateCall(checkMarker(unit_.module(), kind), {statics, token, ctx_});
}

// One compare says "initialised, and this thread has seen it"; see ClassInfo::initEpoch. The instruction runs again
// when a frame captured here goes on, so its state is a `before` point.
void FunctionLowering::checkInitialised(const Instr& instr, ir::ClassId owner) {
  if ((instr.flags & ir::kNoInitCheck) || !layout_.needsInit(owner)) return;
  llvm::Constant* info = unit_.classInfo(layout_.classIndex(owner));
  llvm::LoadInst* epoch = b_.CreateLoad(b_.getInt64Ty(), info);
  static_assert(offsetof(rt::ClassInfo, initEpoch) == 0);
  epoch->setAtomic(llvm::AtomicOrdering::Acquire);
  llvm::Value* mine = loadContext(b_.getInt64Ty(), offsetof(ThreadContext, epoch));
  coldPath(b_.CreateICmpUGT(epoch, mine), "init", [&] {
    callHelper(Helper::initClass, {b_.getInt32(owner.value)});
    checkUnwinding(instr, MayCapture::Yes);
  });
}

void FunctionLowering::lowerLoadStatic(const Instr& instr) {
  if (ir::isVolatileAccess(program_, instr)) return lowerVolatileStatic(instr);
  checkInitialised(instr, instr.symbol.owner);
  const rt::FieldLayout& field = layout_.staticField(instr.symbol);
  llvm::Value* address = fieldAddress(checkedStatics(instr.symbol.owner, CheckKind::Read), field.offset);
  setResult(instr, loadTyped(instr, address, field.kind, unit_.fieldTag(instr.symbol, true)));
}

void FunctionLowering::lowerStoreStatic(const Instr& instr) {
  if (ir::isVolatileAccess(program_, instr)) return lowerVolatileStatic(instr);
  checkInitialised(instr, instr.symbol.owner);
  const rt::FieldLayout& field = layout_.staticField(instr.symbol);
  llvm::Value* statics = checkedStatics(instr.symbol.owner, CheckKind::Write);
  storeTyped(statics, fieldAddress(statics, field.offset), value(instr.operands[0]), field.kind,
             unit_.fieldTag(instr.symbol, true));
}

void FunctionLowering::lowerInitClass(const Instr& instr) {
  checkInitialised(instr, instr.symbol.owner);
}

}  // namespace jvmc::jit
