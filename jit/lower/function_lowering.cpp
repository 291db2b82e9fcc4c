#include "jit/lower/function_lowering.h"

#include "ir/analysis/safepoints.h"
#include "ir/support/fault.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;

// The dispatch table: one entry for each row of opcodes.def. A row without a lowering does not compile (see below).
constexpr FunctionLowering::Methods FunctionLowering::makeMethods() {
  using F = FunctionLowering;
  Methods m{};
  std::array<bool, ir::kOpcodeCount> isSet{};
  auto set = [&](Method method, std::initializer_list<Opcode> ops) {
    for (Opcode op : ops) {
      m[size_t(op)] = method;
      isSet[size_t(op)] = true;
    }
  };
  set(&F::lowerBinary,
      {Opcode::kAdd, Opcode::kSub, Opcode::kMul, Opcode::kFDiv, Opcode::kAnd, Opcode::kOr, Opcode::kXor});
  set(&F::lowerDivision, {Opcode::kDiv, Opcode::kRem});
  set(&F::lowerFloatRemainder, {Opcode::kFRem});
  set(&F::lowerShift, {Opcode::kShl, Opcode::kShr, Opcode::kUshr});
  set(&F::lowerMinMax, {Opcode::kMin, Opcode::kMax});
  set(&F::lowerUnary, {Opcode::kNeg, Opcode::kAbs, Opcode::kSqrt, Opcode::kFloor, Opcode::kCeil});
  set(&F::lowerCompare, {Opcode::kEq, Opcode::kNe, Opcode::kLt, Opcode::kLe, Opcode::kGt, Opcode::kGe, Opcode::kUlt,
                         Opcode::kRefEq, Opcode::kRefNe});
  set(&F::lowerSelect, {Opcode::kSelect});
  set(&F::lowerConversion,
      {Opcode::kI32ToI64,  Opcode::kI32ToF32,  Opcode::kI32ToF64,  Opcode::kI64ToI32,     Opcode::kI64ToF32,
       Opcode::kI64ToF64,  Opcode::kF32ToI32,  Opcode::kF32ToI64,  Opcode::kF32ToF64,     Opcode::kF64ToI32,
       Opcode::kF64ToI64,  Opcode::kF64ToF32,  Opcode::kSext8,     Opcode::kSext16,       Opcode::kZext8,
       Opcode::kZext16,    Opcode::kF32ToBits, Opcode::kF64ToBits, Opcode::kF32ToRawBits, Opcode::kF64ToRawBits,
       Opcode::kBitsToF32, Opcode::kBitsToF64});
  set(&F::lowerNew, {Opcode::kNew});
  set(&F::lowerLoadField, {Opcode::kLoadField});
  set(&F::lowerStoreField, {Opcode::kStoreField});
  set(&F::lowerLoadStatic, {Opcode::kLoadStatic});
  set(&F::lowerStoreStatic, {Opcode::kStoreStatic});
  set(&F::lowerInstanceOf, {Opcode::kInstanceOf});
  set(&F::lowerCheckCast, {Opcode::kCheckCast});
  set(&F::lowerFreeze, {Opcode::kFreeze});
  set(&F::lowerInitClass, {Opcode::kInitClass});
  set(&F::lowerNewArray, {Opcode::kNewArray});
  set(&F::lowerNewBytes, {Opcode::kNewBytes});
  set(&F::lowerArrayLength, {Opcode::kArrayLength});
  set(&F::lowerLoadElem, {Opcode::kLoadElem});
  set(&F::lowerStoreElem, {Opcode::kStoreElem});
  set(&F::lowerArrayCopy, {Opcode::kArrayCopy});
  set(&F::lowerArrayFill, {Opcode::kArrayFill});
  set(&F::lowerAtomicField, {Opcode::kCasField, Opcode::kAddField, Opcode::kSwapField});
  set(&F::lowerAtomicElem,
      {Opcode::kLoadElemVolatile, Opcode::kStoreElemVolatile, Opcode::kCasElem, Opcode::kAddElem, Opcode::kSwapElem});
  set(&F::lowerFence, {Opcode::kFence});
  set(&F::lowerCall, {Opcode::kCall});
  set(&F::lowerCallVirtual, {Opcode::kCallVirtual, Opcode::kCallInterface});
  set(&F::lowerCallNative, {Opcode::kCallNative});
  set(&F::lowerMonitorEnter, {Opcode::kMonitorEnter});
  set(&F::lowerMonitorExit, {Opcode::kMonitorExit});
  set(&F::lowerMonitorNotify, {Opcode::kMonitorNotify, Opcode::kMonitorNotifyAll});
  set(&F::lowerThreadStart, {Opcode::kThreadStart});
  set(&F::lowerThreadCurrent, {Opcode::kThreadCurrent});
  set(&F::lowerThreadHelper,
      {Opcode::kMonitorWait, Opcode::kThreadJoin, Opcode::kThreadSleep, Opcode::kThreadYield, Opcode::kThreadPark,
       Opcode::kThreadUnpark, Opcode::kThreadInterrupt, Opcode::kThreadInterrupted, Opcode::kThreadIsInterrupted,
       Opcode::kThreadIsAlive, Opcode::kSpinHint});
  set(&F::lowerBr, {Opcode::kBr});
  set(&F::lowerBrIf, {Opcode::kBrIf});
  set(&F::lowerSwitch, {Opcode::kSwitch});
  set(&F::lowerReturn, {Opcode::kReturn});
  set(&F::lowerThrow, {Opcode::kThrow});
  set(&F::lowerUnreachable, {Opcode::kUnreachable});
  set(&F::lowerPoll, {Opcode::kPoll});
  set(&F::lowerCoherenceToken, {Opcode::kCoherenceToken});
  set(&F::lowerCheck, {Opcode::kCheckRead, Opcode::kCheckWrite, Opcode::kCheckRangeRead, Opcode::kCheckRangeWrite,
                       Opcode::kCheckElemRead, Opcode::kCheckElemWrite});
  for (bool done : isSet)  // not the method compared with null: g++ 12 refuses that here under UBSan
    if (!done) throw "an opcode has no lowering";  // reached only in constant evaluation, where it is an error
  return m;
}
constexpr FunctionLowering::Methods FunctionLowering::kMethods = FunctionLowering::makeMethods();

