// From an IR body to FunctionCode: registers, instructions, edges.
#include <algorithm>
#include <unordered_map>

#include "runtime/abi/helpers.h"
#include "runtime/interp/interp_frame.h"

namespace jvmc::rt {

using ir::Opcode;
using ir::TypeKind;

namespace {

/// The variant of a family of instructions for a type: the order in interp_ops.def is I32 I64 F32 F64.
IOp variant(IOp i32, TypeKind kind) {
  switch (kind) {
    case TypeKind::I32:
      return i32;
    case TypeKind::F32:
      return IOp(uint32_t(i32) + 2);
    case TypeKind::F64:
      return IOp(uint32_t(i32) + 3);
    default:
      return IOp(uint32_t(i32) + 1);  // i64 and references
  }
}

IOp floatVariant(IOp f32, TypeKind kind) {
  return kind == TypeKind::F32 ? f32 : IOp(uint32_t(f32) + 1);
}

/// Variants for storage sizes stand in the order 8 16 32 64.
IOp sized(IOp size8, TypeKind storage) {
  switch (ir::storageBytes(storage)) {
    case 1:
      return size8;
    case 2:
      return IOp(uint32_t(size8) + 1);
    case 4:
      return IOp(uint32_t(size8) + 2);
    default:
      return IOp(uint32_t(size8) + 3);
  }
}

uint32_t log2Size(TypeKind storage) {
  switch (ir::storageBytes(storage)) {
    case 1:
      return 0;
    case 2:
      return 1;
    case 4:
      return 2;
    default:
      return 3;
  }
}

bool isReference(TypeKind kind) {
  return kind >= TypeKind::Null;
}

/// The branch that a comparison fuses into, or kCount.
IOp fusedBranch(const ir::Instr& compare, TypeKind kind) {
  switch (compare.op) {
    case Opcode::kEq:
      return variant(IOp::kBrEqI32, kind);
    case Opcode::kNe:
      return variant(IOp::kBrNeI32, kind);
    case Opcode::kLt:
      return variant(IOp::kBrLtI32, kind);
    case Opcode::kLe:
      return variant(IOp::kBrLeI32, kind);
    case Opcode::kGt:
      return variant(IOp::kBrGtI32, kind);
    case Opcode::kGe:
      return variant(IOp::kBrGeI32, kind);
    case Opcode::kUlt:
      return variant(IOp::kBrUltI32, kind);
    case Opcode::kRefEq:
      return IOp::kBrEqI64;
    case Opcode::kRefNe:
      return IOp::kBrNeI64;
    default:
      return IOp::kCount;
  }
}

/// Instructions that are their operands and a result, nothing else; kCount for the others.
IOp simpleOp(Opcode op, TypeKind kind) {
  switch (op) {
    // clang-format off
#define NUM(name)       \
  case Opcode::k##name: \
    return variant(IOp::k##name##I32, kind);
    NUM(Add)
    NUM(Sub)
    NUM(Mul)
    NUM(Neg)
    NUM(Min)
    NUM(Max)
    NUM(Abs) NUM(Eq) NUM(Ne) NUM(Lt) NUM(Le) NUM(Gt) NUM(Ge) NUM(Div) NUM(Rem) NUM(And) NUM(Or) NUM(Xor) NUM(Shl) NUM(Shr)
    NUM(Ushr) NUM(Ult)
#undef NUM
#define FLOAT(name)     \
  case Opcode::k##name: \
    return floatVariant(IOp::k##name##F32, kind);
    FLOAT(FDiv) FLOAT(FRem) FLOAT(Sqrt) FLOAT(Floor) FLOAT(Ceil)
#undef FLOAT
#define SAME(name)      \
  case Opcode::k##name: \
    return IOp::k##name;
    SAME(I32ToI64) SAME(I32ToF32) SAME(I32ToF64) SAME(I64ToI32) SAME(I64ToF32) SAME(I64ToF64) SAME(F32ToI32)
    SAME(F32ToI64) SAME(F32ToF64) SAME(F64ToI32) SAME(F64ToI64) SAME(F64ToF32) SAME(Sext8) SAME(Sext16)
    SAME(Zext8) SAME(Zext16) SAME(F32ToBits) SAME(F64ToBits) SAME(Freeze) SAME(Fence)
    SAME(ArrayLength) SAME(MonitorEnter) SAME(MonitorExit) SAME(MonitorWait) SAME(MonitorNotify)
    SAME(MonitorNotifyAll) SAME(ThreadJoin) SAME(ThreadSleep) SAME(ThreadYield)
    SAME(ThreadPark) SAME(ThreadUnpark) SAME(ThreadInterrupt) SAME(ThreadInterrupted)
    SAME(ThreadIsInterrupted) SAME(ThreadIsAlive) SAME(ThreadCurrent) SAME(SpinHint)
    SAME(Poll) SAME(CoherenceToken) SAME(CheckRead) SAME(CheckWrite)
    SAME(CheckElemRead) SAME(CheckElemWrite) SAME(Throw) SAME(Unreachable)
#undef SAME
      // clang-format on
      case Opcode::kRefEq:
    return IOp::kEqI64;
  case Opcode::kRefNe:
    return IOp::kNeI64;
  case Opcode::kF32ToRawBits:
  case Opcode::kF64ToRawBits:
  case Opcode::kBitsToF32:
  case Opcode::kBitsToF64:
    return IOp::kMove;
    default : return IOp::kCount;
  }
}

}  // namespace

class Predecoder {
 public:
  Predecoder(const ModuleLayout& layout, const ir::FunctionBody& body, const ir::Cfg& cfg, FunctionCode& out)
      : layout_(layout), module_(layout.module()), body_(body), cfg_(cfg), out_(out) {}

  void run() {
    assignRegisters();
    countUses();
    out_.instOfFlat_.assign(cfg_.instrCount(), 0);
    blockStart_.assign(body_.blocks.size(), 0);
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) emitBlock(ir::BlockId(b));
    emitDeferred();
    emitHandlers();
    for (const Fixup& fixup : fixups_) patch(fixup);
    for (const SwitchFixup& fixup : switchFixups_) patch(fixup);
  }

 private:
  // ---------------------------------------------------------------- registers

  void assignRegisters() {
    uint32_t next = 0;
    auto& registerOf = out_.registerOf_;
    registerOf.assign(body_.values.size(), kNoRegister);
    for (ir::ValueId v : body_.blocks[0].params) {
      if (isReference(kindOf(v))) out_.referenceParams_.push_back(next);
      registerOf[v.index()] = next++;
    }
    out_.paramCount_ = next;
    auto assign = [&](auto wanted) {
      for (uint32_t v = 0; v < body_.values.size(); ++v)
        if (registerOf[v] == kNoRegister && wanted(body_.values[v])) registerOf[v] = next++;
    };
    auto isConstant = [](const ir::Value& v) { return v.kind == ir::Value::Kind::Const; };
    assign([&](const ir::Value& v) { return !isConstant(v) && module_.types[v.type].isReference(); });
    out_.referenceEnd_ = next;
    assign([&](const ir::Value& v) { return !isConstant(v); });
    out_.exceptionRegister_ = next++;
    scratch_ = next++;
    out_.constantBegin_ = next;
    std::unordered_map<uint64_t, uint32_t> seen;
    for (uint32_t v = 0; v < body_.values.size(); ++v) {
      if (!isConstant(body_.values[v])) continue;
      auto [it, isNew] = seen.try_emplace(body_.values[v].constant, next);
      if (isNew) {
        out_.constants_.push_back(body_.values[v].constant);
        ++next;
      }
      registerOf[v] = it->second;
    }
    out_.frameWords_ = kInterpFrameWords + next;
  }

  void countUses() {
    uses_.assign(body_.values.size(), 0);
    for (const ir::Block& block : body_.blocks) {
      for (const ir::Instr& instr : block.instrs) ir::forEachUse(instr, [&](ir::ValueId v) { ++uses_[v.index()]; });
      if (block.handler)
        for (ir::ValueId v : block.handler->args) ++uses_[v.index()];
    }
  }

  TypeKind kindOf(ir::TypeId type) const { return module_.types[type].kind; }
  TypeKind kindOf(ir::ValueId v) const { return kindOf(body_[v].type); }
  uint32_t reg(ir::ValueId v) const { return v.valid() ? out_.registerOf_[v.index()] : kNoRegister; }

  // ---------------------------------------------------------------- emission

  uint32_t here() const { return uint32_t(out_.code_.size()); }

  uint32_t emit(Inst inst) {
    out_.code_.push_back(inst);
    out_.flatOfInst_.push_back(flat_);
    return here() - 1;
  }

  void emitBlock(ir::BlockId b) {
    const auto& instrs = body_[b].instrs;
    blockStart_[b.index()] = here();
    isLastOfBlock_ = false;
    for (uint32_t i = 0; i < instrs.size(); ++i) {
      flat_ = cfg_.firstInstr(b) + i;
      out_.instOfFlat_[flat_] = here();
      const ir::Instr& instr = instrs[i];
      if (i + 2 == instrs.size() && fuses(instr, instrs[i + 1])) {
        emitFused(b, instr, instrs[i + 1]);
        return;
      }
      emitInstr(b, instr);
    }
  }

  bool fuses(const ir::Instr& compare, const ir::Instr& branch) const {
    return branch.op == Opcode::kBrIf && compare.result.valid() && branch.operands[0] == compare.result &&
           uses_[compare.result.index()] == 1 && fusedBranch(compare, TypeKind::I32) != IOp::kCount;
  }

  // The fused branch stands for both instructions; the lone branch is emitted later for frames that stand before it.
  void emitFused(ir::BlockId b, const ir::Instr& compare, const ir::Instr& branch) {
    TypeKind kind = compare.type.valid() ? kindOf(compare.type) : TypeKind::I64;
    uint32_t at = emit({fusedBranch(compare, kind), 0, reg(compare.operands[0]), reg(compare.operands[1])});
    ++flat_;
    Arms arms = emitArms(b, branch);
    out_.code_[at].d = arms.otherwise;
    deferred_.push_back({flat_, reg(branch.operands[0]), arms});
  }

  struct Arms {
    uint32_t then, otherwise;
  };

  Arms emitArms(ir::BlockId b, const ir::Instr& branch) {
    Arms arms;
    arms.then = here();
    emitEdge(b, branch.targets[0]);
    arms.otherwise = here();
    isLastOfBlock_ = true;
    emitEdge(b, branch.targets[1]);
    return arms;
  }

  struct Deferred {
    uint32_t flat, condition;
    Arms arms;
  };

  void emitDeferred() {
    for (const Deferred& d : deferred_) {
      flat_ = d.flat;
      out_.instOfFlat_[flat_] = here();
      emit({IOp::kBrIf, d.arms.otherwise, d.condition, 0});
      emit({IOp::kJump, d.arms.then, 0, 0});
    }
  }

  struct Move {
    uint32_t to, from;
  };

  /// Copies the arguments of an edge into the parameters of its target, then jumps.
  void emitEdge(ir::BlockId from, const ir::BlockCall& call, bool isHandlerEdge = false) {
    const ir::Block& target = body_[call.block];
    std::vector<Move> moves;
    size_t first = isHandlerEdge ? 1 : 0;
    if (isHandlerEdge) moves.push_back({reg(target.params[0]), out_.exceptionRegister_});
    for (size_t i = 0; i < call.args.size(); ++i) moves.push_back({reg(target.params[first + i]), reg(call.args[i])});
    emitParallelMoves(std::move(moves));
    bool isBack = !body_.optimised && cfg_.isBackEdge(from, call.block);  // optimised bodies poll by themselves
    if (!isBack && !isHandlerEdge && call.block.index() == from.index() + 1 && isLastOfBlock_) return;  // falls through
    fixups_.push_back({emit({isBack ? IOp::kJumpBack : IOp::kJump, 0, 0, 0}), call.block});
  }

  /// Emits moves whose targets nobody reads any more; when only cycles are left, one target is saved in the scratch
  /// register first.
  void emitParallelMoves(std::vector<Move> moves) {
    std::erase_if(moves, [](const Move& m) { return m.to == m.from; });
    std::unordered_map<uint32_t, uint32_t> readers;
    for (const Move& m : moves) ++readers[m.from];
    std::vector<Move> ordered;
    std::vector<Move> pending = std::move(moves);
    while (!pending.empty()) {
      std::vector<Move> blocked;
      for (const Move& m : pending) {
        auto it = readers.find(m.to);
        if (it != readers.end() && it->second > 0) {
          blocked.push_back(m);
          continue;
        }
        ordered.push_back(m);
        --readers[m.from];
      }
      if (blocked.size() == pending.size()) {
        uint32_t saved = blocked.front().to;
        ordered.push_back({scratch_, saved});
        for (Move& m : blocked)
          if (m.from == saved) m.from = scratch_;
        readers[scratch_] += readers[saved];
        readers[saved] = 0;
      }
      pending = std::move(blocked);
    }
    for (size_t i = 0; i < ordered.size(); ++i) {
      // Neighbouring targets go in one instruction, if the second does not read what the first has written.
      if (i + 1 < ordered.size() && ordered[i + 1].to == ordered[i].to + 1 && ordered[i + 1].from != ordered[i].to) {
        emit({IOp::kMove2, ordered[i].to, ordered[i].from, ordered[i + 1].from});
        ++i;
      } else {
        emit({IOp::kMove, ordered[i].to, ordered[i].from, 0});
      }
    }
  }

  void emitHandlers() {
    bool any =
        std::any_of(body_.blocks.begin(), body_.blocks.end(), [](const ir::Block& b) { return b.handler.has_value(); });
    if (!any) return;
    out_.handlerOfFlat_.assign(cfg_.instrCount(), kNoRegister);
    for (uint32_t b = 0; b < body_.blocks.size(); ++b) {
      const ir::Block& block = body_.blocks[b];
      if (!block.handler) continue;
      uint32_t first = cfg_.firstInstr(ir::BlockId(b));
      flat_ = first;
      uint32_t stub = here();
      emitEdge(ir::BlockId(b), *block.handler, true);
      for (uint32_t i = 0; i < block.instrs.size(); ++i) out_.handlerOfFlat_[first + i] = stub;
    }
  }

  struct Fixup {
    uint32_t inst;
    ir::BlockId block;
  };
  struct SwitchFixup {
    uint32_t table;
  };

  void patch(const Fixup& fixup) { out_.code_[fixup.inst].d = blockStart_[fixup.block.index()]; }

  void patch(const SwitchFixup& fixup) {
    SwitchTable& table = out_.switches_[fixup.table];
    std::sort(table.cases.begin(), table.cases.end());
    if (table.cases.empty()) return;
    int64_t low = table.cases.front().first, high = table.cases.back().first;
    if (high - low >= 4 * int64_t(table.cases.size()) + 8) return;
    table.low = int32_t(low);
    table.dense.assign(size_t(high - low + 1), table.fallback);
    for (auto [value, target] : table.cases) table.dense[size_t(value - low)] = target;
  }

  // ---------------------------------------------------------------- instructions

  void emitInstr(ir::BlockId b, const ir::Instr& instr) {
    isLastOfBlock_ = false;
    const auto& ops = instr.operands;
    TypeKind kind = instr.type.valid() ? kindOf(instr.type) : TypeKind::Void;
    uint32_t d = reg(instr.result);
    uint32_t a = ops.size() > 0 ? reg(ops[0]) : 0;
    uint32_t second = ops.size() > 1 ? reg(ops[1]) : 0;
    if (IOp op = simpleOp(instr.op, kind); op != IOp::kCount) {
      emit({op, d, a, second});
      return;
    }
    switch (instr.op) {
      case Opcode::kBr:
        isLastOfBlock_ = true;
        return emitEdge(b, instr.targets[0]);
      case Opcode::kBrIf: {
        uint32_t at = emit({IOp::kBrIf, 0, a, 0});
        out_.code_[at].d = emitArms(b, instr).otherwise;
        return;
      }
      case Opcode::kSwitch:
        return emitSwitch(b, instr, a);
      case Opcode::kReturn: {
        emit({ops.empty() ? IOp::kReturnVoid : IOp::kReturnValue, 0, a, 0});
        return;
      }
      case Opcode::kSelect:
        emit({IOp::kSelect, d, a, second});
        emit({IOp::kUnreachable, reg(ops[2]), 0, 0});
        return;
      case Opcode::kNew:
        emit({IOp::kNew, d, layout_.classIndex(instr.symbol.owner), 0});
        return;
      case Opcode::kInitClass:
        emit({IOp::kInitClass, 0, instr.symbol.owner.value, 0});
        return;
      case Opcode::kInstanceOf:
      case Opcode::kCheckCast:
        emit({instr.op == Opcode::kInstanceOf ? IOp::kInstanceOf : IOp::kCheckCast, d, a,
              classIndexOf(instr.symbol.type)});
        return;
      case Opcode::kNewArray:
        emit({IOp::kNewArray, d, a, layout_.arrayIndexOfElement(instr.symbol.type)});
        return;
      case Opcode::kNewBytes:
        emit({IOp::kNewBytes, d, instr.symbol.member, 0});
        return;
      case Opcode::kLoadField:
      case Opcode::kStoreField:
      case Opcode::kCasField:
      case Opcode::kAddField:
      case Opcode::kSwapField:
        return emitFieldAccess(instr, d);
      case Opcode::kLoadStatic:
      case Opcode::kStoreStatic:
        return emitStaticAccess(instr, d);
      case Opcode::kLoadElem:
        emit({sized(IOp::kLoadElem8, elementKind(ops[0])), d, a, second});
        return;
      case Opcode::kStoreElem: {
        TypeKind element = elementKind(ops[0]);
        emit({isReference(element) ? IOp::kStoreElemRef : sized(IOp::kStoreElem8, element), reg(ops[2]), a, second});
        return;
      }
      case Opcode::kLoadElemVolatile:
        return emitAtomicElem(instr, AtomicOp::Load, d);
      case Opcode::kStoreElemVolatile:
        return emitAtomicElem(instr, AtomicOp::Store, d);
      case Opcode::kCasElem:
        return emitAtomicElem(instr, AtomicOp::Cas, d);
      case Opcode::kAddElem:
        return emitAtomicElem(instr, AtomicOp::Add, d);
      case Opcode::kSwapElem:
        return emitAtomicElem(instr, AtomicOp::Swap, d);
      case Opcode::kArrayCopy:
        emit({IOp::kArrayCopy, 0, 0, argumentList(instr)});
        return;
      case Opcode::kArrayFill:
        emit({IOp::kArrayFill, 0, 0, argumentList(instr)});
        return;
      case Opcode::kCall:
        emit({IOp::kCall, d, instr.symbol.member, argumentList(instr)});
        return;
      case Opcode::kCallVirtual:
        emit({IOp::kCallVirtual, d, layout_.vtableSlot(instr.symbol), argumentList(instr)});
        return;
      case Opcode::kCallInterface:
        emit({IOp::kCallInterface, d, layout_.selector(instr.symbol), argumentList(instr)});
        return;
      case Opcode::kCallNative:
        emit({IOp::kCallNative, d, instr.symbol.member, argumentList(instr)});
        return;
      case Opcode::kThreadStart:
        emit({IOp::kThreadStart, 0, instr.symbol.member, argumentList(instr)});
        return;
      case Opcode::kCheckRangeRead:
      case Opcode::kCheckRangeWrite:
        emit({instr.op == Opcode::kCheckRangeRead ? IOp::kCheckRangeRead : IOp::kCheckRangeWrite, d, a, second});
        emit({IOp::kUnreachable, 0, reg(ops[2]), 0});
        return;
      default:
        break;
    }
    JVMC_UNREACHABLE(instr.info().name);
  }

  uint32_t classIndexOf(ir::TypeId type) const {
    const ir::Type& t = module_.types[type];
    return t.kind == TypeKind::Array ? layout_.arrayIndex(type) : layout_.classIndex(t.classId());
  }

  TypeKind elementKind(ir::ValueId array) const {
    const ir::Type& type = module_.types[body_[array].type];
    // The verifier lets `null` stand for an array; any access to it throws, so its element kind does not matter.
    return type.kind == TypeKind::Array ? kindOf(type.element()) : TypeKind::I32;
  }

  uint32_t argumentList(const ir::Instr& instr) {
    uint32_t at = uint32_t(out_.arguments_.size());
    out_.arguments_.push_back(uint32_t(instr.operands.size()));
    for (ir::ValueId v : instr.operands) out_.arguments_.push_back(reg(v));
    return at;
  }

  void emitSwitch(ir::BlockId b, const ir::Instr& instr, uint32_t value) {
    uint32_t index = uint32_t(out_.switches_.size());
    out_.switches_.emplace_back();
    emit({IOp::kSwitchOn, 0, value, index});
    for (size_t i = 0; i < instr.targets.size(); ++i) {
      uint32_t stub = here();
      emitEdge(b, instr.targets[i]);
      if (i == 0)
        out_.switches_[index].fallback = stub;
      else
        out_.switches_[index].cases.emplace_back(instr.cases[i - 1], stub);
    }
    switchFixups_.push_back({index});
  }

  void emitAtomic(IOp op, AtomicOp atomic, uint32_t d, uint32_t object, uint32_t where, TypeKind storage,
                  uint32_t value, uint32_t second) {
    emit({op, d, object, where});
    emit({IOp::kUnreachable, uint32_t(atomic) | log2Size(storage) << 8 | (isReference(storage) ? 1u << 16 : 0), value,
          second});
  }

  void emitFieldAccess(const ir::Instr& instr, uint32_t d) {
    const FieldLayout& field = layout_.field(instr.symbol);
    bool isVolatile = module_.field(instr.symbol).isVolatile;
    uint32_t object = reg(instr.operands[0]);
    uint32_t value = instr.operands.size() > 1 ? reg(instr.operands[1]) : 0;
    auto atomic = [&](AtomicOp op, uint32_t second = 0) {
      emitAtomic(IOp::kAtomicField, op, d, object, field.offset, field.kind, value, second);
    };
    switch (instr.op) {
      case Opcode::kCasField:
        return atomic(AtomicOp::Cas, reg(instr.operands[2]));
      case Opcode::kAddField:
        return atomic(AtomicOp::Add);
      case Opcode::kSwapField:
        return atomic(AtomicOp::Swap);
      case Opcode::kLoadField:
        if (isVolatile) return atomic(AtomicOp::Load);
        emit({sized(IOp::kLoadField8, field.kind), d, object, field.offset});
        return;
      default:
        if (isVolatile) return atomic(AtomicOp::Store);
        emit({isReference(field.kind) ? IOp::kStoreFieldRef : sized(IOp::kStoreField8, field.kind), value, object,
              field.offset});
    }
  }

  // A static is a field of its class's statics object, which StaticsOf puts into the scratch register.
  void emitStaticAccess(const ir::Instr& instr, uint32_t d) {
    const FieldLayout& field = layout_.staticField(instr.symbol);
    bool isLoad = instr.op == Opcode::kLoadStatic;
    uint32_t value = isLoad ? 0 : reg(instr.operands[0]);
    emit({IOp::kStaticsOf, scratch_, instr.symbol.owner.value, 0});
    if (module_.staticField(instr.symbol).isVolatile) {
      emitAtomic(IOp::kAtomicField, isLoad ? AtomicOp::Load : AtomicOp::Store, d, scratch_, field.offset, field.kind,
                 value, 0);
    } else if (isLoad) {
      emit({sized(IOp::kLoadField8, field.kind), d, scratch_, field.offset});
    } else {
      emit({isReference(field.kind) ? IOp::kStoreFieldRef : sized(IOp::kStoreField8, field.kind), value, scratch_,
            field.offset});
    }
  }

  void emitAtomicElem(const ir::Instr& instr, AtomicOp op, uint32_t d) {
    const auto& ops = instr.operands;
    emitAtomic(IOp::kAtomicElem, op, d, reg(ops[0]), reg(ops[1]), elementKind(ops[0]), ops.size() > 2 ? reg(ops[2]) : 0,
               ops.size() > 3 ? reg(ops[3]) : 0);
  }

  const ModuleLayout& layout_;
  const ir::Module& module_;
  const ir::FunctionBody& body_;
  const ir::Cfg& cfg_;
  FunctionCode& out_;
  uint32_t scratch_ = 0;
  uint32_t flat_ = 0;
  bool isLastOfBlock_ = false;
  std::vector<uint32_t> uses_, blockStart_;
  std::vector<Deferred> deferred_;
  std::vector<Fixup> fixups_;
  std::vector<SwitchFixup> switchFixups_;
};

FunctionCode::FunctionCode(const ModuleLayout& layout, const FunctionInfo& info, const ir::FunctionBody& body,
                           bool countsDepth)
    : info_(info), body_(body), countsDepth_(countsDepth) {
  if (&body == &info.body()) {
    Predecoder(layout, body, info.cfg(), *this).run();
  } else {
    ir::Cfg cfg(body);
    Predecoder(layout, body, cfg, *this).run();
  }
  slotRegisters_ = std::make_unique<std::atomic<const std::vector<uint32_t>*>[]>(2 * size_t(info.cfg().instrCount()));
}

}  // namespace jvmc::rt
