// The typing rules of opcodes.def as functions: what an instruction asks of each operand and what its result is.
// Builder, parser and verifier all use these, so that they cannot disagree.
#pragma once

#include <optional>

#include "ir/module.h"

namespace jvmc::ir {

/// What may stand as one operand.
struct OperandRule {
  enum class Kind : uint8_t {
    Assignable,  ///< a value assignable to `type`
    Instance,    ///< a reference to (a subtype of) `cls`, or null
    Reference,   ///< any reference
    Array,       ///< any array; the literal null is none
    Unknown,     ///< depends on a first operand that is no array: nothing fits
  };
  Kind kind = Kind::Unknown;
  TypeId type = {};
  ClassId cls = {};
};

/// The parameters behind the letter `*`, after fixed operands: of the function, native or method. For `return` the
/// result of the function that returns.
size_t operandCount(const Module& module, const Instr& instr, TypeId functionResult);

/// The rule for operand `index` < operandCount(). `firstType` is the type of operand 0 (invalid if there is none or it
/// is not known); it matters for element operands. Suffix and symbol must be in range.
OperandRule operandRule(const Module& module, const Instr& instr, size_t index, TypeId firstType,
                        TypeId functionResult);

/// The structure of the result type; nothing if there is no result, or if it depends on a first operand whose type does
/// not give one. (A Type, not a TypeId: it may not be in the type table of a const module yet.)
std::optional<Type> resultType(const Module& module, const Instr& instr, TypeId firstType);

/// `resultType` for a caller that cannot fail: whether this instruction defines a value.
bool hasResult(const Module& module, const Instr& instr);

/// The id of `type`, entered into the table if it is new.
TypeId internType(Module& module, const Type& type);

}  // namespace jvmc::ir
