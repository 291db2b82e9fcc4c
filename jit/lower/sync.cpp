// Volatile and atomic access, monitors, threads.
//
// An object whose home is here is accessed inline, any other through the runtime. In a program without peers every
// object is at home and no test is made. With peers a release may stay inline only while the thread holds no unsent
// writes (writerSlot is 0), and an acquire renews the thread's epoch from the node's clock.
#include "ir/analysis/safepoints.h"
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;
using llvm::AtomicOrdering;
using rt::AtomicOp;
using rt::ThreadContext;

// ---------------------------------------------------------------- home

// i1: the fast path is allowed. Null for "always".
llvm::Value* FunctionLowering::mayAccessAtHome(llvm::Value* object, bool isRelease) {
  if (!in_.checked) return nullptr;
  llvm::LoadInst* epoch = b_.CreateLoad(b_.getInt64Ty(), object);
  static_assert(offsetof(rt::ObjectHeader, epochWord) == 0);
  epoch->setAtomic(AtomicOrdering::Monotonic);
  llvm::Value* isHome = b_.CreateICmpUGE(epoch, b_.getInt64(rt::kEpochHome));
  if (!isRelease) return isHome;
  llvm::Value* writer = loadContext(b_.getInt64Ty(), offsetof(ThreadContext, writerSlot));
  return b_.CreateAnd(isHome, b_.CreateIsNull(writer));
}

void FunctionLowering::acquireAtHome() {
  if (!in_.checked) return;
  llvm::Value* clock = loadContext(b_.getPtrTy(), offsetof(ThreadContext, clock));
  llvm::LoadInst* now = b_.CreateLoad(b_.getInt64Ty(), clock);
  now->setAtomic(AtomicOrdering::Acquire);
  storeContext(now, offsetof(ThreadContext, epoch));
}

// ---------------------------------------------------------------- volatile and atomic access

struct FunctionLowering::AtomicAccess {
  AtomicOp op;
  llvm::Value* object;
  llvm::Value* address;
  ir::TypeKind kind;         ///< storage type
  llvm::Value* a = nullptr;  ///< value, or cas: expected
  llvm::Value* b = nullptr;  ///< cas: new value; load: rt::LoadWait
};

AtomicOp FunctionLowering::atomicOp(Opcode op) const {
  switch (op) {
    case Opcode::kLoadField:
    case Opcode::kLoadStatic:
    case Opcode::kLoadElemVolatile:
      return AtomicOp::Load;
    case Opcode::kStoreField:
    case Opcode::kStoreStatic:
    case Opcode::kStoreElemVolatile:
      return AtomicOp::Store;
    case Opcode::kCasField:
    case Opcode::kCasElem:
      return AtomicOp::Cas;
    case Opcode::kAddField:
    case Opcode::kAddElem:
      return AtomicOp::Add;
    default:
      return AtomicOp::Swap;
  }
}

// Null for "now".
llvm::Value* FunctionLowering::loadWait(const Instr& instr) {
  return instr.flags & ir::kAwaitsChange ? b_.getInt64(rt::kLoadAwaitsChange) : nullptr;
}

