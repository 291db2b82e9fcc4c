// Code that runs with peers: an object it touches may be a cached copy of one that lives elsewhere. Before an access
// stands a check, which makes the copy valid for the thread's current epoch; the access uses the check's result, so
// that it cannot move above. The epoch, the *token*, is read on entry and again wherever the thread may have acquired:
// after calls, polls, volatile accesses, class initialisation, and where an exception arrives.
//
// A check of null gives null and does nothing, and a check of an element outside the array checks its header only: the
// access that follows throws. Checks of an object stand also before what reads its class or length, since of an object
// that was never fetched not even those are there. Whether one must be executed each time is left to LLVM, which sees
// the markers as pure functions and hoists and merges them. But it takes a check for reading and one for writing for
// different things, so here, within a block and until the token changes, the second of two checks of one object goes,
// and the first one is for writing if either is. What has just been made is at home and needs none.
#include <map>
#include <set>
#include <utility>

#include "ir/analysis/safepoints.h"
#include "ir/passes/edit.h"
#include "ir/passes/passes.h"
#include "ir/passes/ssa.h"
#include "ir/support/fault.h"

namespace jvmc::ir {
namespace {

class Coherence {
 public:
  Coherence(const PassContext& context, FunctionBody& body) : context_(context), editor_(body), body_(body) {}

  void run() {
    // One variable with many definitions; rebuildSsa gives each block the token that reaches it.
    token_ = ValueId(uint32_t(body_.values.size()));
    body_.values.push_back({Value::Kind::Result, kI64, BlockId(0), 0, "token"});
    std::vector<bool> receivesExceptions(body_.blocks.size());
    for (const Block& block : body_.blocks)
      for (const Instr& instr : block.instrs)
        if (instr.op == Opcode::kCheckRangeRead || instr.op == Opcode::kCheckRangeWrite)
          rangeChecked_.insert(instr.result);
    for (const Block& block : body_.blocks)
      if (block.handler) receivesExceptions[block.handler->block.index()] = true;
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) {
      Block& block = body_.blocks[b];
      out_.clear();
      checked_.clear();
      if (b == 0 || receivesExceptions[b]) readToken(block.loc);
      for (Instr& instr : block.instrs) instrument(BlockId(b), std::move(instr));
      block.instrs = std::move(out_);
    }
    rebuildSsa(body_);
  }

 private:
  void readToken(SourceLoc loc) {
    checked_.clear();
    Instr instr;
    instr.op = Opcode::kCoherenceToken;
    instr.result = token_;
    instr.loc = loc;
    out_.push_back(std::move(instr));
  }

  bool mayAcquire(const Instr& instr) const {
    if (instr.op == Opcode::kCall && JVMC_FAULT("stale-token-after-a-call")) return false;
    if (instr.op == Opcode::kCall) return context_.calls.mayPollOrThrow(instr.symbol.function());
    return safepointKind(context_.module, instr) != SafepointKind::None;
  }

  void instrument(BlockId block, Instr instr) {
    switch (instr.op) {
      case Opcode::kLoadField:
      case Opcode::kStoreField:
        if (!isVolatileAccess(context_.module, instr))
          check(block, instr, instr.op == Opcode::kLoadField ? Opcode::kCheckRead : Opcode::kCheckWrite);
        break;
      case Opcode::kArrayLength:
      case Opcode::kInstanceOf:
      case Opcode::kCheckCast:
      case Opcode::kCallVirtual:
      case Opcode::kCallInterface:
        check(block, instr, Opcode::kCheckRead);
        break;
      case Opcode::kLoadElem:
        if (JVMC_FAULT("element-read-without-check")) break;
        check(block, instr, Opcode::kCheckElemRead);
        break;
      case Opcode::kStoreElem:
        check(block, instr, Opcode::kCheckElemWrite);
        break;
      case Opcode::kLoadElemVolatile:
      case Opcode::kStoreElemVolatile:
      case Opcode::kCasElem:
      case Opcode::kAddElem:
      case Opcode::kSwapElem:
        check(block, instr, Opcode::kCheckRead);  // the element is accessed at the home, but the length is read here
        break;
      case Opcode::kCheckRangeRead:
      case Opcode::kCheckRangeWrite:
        instr.operands.back() = token_;
        break;
      default:
        break;
    }
    bool acquires = mayAcquire(instr);
    bool isNew = instr.op == Opcode::kNew || instr.op == Opcode::kNewArray;
    SourceLoc loc = instr.loc;
    ValueId result = instr.result;
    out_.push_back(std::move(instr));
    if (acquires) readToken(loc);
    if (isNew) checked_.fresh.insert(result);
  }

  void check(BlockId block, Instr& access, Opcode op) {
    ValueId object = access.operands[0];
    if (rangeChecked_.contains(object)) return;            // bounds_check_versioning has seen to it, for the whole loop
    if (body_[object].kind == Value::Kind::Const) return;  // null
    bool isElement = op == Opcode::kCheckElemRead || op == Opcode::kCheckElemWrite;
    bool isWrite = op == Opcode::kCheckWrite || op == Opcode::kCheckElemWrite;
    if (checked_.fresh.contains(object)) return;
    const auto key = std::pair(object, isElement ? access.operands[1] : ValueId());
    if (const auto found = checked_.at.find(key); found != checked_.at.end()) {
      Instr& earlier = out_[found->second];
      if (isWrite) earlier.op = op;
      access.operands[0] = earlier.result;
      return;
    }
    std::vector<ValueId> operands{object};
    if (isElement) operands.push_back(access.operands[1]);
    operands.push_back(token_);
    Instr check = editor_.make(block, op, std::move(operands), TypeId(), body_[object].type, access.loc);
    check.flags = access.flags & kNoNullCheck;
    access.operands[0] = check.result;
    checked_.at.emplace(key, out_.size());
    out_.push_back(std::move(check));
  }

  const PassContext& context_;
  BodyEditor editor_;
  FunctionBody& body_;
  ValueId token_;
  std::set<ValueId> rangeChecked_;
  std::vector<Instr> out_;
  /// In this block, since the token was read.
  struct {
    std::map<std::pair<ValueId, ValueId>, size_t> at;  ///< object and element -> the check in out_
    std::set<ValueId> fresh;                           ///< made here
    void clear() {
      at.clear();
      fresh.clear();
    }
  } checked_;
};

}  // namespace

void runCoherence(const PassContext& context, FunctionBody& body) {
  Coherence(context, body).run();
}

}  // namespace jvmc::ir
