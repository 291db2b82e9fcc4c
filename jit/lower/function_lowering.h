// Lowers one body to one LLVM function. SSA stays SSA: a block parameter becomes a phi, an instruction's result an LLVM
// value; there are no variables in memory.
//
// Blocks are lowered in reverse post-order, so a value is known before its uses. Cold paths (exceptions, capture, slow
// helpers) leave the hot path by one branch with an `unlikely` weight:
//
//      hot path ── call ── unwinding? ──────────────────────────────► next instruction
//                              │ cold
//                              ├─ Capture ──► captureFrame for each frame of the chain ──► return
//                              └─ Exception ─► addTraceFrame ─► handler of the block, or return
//
// A function that calls itself becomes two. The calls of itself go straight to `f.body`, which takes the depth outside
// in the register that otherwise holds the cell; what the cell leads to only fetches it:
//
//      f(ctx, nest cell, ...)         depth = ctx->depth;  r = f.body(ctx, nest depth, ...);  ctx->depth = depth
//      f.body(ctx, nest depth, ...)   ... f.body(ctx, nest depth + 1, ...)
//
// That is legal because a compiled function is never replaced. Between calls of itself ctx->depth is only kept right if
// the body has other instructions that run guest code.
//
// One class, its methods by subject: arithmetic, memory, objects, arrays, calls, control, markers, safepoints, sync.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/analysis/call_graph.h"
#include "ir/analysis/cfg.h"
#include "ir/module.h"
#include "jit/coherence.h"
#include "jit/debug/code_sites.h"
#include "jit/lower/unit.h"
#include "runtime/abi/context.h"

namespace jvmc::jit {

struct LoweringInput {
  const ir::FunctionBody& body;
  const ir::CallGraph& calls;
  ir::FunctionId function;  ///< the baseline function
  std::string symbol;
  std::optional<uint32_t> resumePoint{};  ///< set: `body` is the continuation at this point
  bool checked = false;
  bool unmovable = false;        ///< see rt::CodeOptions
  SiteMarker* marker = nullptr;  ///< null: the code does not say what it stands for
};

class FunctionLowering {
 public:
  FunctionLowering(Unit& unit, const LoweringInput& input);

  /// Adds the function to the unit.
  llvm::Function* run();

 private:
  using Method = void (FunctionLowering::*)(const ir::Instr&);
  using Methods = std::array<Method, ir::kOpcodeCount>;
  static constexpr Methods makeMethods();

  bool isContinuation() const { return in_.resumePoint.has_value(); }

  // -- frame of the function (function_lowering.cpp)
  void findSelfCalls();
  llvm::Function* emitEntryOfBody();
  void emitFunctionEntry();
  void emitContinuationEntry();
  void checkArrival();
  void countIn();
  void storeOwnDepth();
  void countOut();
  void emitReturn(llvm::Value* value);
  llvm::BasicBlock* abandonBlock();
  void lowerBlock(ir::BlockId id);
  void branchTo(const ir::BlockCall& target);
  void addIncoming(const ir::BlockCall& target, llvm::BasicBlock* from, llvm::Value* exception = nullptr);
  llvm::Value* value(ir::ValueId id);
  std::vector<llvm::Value*> operands(const ir::Instr& instr);
  void setResult(const ir::Instr& instr, llvm::Value* value);
  llvm::BasicBlock* newBlock(const llvm::Twine& name);
  /// Goes to `cold` if `condition`, else on in a new block.
  void branchCold(llvm::Value* condition, llvm::BasicBlock* cold);
  /// Lowers `fill` in a new cold block that `condition` leads to; whatever block it ends in joins the hot path if
  /// `fill` left it without terminator.
  void coldPath(llvm::Value* condition, const llvm::Twine& name, const std::function<void()>& fill);
  /// condition ? cold() : hot(), each in its own blocks, joined by a phi.
  llvm::Value* coldValue(llvm::Value* condition, const llvm::Twine& name, const std::function<llvm::Value*()>& cold,
                         const std::function<llvm::Value*()>& hot);

  // -- context words
  llvm::Value* contextField(size_t offset);
  llvm::Value* loadContext(llvm::Type* type, size_t offset);
  llvm::Value* loadContextAtomic(llvm::Type* type, size_t offset);
  void storeContext(llvm::Value* value, size_t offset);
  llvm::CallInst* callHelper(Helper helper, llvm::ArrayRef<llvm::Value*> arguments);

