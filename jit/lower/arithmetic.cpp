// Numbers. Results are those of the Java language on every target: integers wrap, shifts mask their count, MIN / -1 is
// MIN, conversions to integers saturate, minimum and maximum know NaN and -0.0. No fast-math flag is ever set.
#include "jit/lower/function_lowering.h"

namespace jvmc::jit {

using ir::Instr;
using ir::Opcode;
using llvm::Intrinsic::ID;

void FunctionLowering::lowerBinary(const Instr& instr) {
  llvm::Value *x = value(instr.operands[0]), *y = value(instr.operands[1]);
  bool isFloat = x->getType()->isFloatingPointTy();
  auto compute = [&]() -> llvm::Value* {
    switch (instr.op) {
      case Opcode::kAdd:
        return isFloat ? b_.CreateFAdd(x, y) : b_.CreateAdd(x, y);
      case Opcode::kSub:
        return isFloat ? b_.CreateFSub(x, y) : b_.CreateSub(x, y);
      case Opcode::kMul:
        return isFloat ? b_.CreateFMul(x, y) : b_.CreateMul(x, y);
      case Opcode::kFDiv:
        return b_.CreateFDiv(x, y);
      case Opcode::kAnd:
        return b_.CreateAnd(x, y);
      case Opcode::kOr:
        return b_.CreateOr(x, y);
      case Opcode::kXor:
        return b_.CreateXor(x, y);
      default:
        JVMC_UNREACHABLE(instr.info().name);
    }
  };
  setResult(instr, compute());
}

// LLVM leaves division by zero and MIN / -1 undefined, so neither may reach its division: zero throws, and for -1 the
// division is by 1 and its result replaced. With a constant divisor both tests fold away.
void FunctionLowering::lowerDivision(const Instr& instr) {
  llvm::Value *dividend = value(instr.operands[0]), *divisor = value(instr.operands[1]);
  llvm::Type* type = divisor->getType();
  auto* known = llvm::dyn_cast<llvm::ConstantInt>(divisor);
  if (!known || known->isZero()) throwIf(b_.CreateIsNull(divisor), instr, rt::BuiltinThrow::Arithmetic);
  llvm::Value* isMinusOne = b_.CreateICmpEQ(divisor, llvm::ConstantInt::getSigned(type, -1));
  llvm::Value* safe = b_.CreateSelect(isMinusOne, llvm::ConstantInt::get(type, 1), divisor);
  if (known && known->isZero()) safe = llvm::ConstantInt::get(type, 1);  // not reached
  if (instr.op == Opcode::kDiv)
    setResult(instr, b_.CreateSelect(isMinusOne, b_.CreateNeg(dividend), b_.CreateSDiv(dividend, safe)));
  else
    setResult(instr, b_.CreateSelect(isMinusOne, llvm::ConstantInt::get(type, 0), b_.CreateSRem(dividend, safe)));
}

// The remainder of two floats is exact in double: for f32 the detour through f64 gives fmodf's result.
void FunctionLowering::lowerFloatRemainder(const Instr& instr) {
  llvm::Value *x = value(instr.operands[0]), *y = value(instr.operands[1]);
  llvm::Type* type = x->getType();
  llvm::Value* wide =
      b_.CreateCall(unit_.fmod(), {b_.CreateFPExt(x, b_.getDoubleTy()), b_.CreateFPExt(y, b_.getDoubleTy())});
  setResult(instr, b_.CreateFPTrunc(wide, type));
}

void FunctionLowering::lowerShift(const Instr& instr) {
  llvm::Value *x = value(instr.operands[0]), *count = value(instr.operands[1]);
  llvm::Type* type = x->getType();
  count = b_.CreateAnd(count, b_.getInt32(type->getIntegerBitWidth() - 1));
  count = b_.CreateZExt(count, type);
  switch (instr.op) {
    case Opcode::kShl:
      return setResult(instr, b_.CreateShl(x, count));
    case Opcode::kShr:
      return setResult(instr, b_.CreateAShr(x, count));
    default:
      return setResult(instr, b_.CreateLShr(x, count));
  }
}

// llvm.minimum and llvm.maximum: NaN if either is NaN, -0.0 < 0.0.
void FunctionLowering::lowerMinMax(const Instr& instr) {
  llvm::Value *x = value(instr.operands[0]), *y = value(instr.operands[1]);
  bool isFloat = x->getType()->isFloatingPointTy(), isMin = instr.op == Opcode::kMin;
  ID id = isFloat ? (isMin ? llvm::Intrinsic::minimum : llvm::Intrinsic::maximum)
                  : (isMin ? llvm::Intrinsic::smin : llvm::Intrinsic::smax);
  setResult(instr, b_.CreateBinaryIntrinsic(id, x, y));
}

void FunctionLowering::lowerUnary(const Instr& instr) {
  llvm::Value* x = value(instr.operands[0]);
  bool isFloat = x->getType()->isFloatingPointTy();
  switch (instr.op) {
    case Opcode::kNeg:
      return setResult(instr, isFloat ? b_.CreateFNeg(x) : b_.CreateNeg(x));
    case Opcode::kSqrt:
      return setResult(instr, b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x));
    case Opcode::kFloor:
      return setResult(instr, b_.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x));
    case Opcode::kCeil:
      return setResult(instr, b_.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, x));
    default:
      break;
  }
  if (isFloat) return setResult(instr, b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x));
  setResult(instr, b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x, b_.getFalse()));  // |MIN| = MIN
}