FunctionLowering::FunctionLowering(Unit& unit, const LoweringInput& input)
    : unit_(unit),
      in_(input),
      body_(input.body),
      program_(unit.program()),
      layout_(unit.layout()),
      cfg_(input.body),
      b_(unit.context()),
      countsDepth_(input.calls.mayRecurse(input.function) && !input.unmovable),
      values_(input.body.values.size()),
      blocks_(input.body.blocks.size()) {
  findControlInputs();
  findEqualStates();
  if (!isContinuation()) findSelfCalls();
}

llvm::Function* FunctionLowering::run() {
  const ir::FunctionDecl& decl = program_[in_.function];
  function_ = unit_.define(
      in_.symbol, isContinuation() ? unit_.continuationSignature() : unit_.compiledSignature(decl.params, decl.result));
  llvm::Function* entry = function_;
  if (callsItself_) function_ = emitEntryOfBody();
  ctx_ = function_->getArg(0);
  b_.SetInsertPoint(newBlock("entry"));
  if (in_.marker) b_.SetCurrentDebugLocation(in_.marker->open(function_));
  for (ir::BlockId id : cfg_.reversePostOrder()) {
    blocks_[id.index()] = newBlock("b" + llvm::Twine(id.value));
    if (id.value == 0) continue;  // its parameters are the function's; no branch leads to an entry block
    for (ir::ValueId p : body_[id].params)
      values_[p.index()] = llvm::PHINode::Create(unit_.stackType(body_[p].type), 2, "", blocks_[id.index()]);
  }
  isContinuation() ? emitContinuationEntry() : emitFunctionEntry();
  b_.CreateBr(blocks_[0]);
  for (ir::BlockId id : cfg_.reversePostOrder()) lowerBlock(id);
  return entry;
}

// ---------------------------------------------------------------- entry and exit