// Gives the old value, or for cas an i32; nothing for a store. Small integers sign-extended.
llvm::Value* FunctionLowering::atomicAccess(const Instr& instr, const AtomicAccess& access) {
  bool isRelease = access.op != AtomicOp::Load;
  bool storesReference = isRelease && access.kind >= ir::TypeKind::Null;
  llvm::Value* isSlow = nullptr;
  if (llvm::Value* atHome = mayAccessAtHome(access.object, isRelease)) isSlow = b_.CreateNot(atHome);
  if (storesReference) {  // the barrier is inside the helper
    llvm::Value* hasBarrier = needsBarrier(access.object);
    isSlow = isSlow ? b_.CreateOr(isSlow, hasBarrier) : hasBarrier;
  }
  auto fast = [&] {
    llvm::Value* result = atomicInline(access);
    if (access.op != AtomicOp::Store) acquireAtHome();
    return result;
  };
  if (!isSlow) return fast();
  auto slow = [&]() -> llvm::Value* {
    llvm::Type* i64 = b_.getInt64Ty();
    llvm::Value* offset = b_.CreateSub(b_.CreatePtrToInt(access.address, i64), b_.CreatePtrToInt(access.object, i64));
    auto bits = [&](llvm::Value* v) { return v ? unit_.toSlot(b_, v) : b_.getInt64(0); };
    uint32_t bytes = ir::storageBytes(access.kind);
    llvm::Value* old =
        callHelper(Helper::atomicAccess, {b_.getInt32(uint32_t(access.op)), access.object, offset,
                                          b_.getInt64(llvm::Log2_32(bytes)), bits(access.a), bits(access.b)});
    checkUnwinding(instr, MayCapture::Yes);
    if (access.op == AtomicOp::Store) return nullptr;
    if (access.op == AtomicOp::Cas) return b_.CreateTrunc(old, b_.getInt32Ty());
    return unit_.fromSlot(b_, old, unit_.stackType(access.kind));
  };
  return coldValue(isSlow, "atomic.slow", slow, fast);
}

llvm::Value* FunctionLowering::atomicInline(const AtomicAccess& access) {
  constexpr AtomicOrdering kOrder = AtomicOrdering::SequentiallyConsistent;
  llvm::Type* type = unit_.storageType(access.kind);
  llvm::Type* stack = unit_.stackType(access.kind);
  llvm::Align align(ir::storageBytes(access.kind));
  auto toStorage = [&](llvm::Value* v) {
    return type->isIntegerTy() && v->getType() != type ? b_.CreateTrunc(v, type) : v;
  };
  auto toStack = [&](llvm::Value* v) { return type == stack ? v : b_.CreateSExt(v, stack); };
  switch (access.op) {
    case AtomicOp::Load: {
      llvm::LoadInst* load = b_.CreateAlignedLoad(type, access.address, align);
      load->setAtomic(kOrder);
      return toStack(load);
    }
    case AtomicOp::Store:
      b_.CreateAlignedStore(toStorage(access.a), access.address, align)->setAtomic(kOrder);
      return nullptr;
    case AtomicOp::Cas: {
      llvm::Value* pair =
          b_.CreateAtomicCmpXchg(access.address, toStorage(access.a), toStorage(access.b), align, kOrder, kOrder);
      return b_.CreateZExt(b_.CreateExtractValue(pair, 1), b_.getInt32Ty());
    }
    case AtomicOp::Add:
      return toStack(b_.CreateAtomicRMW(llvm::AtomicRMWInst::Add, access.address, toStorage(access.a), align, kOrder));
    case AtomicOp::Swap:
      return toStack(b_.CreateAtomicRMW(llvm::AtomicRMWInst::Xchg, access.address, toStorage(access.a), align, kOrder));
  }
  JVMC_UNREACHABLE(int(access.op));
}

void FunctionLowering::lowerVolatileField(const Instr& instr) {
  llvm::Value* object = value(instr.operands[0]);
  checkNull(instr, object);
  const rt::FieldLayout& field = layout_.field(instr.symbol);
  AtomicAccess access{atomicOp(instr.op), object, fieldAddress(object, field.offset), field.kind};
  if (access.op == AtomicOp::Store) access.a = value(instr.operands[1]);
  access.b = loadWait(instr);
  setResult(instr, atomicAccess(instr, access));
}

// Its class was initialised by an instruction of its own: see ir/passes/frame_states.h.
void FunctionLowering::lowerVolatileStatic(const Instr& instr) {
  llvm::Value* statics = staticsObject(instr.symbol.owner);
  const rt::FieldLayout& field = layout_.staticField(instr.symbol);
  AtomicAccess access{atomicOp(instr.op), statics, fieldAddress(statics, field.offset), field.kind};
  if (access.op == AtomicOp::Store) access.a = value(instr.operands[0]);
  access.b = loadWait(instr);
  setResult(instr, atomicAccess(instr, access));
}

