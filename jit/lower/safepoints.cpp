// Where control may leave a function in the middle: capture and exceptions.
#include <llvm/IR/InlineAsm.h>

#include "ir/support/fault.h"
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using rt::ThreadContext;

// Passes copy frame states freely; states that say the same are one for us.
void FunctionLowering::findEqualStates() {
  std::map<std::vector<uint32_t>, ir::FrameStateId> known;
  canonical_.resize(body_.frameStates.size());
  std::function<ir::FrameStateId(ir::FrameStateId)> find = [&](ir::FrameStateId id) {
    if (!id.valid() || canonical_[id.index()].valid()) return id.valid() ? canonical_[id.index()] : id;
    const ir::FrameState& state = body_.frameStates[id.index()];
    std::vector<uint32_t> key{state.function.value, state.resumePoint, find(state.outer).value};
    for (const ir::SlotSource& slot : state.slots) {
      bool isVirtual = slot.kind == ir::SlotSource::Kind::Virtual;
      key.push_back(isVirtual);
      key.push_back(isVirtual ? slot.virtualIndex : slot.value.value);
    }
    // States with virtual objects of their own are innermost ones, and those are not shared.
    return canonical_[id.index()] = state.virtuals.empty() ? known.try_emplace(std::move(key), id).first->second : id;
  };
  for (uint32_t i = 0; i < body_.frameStates.size(); ++i) find(ir::FrameStateId(i));
}

void FunctionLowering::checkUnwinding(const Instr& instr, MayCapture mayCapture) {
  llvm::Value* unwinding = loadContext(b_.getInt32Ty(), offsetof(ThreadContext, unwinding));
  coldPath(b_.CreateIsNotNull(unwinding), "unwind", [&] { unwind(instr, unwinding, mayCapture); });
}

// Also where nobody can move the thread there are waits, and exceptions that a program means to throw.
void FunctionLowering::checkUnwindingOf(const Instr& instr, const std::vector<ir::FunctionId>& callees) {
  auto leavesEarly = [&](ir::FunctionId f) { return !f.valid() || in_.calls.mayWaitOrThrow(f); };
  if (in_.unmovable && std::none_of(callees.begin(), callees.end(), leavesEarly)) return;
  checkUnwinding(instr, MayCapture::Yes);
}

void FunctionLowering::unwind(const Instr& instr, llvm::Value* unwinding, MayCapture mayCapture) {
  if (mayCapture == MayCapture::Yes) {
    llvm::BasicBlock *capture = newBlock("capture"), *exception = newBlock("exception");
    llvm::Value* isCapture = b_.CreateICmpEQ(unwinding, b_.getInt32(uint32_t(rt::Unwinding::Capture)));
    b_.CreateCondBr(isCapture, capture, exception);
    b_.SetInsertPoint(capture);
    captureChain(instr);
    b_.SetInsertPoint(exception);
  }
  raise(instr);
}

// Innermost frame first. Every live reference is stored here, so that it is alive in a register or on the native stack
// whenever a collector looks: conservative scanning of native frames relies on it.
//
// All safepoints of an inlined body have the same outer frames; the code that captures those is shared, unless they
// hold virtual objects, which belong to one safepoint.
void FunctionLowering::captureChain(const Instr& instr) {
  JVMC_CHECK(instr.frameState.valid(), "safepoint without frame state", instr.info().name);
  const ir::FrameState* state = &body_.frameStates[instr.frameState.index()];
  std::vector<llvm::Value*> virtuals = materialiseVirtuals(*state);
  captureOne(*state, virtuals);
  for (; state->outer.valid() && !virtuals.empty(); captureOne(*state, virtuals))
    state = &body_.frameStates[state->outer.index()];
  if (JVMC_FAULT("inlined-capture-forgets-its-caller")) return void(b_.CreateBr(abandonBlock()));
  b_.CreateBr(state->outer.valid() ? sharedCapture(state->outer) : abandonBlock());
}