void FunctionLowering::findSelfCalls() {
  bool runsOthers = false;
  for (const ir::Block& block : body_.blocks) {
    for (const Instr& instr : block.instrs) {
      bool calls = instr.op == Opcode::kCall || instr.op == Opcode::kCallVirtual || instr.op == Opcode::kCallInterface;
      bool isSelf = calls && directCallee(instr) == in_.function;
      callsItself_ = callsItself_ || isSelf;
      runsOthers = runsOthers || (calls && !isSelf) || ir::mayInitialise(instr);
    }
  }
  keepsDepth_ = !callsItself_ || runsOthers;
}

// Makes what the cell leads to, and gives the body, still empty.
llvm::Function* FunctionLowering::emitEntryOfBody() {
  llvm::Function* body = unit_.define(bodySymbol(in_.symbol), function_->getFunctionType());
  body->setLinkage(llvm::GlobalValue::InternalLinkage);
  body->addFnAttr(llvm::Attribute::NoInline);
  ctx_ = function_->getArg(0);
  function_->getArg(1)->addAttr(llvm::Attribute::Nest);
  b_.SetInsertPoint(newBlock("entry"));
  llvm::Value* outside =
      countsDepth_ ? loadContext(b_.getInt32Ty(), offsetof(rt::ThreadContext, depth)) : b_.getInt32(0);
  std::vector<llvm::Value*> arguments{ctx_, b_.CreateIntToPtr(outside, b_.getPtrTy())};
  for (size_t i = 2; i < function_->arg_size(); ++i) {
    function_->getArg(unsigned(i))->addAttr(llvm::Attribute::NoUndef);
    arguments.push_back(function_->getArg(unsigned(i)));
  }
  llvm::CallInst* call = b_.CreateCall(body, arguments);
  call->addParamAttr(1, llvm::Attribute::Nest);
  if (countsDepth_ && keepsDepth_)
    storeContext(outside, offsetof(rt::ThreadContext, depth));
  else
    call->setTailCall();
  call->getType()->isVoidTy() ? b_.CreateRetVoid() : b_.CreateRet(call);
  return body;
}

void FunctionLowering::emitFunctionEntry() {
  function_->getArg(1)->addAttr(llvm::Attribute::Nest);
  function_->getArg(1)->setName(callsItself_ ? "depth" : "cell");
  const auto& params = body_.blocks[0].params;
  for (size_t i = 0; i < params.size(); ++i) {
    llvm::Argument* argument = function_->getArg(2 + unsigned(i));
    argument->addAttr(llvm::Attribute::NoUndef);
    values_[params[i].index()] = argument;
  }
  if (countsDepth_) countIn();
}

// The overflow belongs to the call: the callee has no frame yet and is not in the trace.
//
// The depth outside is kept in a register and stored back on exit. Counting down in memory would chain every call of
// the thread through one memory word: fib is 2x slower with it.
void FunctionLowering::countIn() {
  outerDepth_ = callsItself_ ? b_.CreatePtrToInt(function_->getArg(1), b_.getInt32Ty())
                             : loadContext(b_.getInt32Ty(), offsetof(rt::ThreadContext, depth));
  llvm::Value* limit = loadContext(b_.getInt32Ty(), offsetof(rt::ThreadContext, depthLimit));
  coldPath(b_.CreateICmpUGE(outerDepth_, limit), "too.deep", [&] {
    callHelper(Helper::throwBuiltin, {b_.getInt32(uint32_t(rt::BuiltinThrow::StackOverflow)), b_.getInt32(0)});
    llvm::Type* result = function_->getReturnType();
    result->isVoidTy() ? b_.CreateRetVoid() : b_.CreateRet(llvm::Constant::getNullValue(result));
  });
  if (keepsDepth_) storeOwnDepth();
}

void FunctionLowering::storeOwnDepth() {
  storeContext(b_.CreateAdd(outerDepth_, b_.getInt32(1)), offsetof(rt::ThreadContext, depth));
}

void FunctionLowering::countOut() {
  if (!callsItself_) storeContext(outerDepth_, offsetof(rt::ThreadContext, depth));
}