void FunctionLowering::lowerAtomicField(const Instr& instr) {
  llvm::Value* object = value(instr.operands[0]);
  checkNull(instr, object);
  const rt::FieldLayout& field = layout_.field(instr.symbol);
  AtomicAccess access{atomicOp(instr.op), object, fieldAddress(object, field.offset), field.kind,
                      value(instr.operands[1])};
  if (access.op == AtomicOp::Cas) access.b = value(instr.operands[2]);
  setResult(instr, atomicAccess(instr, access));
}

void FunctionLowering::lowerAtomicElem(const Instr& instr) {
  ir::TypeKind kind = unit_.kind(elementType(instr.operands[0]));
  llvm::Value *address = elementAddress(instr, kind), *array = value(instr.operands[0]);
  AtomicAccess access{atomicOp(instr.op), array, address, kind};
  if (instr.operands.size() > 2) access.a = value(instr.operands[2]);
  access.b = instr.operands.size() > 3 ? value(instr.operands[3]) : loadWait(instr);
  llvm::Value* stored = access.op == AtomicOp::Cas ? access.b : access.a;
  if (stored && kind >= ir::TypeKind::Null) checkStore(instr, array, stored);
  setResult(instr, atomicAccess(instr, access));
}

void FunctionLowering::lowerFence(const Instr& instr) {
  if (!in_.checked) {
    b_.CreateFence(AtomicOrdering::SequentiallyConsistent);
    return;
  }
  callHelper(Helper::fence, {});
  checkUnwinding(instr, MayCapture::Yes);
}

// ---------------------------------------------------------------- monitors

// Thin locks: free -> owner with one compare-and-swap, the owner's further entries count up. Whatever is not that
// simple (another owner, inflated, a thread id too large, an object of another home) goes to the runtime.
void FunctionLowering::lowerMonitorEnter(const Instr& instr) {
  llvm::Value* object = value(instr.operands[0]);
  checkNull(instr, object);
  llvm::BasicBlock *first = newBlock("lock"), *again = newBlock("lock.again"), *count = newBlock("lock.count"),
                   *locked = newBlock("locked"), *slow = newBlock("lock.slow"), *done = newBlock("");
  llvm::Value* word = fieldAddress(object, offsetof(rt::ObjectHeader, lockWord));
  llvm::Value* owner =
      b_.CreateTrunc(loadContext(b_.getInt64Ty(), offsetof(ThreadContext, lockOwner)), b_.getInt32Ty());
  llvm::Value* isFast = b_.CreateIsNotNull(owner);
  if (llvm::Value* atHome = mayAccessAtHome(object, false)) isFast = b_.CreateAnd(isFast, atHome);
  b_.CreateCondBr(isFast, first, slow);

  b_.SetInsertPoint(first);
  auto swap = [&](llvm::Value* from, llvm::Value* to, AtomicOrdering order) {
    return b_.CreateAtomicCmpXchg(word, from, to, llvm::Align(4), order, AtomicOrdering::Monotonic);
  };
  llvm::Value* taken = swap(b_.getInt32(0), owner, AtomicOrdering::Acquire);
  llvm::Value* old = b_.CreateExtractValue(taken, 0);
  b_.CreateCondBr(b_.CreateExtractValue(taken, 1), locked, again);

  b_.SetInsertPoint(again);  // ours, and room to count: they differ in the count only, which is below its maximum
  b_.CreateCondBr(b_.CreateICmpULT(b_.CreateXor(old, owner), b_.getInt32(rt::kLockCountMask)), count, slow);
  b_.SetInsertPoint(count);
  llvm::Value* counted = swap(old, b_.CreateAdd(old, b_.getInt32(1)), AtomicOrdering::Acquire);
  b_.CreateCondBr(b_.CreateExtractValue(counted, 1), done, slow);

  b_.SetInsertPoint(slow);
  callHelper(Helper::monitorEnter, {object})->addFnAttr(llvm::Attribute::Cold);
  checkUnwinding(instr, MayCapture::Yes);
  b_.CreateBr(done);

  b_.SetInsertPoint(locked);
  acquireAtHome();
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
}