void FunctionLowering::captureOne(const ir::FrameState& state, const std::vector<llvm::Value*>& virtuals) {
  uint32_t point = state.resumePoint + (JVMC_FAULT("compiled-resume-point-off-by-one") ? 2 : 0);
  llvm::Value* slots = callHelper(Helper::captureFrame, {b_.getInt32(state.function.value), b_.getInt32(point),
                                                         b_.getInt32(uint32_t(state.slots.size()))});
  size_t live = state.slots.size() - (JVMC_FAULT("compiled-capture-drops-a-slot") && !state.slots.empty());
  for (size_t i = 0; i < live; ++i)
    b_.CreateStore(unit_.toSlot(b_, slotValue(state.slots[i], virtuals)),
                   b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), slots, i));
}

// Captures this frame and those around it, then leaves. Its values come from before the inlined call, so they dominate
// whatever leads here.
llvm::BasicBlock* FunctionLowering::sharedCapture(ir::FrameStateId given) {
  ir::FrameStateId id = canonical_[given.index()];
  llvm::BasicBlock*& block = sharedCaptures_[id.value];
  if (block) return block;
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  block = newBlock("capture.outer");
  b_.SetInsertPoint(block);
  const ir::FrameState& state = body_.frameStates[id.index()];
  captureOne(state, {});
  b_.CreateBr(state.outer.valid() ? sharedCapture(state.outer) : abandonBlock());
  return sharedCaptures_[id.value];
}

// All objects first, then their fields: they may refer to each other. They are new, so no store needs a barrier.
std::vector<llvm::Value*> FunctionLowering::materialiseVirtuals(const ir::FrameState& innermost) {
  std::vector<llvm::Value*> objects;
  for (const ir::VirtualObject& v : innermost.virtuals)
    objects.push_back(callHelper(Helper::materialise, {b_.getInt32(layout_.classIndex(v.cls))}));
  for (size_t i = 0; i < objects.size(); ++i) {
    const ir::VirtualObject& v = innermost.virtuals[i];
    std::vector<ir::ClassId> chain;
    for (ir::ClassId c = v.cls; c.valid(); c = program_[c].super) chain.insert(chain.begin(), c);
    size_t source = 0;
    for (ir::ClassId c : chain) {
      for (const rt::FieldLayout& field : layout_[c].fields) {
        if (JVMC_FAULT("virtual-object-loses-a-field") && source + 1 == v.fields.size()) continue;
        llvm::Value* value = slotValue(v.fields[source++], objects);
        llvm::Type* type = unit_.storageType(field.kind);
        if (type->isIntegerTy() && value->getType() != type) value = b_.CreateTrunc(value, type);
        b_.CreateStore(value, fieldAddress(objects[i], field.offset));
      }
    }
    if (v.elidedLocks == 0) continue;
    llvm::Value* owner =
        b_.CreateTrunc(loadContext(b_.getInt64Ty(), offsetof(ThreadContext, lockOwner)), b_.getInt32Ty());
    b_.CreateStore(b_.CreateAdd(owner, b_.getInt32(v.elidedLocks - 1)),
                   fieldAddress(objects[i], offsetof(rt::ObjectHeader, lockWord)));
  }
  return objects;
}

llvm::Value* FunctionLowering::slotValue(const ir::SlotSource& source, const std::vector<llvm::Value*>& virtuals) {
  return source.kind == ir::SlotSource::Kind::Virtual ? virtuals[source.virtualIndex] : value(source.value);
}

// No function with handlers is ever inlined (ir/passes/pass.h), so the exception passes through every frame of the
// chain before it reaches the handler of this block. As with capture, the way through the outer frames is shared.
void FunctionLowering::raise(const Instr& instr) {
  JVMC_CHECK(instr.frameState.valid(), "throwing instruction without a place", instr.info().name);
  const ir::FrameState& state = body_.frameStates[instr.frameState.index()];
  addTrace(state);
  state.outer.valid() ? void(b_.CreateBr(sharedRaise(state.outer))) : leaveWithException();
}