  // -- safepoints and exceptions (safepoints.cpp)
  enum class MayCapture : bool { No, Yes };
  /// After a call of a helper or a function: leaves the hot path if it did not return normally.
  void checkUnwinding(const ir::Instr& instr, MayCapture mayCapture);
  /// The same after a call of one of `callees`.
  void checkUnwindingOf(const ir::Instr& instr, const std::vector<ir::FunctionId>& callees);
  void unwind(const ir::Instr& instr, llvm::Value* unwinding, MayCapture mayCapture);
  void captureChain(const ir::Instr& instr);
  void captureOne(const ir::FrameState& state, const std::vector<llvm::Value*>& virtuals);
  llvm::BasicBlock* sharedCapture(ir::FrameStateId id);
  void addTrace(const ir::FrameState& state);
  void findEqualStates();
  llvm::BasicBlock* sharedRaise(ir::FrameStateId id);
  std::vector<llvm::Value*> materialiseVirtuals(const ir::FrameState& innermost);
  llvm::Value* slotValue(const ir::SlotSource& source, const std::vector<llvm::Value*>& virtuals);
  /// The exception in the context passes through this instruction: trace, then handler or return.
  void raise(const ir::Instr& instr);
  void leaveWithException();
  void throwIf(llvm::Value* condition, const ir::Instr& instr, rt::BuiltinThrow what, llvm::Value* detail = nullptr);
  llvm::BasicBlock* handlerEntry();
  void forgetRegisters();
  void finishHandlerEntry();
  void lowerPoll(const ir::Instr& instr);

  // -- arithmetic.cpp
  void lowerBinary(const ir::Instr& instr);
  void lowerDivision(const ir::Instr& instr);
  void lowerFloatRemainder(const ir::Instr& instr);
  void lowerShift(const ir::Instr& instr);
  void lowerMinMax(const ir::Instr& instr);
  void lowerUnary(const ir::Instr& instr);
  void lowerCompare(const ir::Instr& instr);
  void lowerSelect(const ir::Instr& instr);
  void lowerConversion(const ir::Instr& instr);

  // -- memory.cpp
  llvm::Value* fieldAddress(llvm::Value* object, uint32_t offset);
  void checkNull(const ir::Instr& instr, llvm::Value* object);
  llvm::Value* loadTyped(const ir::Instr& instr, llvm::Value* address, ir::TypeKind kind, llvm::MDNode* tag);
  llvm::Value* needsBarrier(llvm::Value* object);
  void storeTyped(llvm::Value* object, llvm::Value* address, llvm::Value* value, ir::TypeKind kind, llvm::MDNode* tag);
  llvm::Value* staticsObject(ir::ClassId owner);
  llvm::Value* checkedStatics(ir::ClassId owner, CheckKind kind);
  void checkInitialised(const ir::Instr& instr, ir::ClassId owner);
  void lowerLoadField(const ir::Instr& instr);
  void lowerStoreField(const ir::Instr& instr);
  void lowerLoadStatic(const ir::Instr& instr);
  void lowerStoreStatic(const ir::Instr& instr);
  void lowerInitClass(const ir::Instr& instr);
  bool feedsControl(ir::ValueId value) const { return feedsControl_[value.index()]; }
  void findControlInputs();

  // -- arrays.cpp
  llvm::Value* arrayLength(ir::ValueId array);
  llvm::Value* elementAddress(const ir::Instr& instr, ir::TypeKind element);
  ir::TypeId elementType(ir::ValueId array) const;
  void checkStore(const ir::Instr& instr, llvm::Value* array, llvm::Value* element);
  void lowerArrayLength(const ir::Instr& instr);
  void lowerLoadElem(const ir::Instr& instr);
  void lowerStoreElem(const ir::Instr& instr);
  void lowerArrayCopy(const ir::Instr& instr);
  void lowerArrayFill(const ir::Instr& instr);

  // -- objects.cpp
  llvm::Value* bumpAllocate(llvm::Value* bytes, llvm::Value* alsoSlowIf, rt::ClassIndex index, llvm::Value* length,
                            const std::function<llvm::Value*()>& slow);
  llvm::Value* classIndexOf(llvm::Value* object);
  llvm::Value* classInfoOf(llvm::Value* object);
  llvm::Value* loadInfo(llvm::Type* type, llvm::Value* info, size_t offset);
  llvm::Value* isInstance(llvm::Value* object, ir::TypeId target);
  void lowerNew(const ir::Instr& instr);
  void lowerNewArray(const ir::Instr& instr);
  void lowerNewBytes(const ir::Instr& instr);
  void lowerInstanceOf(const ir::Instr& instr);
  void lowerCheckCast(const ir::Instr& instr);
  void lowerFreeze(const ir::Instr& instr);