// The frame was counted by the driver.
void FunctionLowering::emitContinuationEntry() {
  llvm::Value* slots = function_->getArg(1);
  resultSlot_ = function_->getArg(2);
  if (countsDepth_)
    outerDepth_ = b_.CreateSub(loadContext(b_.getInt32Ty(), offsetof(rt::ThreadContext, depth)), b_.getInt32(1));
  const auto& params = body_.blocks[0].params;
  for (size_t i = 0; i < params.size(); ++i) {
    size_t from = JVMC_FAULT("continuation-swaps-its-slots") && params.size() > 1 && i < 2 ? 1 - i : i;
    llvm::Value* slot = b_.CreateLoad(b_.getInt64Ty(), b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), slots, from));
    values_[params[i].index()] = unit_.fromSlot(b_, slot, unit_.stackType(body_[params[i]].type));
  }
}

// Control may arrive with an exception instead of a result: it goes where one of the entry block's instructions would
// go.
void FunctionLowering::checkArrival() {
  llvm::Value* unwinding = loadContext(b_.getInt32Ty(), offsetof(rt::ThreadContext, unwinding));
  coldPath(b_.CreateIsNotNull(unwinding), "arrived.with.exception", [&] {
    callHelper(Helper::addTraceFrame, {b_.getInt32(in_.function.value), b_.getInt32(*in_.resumePoint / 2)});
    leaveWithException();
  });
}

void FunctionLowering::emitReturn(llvm::Value* value) {
  if (countsDepth_) countOut();
  if (!isContinuation()) {
    value ? b_.CreateRet(value) : b_.CreateRetVoid();
    return;
  }
  if (value) b_.CreateStore(unit_.toSlot(b_, value), resultSlot_);
  b_.CreateRetVoid();
}

llvm::BasicBlock* FunctionLowering::abandonBlock() {
  if (abandon_) return abandon_;
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  abandon_ = newBlock("abandon");
  b_.SetInsertPoint(abandon_);
  if (countsDepth_ && !JVMC_FAULT("unwinding-forgets-the-depth")) countOut();
  llvm::Type* result = function_->getReturnType();
  result->isVoidTy() ? b_.CreateRetVoid() : b_.CreateRet(llvm::Constant::getNullValue(result));
  return abandon_;
}

// ---------------------------------------------------------------- blocks and values

void FunctionLowering::lowerBlock(ir::BlockId id) {
  current_ = id;
  handlerEntry_ = nullptr;
  b_.SetInsertPoint(blocks_[id.index()]);
  if (id.value == 0 && isContinuation() && !JVMC_FAULT("continuation-ignores-an-exception")) checkArrival();
  for (const Instr& instr : body_[id].instrs) {
    if (in_.marker) b_.SetCurrentDebugLocation(in_.marker->of(instr));
    (this->*kMethods[size_t(instr.op)])(instr);
  }
  if (handlerEntry_) finishHandlerEntry();
}

void FunctionLowering::addIncoming(const ir::BlockCall& target, llvm::BasicBlock* from, llvm::Value* exception) {
  const auto& params = body_[target.block].params;
  size_t first = exception ? 1 : 0;
  if (exception) llvm::cast<llvm::PHINode>(values_[params[0].index()])->addIncoming(exception, from);
  for (size_t i = 0; i < target.args.size(); ++i)
    llvm::cast<llvm::PHINode>(values_[params[first + i].index()])->addIncoming(value(target.args[i]), from);
}

void FunctionLowering::branchTo(const ir::BlockCall& target) {
  addIncoming(target, b_.GetInsertBlock());
  b_.CreateBr(blocks_[target.block.index()]);
}