void FunctionLowering::addTrace(const ir::FrameState& state) {
  callHelper(Helper::addTraceFrame, {b_.getInt32(state.function.value), b_.getInt32(state.resumePoint / 2)});
}

llvm::BasicBlock* FunctionLowering::sharedRaise(ir::FrameStateId given) {
  ir::FrameStateId id = canonical_[given.index()];
  // A handler takes arguments of its block, so with one the sharing ends at the block.
  llvm::BasicBlock*& block = sharedRaises_[{body_[current_].handler ? current_.value : ~0u, id.value}];
  if (block) return block;
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  llvm::BasicBlock* made = block = newBlock("raise.outer");
  b_.SetInsertPoint(made);
  const ir::FrameState& state = body_.frameStates[id.index()];
  addTrace(state);
  state.outer.valid() ? void(b_.CreateBr(sharedRaise(state.outer))) : leaveWithException();
  return made;
}

void FunctionLowering::leaveWithException() {
  b_.CreateBr(body_[current_].handler ? handlerEntry() : abandonBlock());
}

void FunctionLowering::throwIf(llvm::Value* condition, const Instr& instr, rt::BuiltinThrow what, llvm::Value* detail) {
  coldPath(condition, "throw", [&] {
    callHelper(Helper::throwBuiltin, {b_.getInt32(uint32_t(what)), detail ? detail : b_.getInt32(0)});
    raise(instr);
  });
}

llvm::BasicBlock* FunctionLowering::handlerEntry() {
  if (!handlerEntry_) handlerEntry_ = newBlock("catch");
  return handlerEntry_;
}

// What the block under way held in callee-saved registers may be dead in the handler, and would stay in them: helpers
// would save it on the stack, where a collection takes it for a reference. The helper cannot clear these registers.
void FunctionLowering::forgetRegisters() {
  auto* clear = llvm::InlineAsm::get(llvm::FunctionType::get(b_.getVoidTy(), false),
                                     "xorl %ebx, %ebx; xorl %r12d, %r12d; xorl %r13d, %r13d; xorl %r14d, %r14d; "
                                     "xorl %r15d, %r15d",
                                     "~{rbx},~{r12},~{r13},~{r14},~{r15},~{flags}", /*hasSideEffects=*/true);
  b_.CreateCall(clear)->setDoesNotThrow();
}

void FunctionLowering::finishHandlerEntry() {
  b_.SetInsertPoint(handlerEntry_);
  llvm::Value* exception = callHelper(Helper::catchException, {});
  forgetRegisters();
  const ir::BlockCall& handler = *body_[current_].handler;
  addIncoming(handler, handlerEntry_, exception);
  b_.CreateBr(blocks_[handler.block.index()]);
}

// The entry poll compares the stack pointer: kPollRequested lies above every address, so one compare serves both. All
// functions keep a frame pointer, so the frame address is at hand.
void FunctionLowering::lowerPoll(const Instr& instr) {
  llvm::Value* limit = loadContextAtomic(b_.getInt64Ty(), offsetof(ThreadContext, pollLimit));
  llvm::Value* requested;
  if (current_.value == 0) {
    llvm::Value* frame = b_.CreateIntrinsic(llvm::Intrinsic::frameaddress, {b_.getPtrTy()}, {b_.getInt32(0)});
    requested = b_.CreateICmpULT(b_.CreatePtrToInt(frame, b_.getInt64Ty()), limit);
  } else {
    requested = b_.CreateICmpEQ(limit, b_.getInt64(rt::kPollRequested));
  }
  coldPath(requested, "poll", [&] {
    callHelper(Helper::poll, {})->addFnAttr(llvm::Attribute::Cold);
    checkUnwinding(instr, MayCapture::Yes);
  });
}

}  // namespace jvmc::jit