void FunctionLowering::lowerMonitorExit(const Instr& instr) {
  llvm::Value* object = value(instr.operands[0]);
  checkNull(instr, object);
  llvm::BasicBlock *last = newBlock("unlock"), *slow = newBlock("unlock.slow"), *done = newBlock("");
  llvm::Value* word = fieldAddress(object, offsetof(rt::ObjectHeader, lockWord));
  llvm::Value* owner =
      b_.CreateTrunc(loadContext(b_.getInt64Ty(), offsetof(ThreadContext, lockOwner)), b_.getInt32Ty());
  llvm::Value* isFast = b_.CreateIsNotNull(owner);
  if (llvm::Value* atHome = mayAccessAtHome(object, true)) isFast = b_.CreateAnd(isFast, atHome);
  b_.CreateCondBr(isFast, last, slow);

  b_.SetInsertPoint(last);
  llvm::Value* freed = b_.CreateAtomicCmpXchg(word, owner, b_.getInt32(0), llvm::Align(4), AtomicOrdering::Release,
                                              AtomicOrdering::Monotonic);
  b_.CreateCondBr(b_.CreateExtractValue(freed, 1), done, slow);

  b_.SetInsertPoint(slow);
  callHelper(Helper::monitorExit, {object})->addFnAttr(llvm::Attribute::Cold);
  checkUnwinding(instr, MayCapture::Yes);
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
}

void FunctionLowering::lowerMonitorNotify(const Instr& instr) {
  callHelper(Helper::monitorNotify, {value(instr.operands[0]), b_.getInt32(instr.op == Opcode::kMonitorNotifyAll)});
  checkUnwinding(instr, MayCapture::Yes);
}

// ---------------------------------------------------------------- threads

void FunctionLowering::lowerThreadStart(const Instr& instr) {
  std::vector<llvm::Value*> all = operands(instr);
  llvm::Value* arguments = slotArray(llvm::ArrayRef(all).drop_front());
  callHelper(Helper::threadStart, {all[0], b_.getInt32(instr.symbol.function().value), arguments});
  checkUnwinding(instr, MayCapture::Yes);
}

void FunctionLowering::lowerThreadCurrent(const Instr& instr) {
  setResult(instr, loadContext(b_.getPtrTy(), offsetof(ThreadContext, threadObject)));
}

void FunctionLowering::lowerThreadHelper(const Instr& instr) {
  auto helper = [&] {
    switch (instr.op) {
      case Opcode::kMonitorWait:
        return Helper::monitorWait;
      case Opcode::kThreadJoin:
        return Helper::threadJoin;
      case Opcode::kThreadSleep:
        return Helper::threadSleep;
      case Opcode::kThreadYield:
        return Helper::threadYield;
      case Opcode::kThreadPark:
        return Helper::threadPark;
      case Opcode::kThreadUnpark:
        return Helper::threadUnpark;
      case Opcode::kThreadInterrupt:
        return Helper::threadInterrupt;
      case Opcode::kThreadInterrupted:
        return Helper::threadInterrupted;
      case Opcode::kThreadIsInterrupted:
        return Helper::threadIsInterrupted;
      case Opcode::kThreadIsAlive:
        return Helper::threadIsAlive;
      case Opcode::kSpinHint:
        return Helper::spinHint;
      default:
        JVMC_UNREACHABLE(instr.info().name);
    }
  };
  setResult(instr, callHelper(helper(), operands(instr)));
  checkUnwinding(instr, MayCapture::Yes);
}

}  // namespace jvmc::jit