llvm::Value* FunctionLowering::value(ir::ValueId id) {
  llvm::Value*& known = values_[id.index()];
  if (known) return known;
  const ir::Value& v = body_[id];
  JVMC_CHECK(v.kind == ir::Value::Kind::Const, "value used before its definition", id.value);
  switch (unit_.kind(v.type)) {
    case ir::TypeKind::I32:
      return known = b_.getInt32(uint32_t(v.constant));
    case ir::TypeKind::I64:
      return known = b_.getInt64(v.constant);
    case ir::TypeKind::F32:
      return known = llvm::ConstantFP::get(unit_.context(), llvm::APFloat(llvm::APFloat::IEEEsingle(),
                                                                          llvm::APInt(32, v.constant & 0xFFFF'FFFF)));
    case ir::TypeKind::F64:
      return known = llvm::ConstantFP::get(unit_.context(),
                                           llvm::APFloat(llvm::APFloat::IEEEdouble(), llvm::APInt(64, v.constant)));
    default:
      return known = llvm::ConstantPointerNull::get(b_.getPtrTy());
  }
}

std::vector<llvm::Value*> FunctionLowering::operands(const Instr& instr) {
  std::vector<llvm::Value*> out;
  for (ir::ValueId v : instr.operands) out.push_back(value(v));
  return out;
}

void FunctionLowering::setResult(const Instr& instr, llvm::Value* value) {
  if (instr.result.valid()) values_[instr.result.index()] = value;
}

llvm::BasicBlock* FunctionLowering::newBlock(const llvm::Twine& name) {
  return llvm::BasicBlock::Create(unit_.context(), name, function_);
}

void FunctionLowering::branchCold(llvm::Value* condition, llvm::BasicBlock* cold) {
  llvm::BasicBlock* hot = newBlock("");
  b_.CreateCondBr(condition, cold, hot, unit_.unlikely());
  b_.SetInsertPoint(hot);
}

void FunctionLowering::coldPath(llvm::Value* condition, const llvm::Twine& name, const std::function<void()>& fill) {
  llvm::BasicBlock *cold = newBlock(name), *hot = newBlock("");
  b_.CreateCondBr(condition, cold, hot, unit_.unlikely());
  b_.SetInsertPoint(cold);
  fill();
  if (!b_.GetInsertBlock()->getTerminator()) b_.CreateBr(hot);
  b_.SetInsertPoint(hot);
}

llvm::Value* FunctionLowering::coldValue(llvm::Value* condition, const llvm::Twine& name,
                                         const std::function<llvm::Value*()>& cold,
                                         const std::function<llvm::Value*()>& hot) {
  llvm::BasicBlock *coldBlock = newBlock(name), *hotBlock = newBlock(""), *join = newBlock("");
  b_.CreateCondBr(condition, coldBlock, hotBlock, unit_.unlikely());
  b_.SetInsertPoint(hotBlock);
  llvm::Value* hotResult = hot();
  llvm::BasicBlock* hotEnd = b_.GetInsertBlock();
  b_.CreateBr(join);
  b_.SetInsertPoint(coldBlock);
  llvm::Value* coldResult = cold();
  llvm::BasicBlock* coldEnd = b_.GetInsertBlock();
  b_.CreateBr(join);
  b_.SetInsertPoint(join);
  if (!hotResult || hotResult->getType()->isVoidTy()) return nullptr;
  llvm::PHINode* phi = b_.CreatePHI(hotResult->getType(), 2);
  phi->addIncoming(hotResult, hotEnd);
  phi->addIncoming(coldResult, coldEnd);
  return phi;
}

// ---------------------------------------------------------------- context words

llvm::Value* FunctionLowering::contextField(size_t offset) {
  return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), ctx_, offset);
}

llvm::Value* FunctionLowering::loadContext(llvm::Type* type, size_t offset) {
  return b_.CreateLoad(type, contextField(offset));
}

llvm::Value* FunctionLowering::loadContextAtomic(llvm::Type* type, size_t offset) {
  llvm::LoadInst* load = b_.CreateLoad(type, contextField(offset));
  load->setAtomic(llvm::AtomicOrdering::Monotonic);
  return load;
}

void FunctionLowering::storeContext(llvm::Value* value, size_t offset) {
  b_.CreateStore(value, contextField(offset));
}

llvm::CallInst* FunctionLowering::callHelper(Helper helper, llvm::ArrayRef<llvm::Value*> arguments) {
  std::vector<llvm::Value*> all{ctx_};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return b_.CreateCall(unit_.helper(helper), all);
}

}  // namespace jvmc::jit