void FunctionLowering::lowerCompare(const Instr& instr) {
  using P = llvm::CmpInst::Predicate;
  llvm::Value *x = value(instr.operands[0]), *y = value(instr.operands[1]);
  bool isFloat = x->getType()->isFloatingPointTy();
  auto predicate = [&]() -> P {
    switch (instr.op) {
      case Opcode::kEq:
        return isFloat ? P::FCMP_OEQ : P::ICMP_EQ;
      case Opcode::kNe:
        return isFloat ? P::FCMP_UNE : P::ICMP_NE;
      case Opcode::kLt:
        return isFloat ? P::FCMP_OLT : P::ICMP_SLT;
      case Opcode::kLe:
        return isFloat ? P::FCMP_OLE : P::ICMP_SLE;
      case Opcode::kGt:
        return isFloat ? P::FCMP_OGT : P::ICMP_SGT;
      case Opcode::kGe:
        return isFloat ? P::FCMP_OGE : P::ICMP_SGE;
      case Opcode::kUlt:
        return P::ICMP_ULT;
      case Opcode::kRefEq:
        return P::ICMP_EQ;
      case Opcode::kRefNe:
        return P::ICMP_NE;
      default:
        JVMC_UNREACHABLE(instr.info().name);
    }
  };
  setResult(instr, b_.CreateZExt(b_.CreateCmp(predicate(), x, y), b_.getInt32Ty()));
}

void FunctionLowering::lowerSelect(const Instr& instr) {
  llvm::Value* condition = b_.CreateIsNotNull(value(instr.operands[0]));
  setResult(instr, b_.CreateSelect(condition, value(instr.operands[1]), value(instr.operands[2])));
}

void FunctionLowering::lowerConversion(const Instr& instr) {
  llvm::Value* x = value(instr.operands[0]);
  llvm::Type *i32 = b_.getInt32Ty(), *i64 = b_.getInt64Ty(), *f32 = b_.getFloatTy(), *f64 = b_.getDoubleTy();
  auto saturate = [&](llvm::Type* to) {
    return b_.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {to, x->getType()}, {x});
  };
  auto narrow = [&](unsigned bits, bool isSigned) {
    llvm::Value* low = b_.CreateTrunc(x, b_.getIntNTy(bits));
    return isSigned ? b_.CreateSExt(low, i32) : b_.CreateZExt(low, i32);
  };
  auto canonicalBits = [&](llvm::Type* to, uint64_t nan) {
    llvm::Value* isNan = b_.CreateFCmpUNO(x, x);
    return b_.CreateSelect(isNan, llvm::ConstantInt::get(to, nan), b_.CreateBitCast(x, to));
  };
  auto convert = [&]() -> llvm::Value* {
    switch (instr.op) {
      case Opcode::kI32ToI64:
        return b_.CreateSExt(x, i64);
      case Opcode::kI32ToF32:
      case Opcode::kI64ToF32:
        return b_.CreateSIToFP(x, f32);
      case Opcode::kI32ToF64:
      case Opcode::kI64ToF64:
        return b_.CreateSIToFP(x, f64);
      case Opcode::kI64ToI32:
        return b_.CreateTrunc(x, i32);
      case Opcode::kF32ToI32:
      case Opcode::kF64ToI32:
        return saturate(i32);
      case Opcode::kF32ToI64:
      case Opcode::kF64ToI64:
        return saturate(i64);
      case Opcode::kF32ToF64:
        return b_.CreateFPExt(x, f64);
      case Opcode::kF64ToF32:
        return b_.CreateFPTrunc(x, f32);
      case Opcode::kSext8:
        return narrow(8, true);
      case Opcode::kSext16:
        return narrow(16, true);
      case Opcode::kZext8:
        return narrow(8, false);
      case Opcode::kZext16:
        return narrow(16, false);
      case Opcode::kF32ToBits:
        return canonicalBits(i32, 0x7FC0'0000);
      case Opcode::kF64ToBits:
        return canonicalBits(i64, 0x7FF8'0000'0000'0000);
      case Opcode::kF32ToRawBits:
        return b_.CreateBitCast(x, i32);
      case Opcode::kF64ToRawBits:
        return b_.CreateBitCast(x, i64);
      case Opcode::kBitsToF32:
        return b_.CreateBitCast(x, f32);
      case Opcode::kBitsToF64:
        return b_.CreateBitCast(x, f64);
      default:
        JVMC_UNREACHABLE(instr.info().name);
    }
  };
  setResult(instr, convert());
}

}  // namespace jvmc::jit