  // -- sync.cpp: volatile, atomic, monitors, threads
  struct AtomicAccess;
  llvm::Value* atomicAccess(const ir::Instr& instr, const AtomicAccess& access);
  llvm::Value* atomicInline(const AtomicAccess& access);
  llvm::Value* mayAccessAtHome(llvm::Value* object, bool isRelease);
  void acquireAtHome();
  llvm::Value* loadWait(const ir::Instr& instr);
  rt::AtomicOp atomicOp(ir::Opcode op) const;
  void lowerVolatileField(const ir::Instr& instr);
  void lowerVolatileStatic(const ir::Instr& instr);
  void lowerAtomicField(const ir::Instr& instr);
  void lowerAtomicElem(const ir::Instr& instr);
  void lowerFence(const ir::Instr& instr);
  void lowerMonitorEnter(const ir::Instr& instr);
  void lowerMonitorExit(const ir::Instr& instr);
  void lowerMonitorNotify(const ir::Instr& instr);
  void lowerThreadStart(const ir::Instr& instr);
  void lowerThreadCurrent(const ir::Instr& instr);
  /// An instruction that is exactly one helper call.
  void lowerThreadHelper(const ir::Instr& instr);

  // -- calls.cpp
  llvm::Value* slotArray(llvm::ArrayRef<llvm::Value*> values);
  llvm::Value* callFunction(ir::FunctionId callee, const std::vector<ir::TypeId>& params, ir::TypeId result,
                            llvm::ArrayRef<llvm::Value*> arguments);
  llvm::Value* callSelf(llvm::ArrayRef<llvm::Value*> arguments);
  ir::FunctionId directCallee(const ir::Instr& instr) const;
  llvm::Value* callCell(llvm::Value* cell, const std::vector<ir::TypeId>& params, ir::TypeId result,
                        llvm::ArrayRef<llvm::Value*> arguments);
  void lowerCall(const ir::Instr& instr);
  void lowerCallVirtual(const ir::Instr& instr);
  void lowerCallNative(const ir::Instr& instr);

  // -- control.cpp
  void lowerBr(const ir::Instr& instr);
  void lowerBrIf(const ir::Instr& instr);
  void lowerSwitch(const ir::Instr& instr);
  void lowerReturn(const ir::Instr& instr);
  void lowerThrow(const ir::Instr& instr);
  void lowerUnreachable(const ir::Instr& instr);

  // -- markers.cpp
  void lowerCoherenceToken(const ir::Instr& instr);
  void lowerCheck(const ir::Instr& instr);
  const ir::Instr* accessOf(const ir::Instr& check) const;

  static const Methods kMethods;

  Unit& unit_;
  const LoweringInput& in_;
  const ir::FunctionBody& body_;
  const ir::Module& program_;
  const rt::ModuleLayout& layout_;
  ir::Cfg cfg_;
  llvm::IRBuilder<> b_;
  llvm::Function* function_ = nullptr;
  llvm::Value* ctx_ = nullptr;
  llvm::Value* resultSlot_ = nullptr;  // continuations
  bool countsDepth_;
  llvm::Value* outerDepth_ = nullptr;  // if it counts: ctx->depth without this frame
  bool callsItself_ = false;           // function_ is the body then
  bool keepsDepth_ = true;             // ctx->depth counts this frame too while other guest code may run

  std::vector<llvm::Value*> values_;                      // by ValueId
  std::vector<llvm::BasicBlock*> blocks_;                 // by BlockId
  std::vector<bool> feedsControl_;                        // by ValueId, see memory.cpp
  llvm::BasicBlock* abandon_ = nullptr;                   // returns a meaningless value while unwinding
  std::vector<ir::FrameStateId> canonical_;               // by FrameStateId: the first equal one
  std::map<uint32_t, llvm::BasicBlock*> sharedCaptures_;  // by FrameStateId
  std::map<std::pair<uint32_t, uint32_t>, llvm::BasicBlock*> sharedRaises_;  // by block with handler, FrameStateId

  // Of the block being lowered.
  ir::BlockId current_;
  llvm::BasicBlock* handlerEntry_ = nullptr;
};

}  // namespace jvmc::jit
