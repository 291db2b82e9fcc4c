// Types of operands, results and branch arguments, by the rules of signature.h; then what single instructions ask for.
#include <fmt/format.h>

#include <unordered_set>

#include "ir/analysis/safepoints.h"
#include "ir/text/printer.h"
#include "ir/verify/body.h"

namespace jvmc::ir::verify {

using text::typeText;

void BodyVerifier::checkTypes(BlockId b) {
  checkHandler(b);
  const Block& block = body_[b];
  for (uint32_t i = 0; i < block.instrs.size() && !report_.full(); ++i) checkInstr(block.instrs[i], instrPlace(b, i));
}

void BodyVerifier::checkInstr(const Instr& instr, const VerifyPlace& place) {
  if (!suffixOk(instr))
    return error(Invariant::Suffix, place, fmt::format("'{}' does not take this type", instr.info().mnemonic));
  checkOperands(instr, place);
  checkResult(instr, place);
  checkTargets(instr, place);
  checkSpecial(instr, place);
  if (optimised_ && !instr.frameState.valid() && safepointKind(module_, instr) != SafepointKind::None)
    error(Invariant::StatePresent, place,
          fmt::format("'{}' is a safepoint and needs a frame state", instr.info().mnemonic));
}

bool BodyVerifier::suffixOk(const Instr& instr) const {
  if (instr.info().suffix == Suffix::None) return true;
  const Type& type = module_.types[instr.type];
  bool isInt = instr.type == kI32 || instr.type == kI64;
  switch (instr.info().suffix) {
    case Suffix::Int:
      return isInt;
    case Suffix::Float:
      return type.isFloat();
    case Suffix::Num:
      return isInt || type.isFloat();
    default:
      return isInt || type.isFloat() || (type.isReference() && type.kind != TypeKind::Null);
  }
}

void BodyVerifier::checkOperands(const Instr& instr, const VerifyPlace& place) {
  bool isReturn = instr.op == Opcode::kReturn;
  size_t wanted = operandCount(module_, instr, decl_.result);
  if (instr.operands.size() != wanted) {
    if (isReturn)
      return error(
          Invariant::ReturnType, place,
          wanted ? fmt::format("'@{}' must return a value of type {}", decl_.name, typeText(module_, decl_.result))
                 : fmt::format("'@{}' returns nothing", decl_.name));
    return error(Invariant::OperandCount, place,
                 fmt::format("'{}' takes {} operand{} here, not {}", instr.info().mnemonic, wanted,
                             wanted == 1 ? "" : "s", instr.operands.size()));
  }
  TypeId firstType = instr.operands.empty() ? TypeId() : typeOf(instr.operands[0]);
  for (size_t i = 0; i < wanted; ++i) {
    OperandRule rule = operandRule(module_, instr, i, firstType, decl_.result);
    TypeId type = typeOf(instr.operands[i]);
    if (fits(type, rule)) continue;
    if (isReturn) {
      error(Invariant::ReturnType, operandPlace(place, i),
            fmt::format("'@{}' must return {}, but {} has type {}", decl_.name, ruleText(rule),
                        valueName(instr.operands[i]), typeText(module_, type)));
      continue;
    }
    if (rule.kind == OperandRule::Kind::Unknown) return;  // the first operand was reported
    error(Invariant::OperandTypes, operandPlace(place, i),
          fmt::format("operand {} of '{}' must be {}, but {} has type {}", i + 1, instr.info().mnemonic, ruleText(rule),
                      valueName(instr.operands[i]), typeText(module_, type)));
  }
}

bool BodyVerifier::assignable(TypeId from, TypeId to) const {
  if (module_.isAssignable(from, to)) return true;
  return optimised_ && module_.types[from].isReference() && module_.types[to].isReference();
}

bool BodyVerifier::fits(TypeId type, const OperandRule& rule) const {
  const Type& t = module_.types[type];
  switch (rule.kind) {
    case OperandRule::Kind::Assignable:
      return assignable(type, rule.type);
    case OperandRule::Kind::Reference:
      return t.isReference();
    case OperandRule::Kind::Array:
      return t.kind == TypeKind::Array;
    case OperandRule::Kind::Instance:
      if (optimised_) return t.isReference();
      if (t.kind == TypeKind::Ref) return module_.isSubclass(t.classId(), rule.cls);
      return t.kind == TypeKind::Null || (t.kind == TypeKind::Array && rule.cls == builtin::kObject);
    case OperandRule::Kind::Unknown:
      return false;
  }
  return false;
}

std::string BodyVerifier::ruleText(const OperandRule& rule) const {
  switch (rule.kind) {
    case OperandRule::Kind::Assignable:
      return typeText(module_, rule.type);
    case OperandRule::Kind::Instance:
      return typeText(module_, Type{TypeKind::Ref, rule.cls.value});
    case OperandRule::Kind::Array:
      return "an array";
    case OperandRule::Kind::Reference:
      return "a reference";
    case OperandRule::Kind::Unknown:
      break;
  }
  return "known";
}

void BodyVerifier::checkResult(const Instr& instr, const VerifyPlace& place) {
  TypeId firstType = instr.operands.empty() ? TypeId() : typeOf(instr.operands[0]);
  std::optional<Type> wanted = resultType(module_, instr, firstType);
  if (wanted.has_value() != instr.result.valid())
    return error(Invariant::ResultType, place,
                 wanted
                     ? fmt::format("'{}' gives a result of type {}", instr.info().mnemonic, typeText(module_, *wanted))
                     : fmt::format("'{}' gives no result here", instr.info().mnemonic));
  if (!wanted || module_.types[typeOf(instr.result)] == *wanted) return;
  error(Invariant::ResultType, place,
        fmt::format("the result of '{}' has type {}, not {}", instr.info().mnemonic, typeText(module_, *wanted),
                    typeText(module_, typeOf(instr.result))));
}

// ---------------------------------------------------------------- control flow

void BodyVerifier::checkTargets(const Instr& instr, const VerifyPlace& place) {
  size_t wanted = instr.op == Opcode::kBr ? 1 : instr.op == Opcode::kBrIf ? 2 : 0;
  if (instr.op == Opcode::kSwitch) wanted = 1 + instr.cases.size();
  bool strayCases = instr.op != Opcode::kSwitch && !instr.cases.empty();
  if (instr.targets.size() != wanted || strayCases)
    return error(Invariant::Targets, place,
                 fmt::format("'{}' must have {} targets, not {}", instr.info().mnemonic, wanted, instr.targets.size()));
  std::unordered_set<int32_t> seen;
  for (int32_t value : instr.cases)
    if (!seen.insert(value).second)
      error(Invariant::Targets, place, fmt::format("the switch has two cases for {}", value));
  for (size_t t = 0; t < instr.targets.size(); ++t) checkArguments(instr.targets[t], 0, targetPlace(place, t));
}

void BodyVerifier::checkArguments(const BlockCall& call, size_t firstParam, const VerifyPlace& place) {
  const std::vector<ValueId>& params = body_[call.block].params;
  if (params.size() != call.args.size() + firstParam) {
    size_t wanted = params.size() - std::min(params.size(), firstParam);
    return error(Invariant::BlockArguments, place,
                 fmt::format("block '{}' takes {} argument{} here, not {}", blockName(call.block), wanted,
                             wanted == 1 ? "" : "s", call.args.size()));
  }
  for (size_t i = 0; i < call.args.size(); ++i) {
    TypeId to = typeOf(params[i + firstParam]), from = typeOf(call.args[i]);
    if (assignable(from, to)) continue;
    error(Invariant::BlockArguments, place,
          fmt::format("argument {} of block '{}' must be {}, but {} has type {}", i + 1, blockName(call.block),
                      typeText(module_, to), valueName(call.args[i]), typeText(module_, from)));
  }
}

void BodyVerifier::checkHandler(BlockId b) {
  const std::optional<BlockCall>& handler = body_[b].handler;
  if (!handler) return;
  const std::vector<ValueId>& params = body_[handler->block].params;
  const Type* first = params.empty() ? nullptr : &module_.types[typeOf(params[0])];
  bool takesThrowable =
      first && first->kind == TypeKind::Ref && module_.isSubclass(builtin::kThrowable, first->classId());
  if (!takesThrowable)
    return error(
        Invariant::Handlers, blockPlace(b),
        fmt::format("the first parameter of handler '{}' must take a ref(Throwable)", blockName(handler->block)));
  checkArguments(*handler, 1, blockPlace(b));
}

// ---------------------------------------------------------------- single instructions

void BodyVerifier::checkSpecial(const Instr& instr, const VerifyPlace& place) {
  const SymbolRef& symbol = instr.symbol;
  switch (instr.op) {
    case Opcode::kNew: {
      const ClassDecl& cls = module_[symbol.owner];
      if (cls.isInterface || cls.isAbstract)
        error(Invariant::Instantiable, place,
              fmt::format("'{}' is {} and has no instances of its own", cls.name,
                          cls.isInterface ? "an interface" : "abstract"));
      return;
    }
    case Opcode::kCallVirtual:
    case Opcode::kCallInterface: {
      const ClassDecl& cls = module_[symbol.owner];
      if (cls.isInterface != (instr.op == Opcode::kCallInterface))
        error(Invariant::CallKind, place,
              fmt::format("'{}' is declared by {} '{}': use {}", module_.method(symbol).name,
                          cls.isInterface ? "interface" : "class", cls.name,
                          cls.isInterface ? "call_interface" : "call_virtual"));
      return;
    }
    case Opcode::kInstanceOf:
    case Opcode::kCheckCast: {
      TypeKind kind = module_.types[symbol.type].kind;
      if (kind != TypeKind::Ref && kind != TypeKind::Array)
        error(Invariant::TypeOperand, place, fmt::format("'{}' needs a class or array type", instr.info().mnemonic));
      return;
    }
    case Opcode::kNewArray:
      if (symbol.type == kVoid || symbol.type == kNull)
        error(Invariant::TypeOperand, place, "an array cannot have elements of this type");
      return;
    case Opcode::kArrayCopy: {
      if (instr.operands.size() != 5) return;
      const Type &from = module_.types[typeOf(instr.operands[0])], &to = module_.types[typeOf(instr.operands[2])];
      if (from.kind != TypeKind::Array || to.kind != TypeKind::Array) return;
      bool ok = from.element() == to.element() ||
                (module_.types[from.element()].isReference() && module_.types[to.element()].isReference());
      if (!ok)
        error(Invariant::ArrayCopy, place,
              fmt::format("elements of {} cannot be copied to {}", typeText(module_, from), typeText(module_, to)));
      return;
    }
    case Opcode::kThreadStart:
      if (module_[symbol.function()].result != kVoid)
        error(Invariant::ThreadFunction, place,
              fmt::format("'@{}' gives a result, which a thread cannot", module_[symbol.function()].name));
      return;
    default:
      break;
  }
  checkAtomic(instr, place);
  checkStore(instr, place);
}

void BodyVerifier::checkAtomic(const Instr& instr, const VerifyPlace& place) {
  TypeId type;
  bool isAdd = false;
  switch (instr.op) {
    case Opcode::kAddField:
      isAdd = true;
      [[fallthrough]];
    case Opcode::kCasField:
    case Opcode::kSwapField:
      type = module_.field(instr.symbol).type;
      break;
    case Opcode::kAddElem:
      isAdd = true;
      [[fallthrough]];
    case Opcode::kCasElem:
    case Opcode::kSwapElem: {
      if (instr.operands.empty()) return;
      const Type& array = module_.types[typeOf(instr.operands[0])];
      if (array.kind != TypeKind::Array) return;
      type = array.element();
      break;
    }
    default:
      return;
  }
  bool ok = type == kI32 || type == kI64 || (!isAdd && module_.types[type].isReference());
  if (!ok)
    error(Invariant::AtomicTypes, place,
          fmt::format("'{}' does not work on {}", instr.info().mnemonic, typeText(module_, type)));
}

void BodyVerifier::checkStore(const Instr& instr, const VerifyPlace& place) {
  const OpInfo& info = instr.info();
  if (!info.has(kWrites) || (info.symbol != Symbol::Field && info.symbol != Symbol::Static)) return;
  const ClassDecl& owner = module_[instr.symbol.owner];
  const FieldDecl& field =
      info.symbol == Symbol::Field ? module_.field(instr.symbol) : module_.staticField(instr.symbol);
  bool isPlain = instr.op == Opcode::kStoreField || instr.op == Opcode::kStoreStatic;
  if (field.isFinal && !isPlain)
    error(Invariant::FinalStores, place,
          fmt::format("'{}' changes final field '{}.{}'", info.mnemonic, owner.name, field.name));
  if (field.isFinal && isPlain && !optimised_ && !mayStoreFinal(instr.symbol.owner))
    error(Invariant::FinalStores, place,
          fmt::format("final field '{0}.{1}' is stored by '@{2}', which does not belong to class '{0}'", owner.name,
                      field.name, decl_.name));
  bool runtimeOwns = info.symbol == Symbol::Field &&
                     ((instr.symbol.owner == builtin::kThread &&
                       (instr.symbol.member == builtin::kThreadId || instr.symbol.member == builtin::kThreadState)) ||
                      (instr.symbol.owner == builtin::kThrowable && instr.symbol.member == builtin::kThrowableTrace));
  if (runtimeOwns)
    error(Invariant::RuntimeFields, place, fmt::format("only the runtime stores '{}.{}'", owner.name, field.name));
}

bool BodyVerifier::mayStoreFinal(ClassId owner) const {
  return decl_.name.starts_with(module_[owner].name + ".") || module_[owner].initializer == function_;
}

}  // namespace jvmc::ir::verify
