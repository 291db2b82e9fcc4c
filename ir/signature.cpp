#include "ir/signature.h"

namespace jvmc::ir {
namespace {

const std::vector<TypeId>* symbolParams(const Module& module, const Instr& instr) {
  switch (instr.info().symbol) {
    case Symbol::Function:
      return &module[instr.symbol.function()].params;
    case Symbol::Native:
      return &module[instr.symbol.native()].params;
    case Symbol::Method:
      return &module.method(instr.symbol).params;
    default:
      return nullptr;
  }
}

/// Fixed operands, and the receiver that a method call has before its declared parameters.
size_t leadingOperands(const OpInfo& info) {
  size_t fixed = info.operands.ends_with('*') ? info.operands.size() - 1 : info.operands.size();
  return fixed + (info.symbol == Symbol::Method ? 1 : 0);
}

TypeId declaredSymbolType(const Module& module, const Instr& instr) {
  switch (instr.info().symbol) {
    case Symbol::Field:
      return module.field(instr.symbol).type;
    case Symbol::Static:
      return module.staticField(instr.symbol).type;
    default:
      return TypeId();
  }
}

TypeId elementStackType(const Module& module, TypeId arrayType) {
  if (!arrayType.valid() || module.types[arrayType].kind != TypeKind::Array) return TypeId();
  return stackType(module.types[arrayType].element());
}

OperandRule assignable(TypeId type) {
  if (!type.valid()) return {};
  return {OperandRule::Kind::Assignable, type, {}};
}

OperandRule instanceOf(ClassId cls) {
  return {OperandRule::Kind::Instance, {}, cls};
}

OperandRule letterRule(const Module& module, const Instr& instr, char letter, TypeId firstType) {
  switch (letter) {
    case 'T':
      return assignable(instr.type);
    case 'i':
      return assignable(kI32);
    case 'l':
      return assignable(kI64);
    case 'f':
      return assignable(kF32);
    case 'd':
      return assignable(kF64);
    case 'r':
      return {OperandRule::Kind::Reference, {}, {}};
    case 'a':
      return {OperandRule::Kind::Array, {}, {}};
    case 'E':
      return assignable(elementStackType(module, firstType));
    case 'V':
      return assignable(stackType(declaredSymbolType(module, instr)));
    case 'o':
      // The only function symbol with an object operand starts a thread.
      return instanceOf(instr.info().symbol == Symbol::Function ? builtin::kThread : instr.symbol.owner);
    default:
      return {};
  }
}

/// Some `r` operands mean a particular class.
std::optional<ClassId> requiredClass(Opcode op, size_t index) {
  if (index != 0) return std::nullopt;
  switch (op) {
    case Opcode::kThrow:
      return builtin::kThrowable;
    case Opcode::kThreadJoin:
    case Opcode::kThreadUnpark:
    case Opcode::kThreadInterrupt:
    case Opcode::kThreadIsInterrupted:
    case Opcode::kThreadIsAlive:
      return builtin::kThread;
    default:
      return std::nullopt;
  }
}

}  // namespace

size_t operandCount(const Module& module, const Instr& instr, TypeId functionResult) {
  if (instr.op == Opcode::kReturn) return functionResult == kVoid ? 0 : 1;
  const std::vector<TypeId>* params = symbolParams(module, instr);
  return leadingOperands(instr.info()) + (params ? params->size() : 0);
}

OperandRule operandRule(const Module& module, const Instr& instr, size_t index, TypeId firstType,
                        TypeId functionResult) {
  const OpInfo& info = instr.info();
  if (instr.op == Opcode::kReturn) return assignable(functionResult);
  if (std::optional<ClassId> cls = requiredClass(instr.op, index)) return instanceOf(*cls);
  if (info.symbol == Symbol::Method && index == 0) return instanceOf(instr.symbol.owner);
  size_t leading = leadingOperands(info);
  if (index < leading) return letterRule(module, instr, info.operands[index], firstType);
  const std::vector<TypeId>* params = symbolParams(module, instr);
  if (!params || index - leading >= params->size()) return {};
  return assignable((*params)[index - leading]);
}

std::optional<Type> resultType(const Module& module, const Instr& instr, TypeId firstType) {
  auto known = [&](TypeId id) { return id.valid() ? std::optional<Type>(module.types[id]) : std::nullopt; };
  auto symbolResult = [&]() -> TypeId {
    switch (instr.info().symbol) {
      case Symbol::Function:
        return module[instr.symbol.function()].result;
      case Symbol::Native:
        return module[instr.symbol.native()].result;
      case Symbol::Method:
        return module.method(instr.symbol).result;
      default:
        return kVoid;
    }
  };
  switch (instr.info().result) {
    case 'T':
      return known(instr.type);
    case 'i':
      return known(kI32);
    case 'l':
      return known(kI64);
    case 'f':
      return known(kF32);
    case 'd':
      return known(kF64);
    case 'E':
      return known(elementStackType(module, firstType));
    case 'V':
      return known(stackType(declaredSymbolType(module, instr)));
    case 'S':
      return known(instr.symbol.type);
    case 'C':
      return Type{TypeKind::Ref, instr.symbol.owner.value};
    case 'A':
      return Type{TypeKind::Array, instr.symbol.type.value};
    case 'R':
      return symbolResult() == kVoid ? std::nullopt : known(symbolResult());
    case 'Q':
      return known(firstType);
    case 'H':
      return Type{TypeKind::Ref, builtin::kThread.value};
    case 'B':
      return Type{TypeKind::Array, kI8.value};
    default:
      return std::nullopt;
  }
}

bool hasResult(const Module& module, const Instr& instr) {
  char letter = instr.info().result;
  return letter == 'R' ? resultType(module, instr, TypeId()).has_value() : letter != '-';
}

TypeId internType(Module& module, const Type& type) {
  switch (type.kind) {
    case TypeKind::Ref:
      return module.types.ref(type.classId());
    case TypeKind::Array:
      return module.types.array(type.element());
    default:
      return TypeId(static_cast<uint32_t>(type.kind));  // the primitive types have fixed ids
  }
}

static_assert(static_cast<uint32_t>(TypeKind::Null) == kNull.value &&
              static_cast<uint32_t>(TypeKind::F64) == kF64.value);

}  // namespace jvmc::ir
