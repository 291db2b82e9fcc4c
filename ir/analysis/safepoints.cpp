#include "ir/analysis/safepoints.h"

namespace jvmc::ir {

bool isVolatileAccess(const Module& module, const Instr& instr) {
  switch (instr.op) {
    case Opcode::kLoadField:
    case Opcode::kStoreField:
      return module.field(instr.symbol).isVolatile;
    case Opcode::kLoadStatic:
    case Opcode::kStoreStatic:
      return module.staticField(instr.symbol).isVolatile;
    default:
      return false;
  }
}

bool mayInitialise(const Instr& instr) {
  return instr.info().has(kInit) && !(instr.flags & kNoInitCheck);
}

SafepointKind safepointKind(const Module& module, const Instr& instr) {
  if (instr.info().has(kCall) || isVolatileAccess(module, instr)) return SafepointKind::After;
  return mayInitialise(instr) ? SafepointKind::Before : SafepointKind::None;
}

bool mayThrow(const FunctionBody& body, const Instr& instr) {
  if (!instr.info().has(kThrows)) return false;
  bool nonNull = instr.flags & kNoNullCheck, inBounds = instr.flags & kNoBoundsCheck;
  switch (instr.op) {
    case Opcode::kDiv:
    case Opcode::kRem: {
      const Value& divisor = body[instr.operands[1]];
      return divisor.kind != Value::Kind::Const || divisor.constant == 0;
    }
    case Opcode::kLoadField:
    case Opcode::kStoreField:
    case Opcode::kArrayLength:
      return !nonNull;
    case Opcode::kLoadElem:
      return !nonNull || !inBounds;
    case Opcode::kStoreElem: {
      bool storesReference = body[instr.operands[2]].type.index() >= kNull.index();
      return !nonNull || !inBounds || (storesReference && !(instr.flags & kNoStoreCheck));
    }
    case Opcode::kLoadStatic:
    case Opcode::kStoreStatic:
    case Opcode::kInitClass:
      return mayInitialise(instr);
    default:
      return true;
  }
}

}  // namespace jvmc::ir
