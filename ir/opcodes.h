// The instruction set as data: one OpInfo per row of opcodes.def.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace jvmc::ir {

enum class Opcode : uint8_t {
#define JVMC_OP(name, ...) k##name,
#include "ir/opcodes.def"
  kCount
};
inline constexpr size_t kOpcodeCount = static_cast<size_t>(Opcode::kCount);

enum class Suffix : uint8_t { None, Int, Float, Num, Any };
enum class Symbol : uint8_t { None, Type, Class, Field, Static, Function, Native, Method, Bytes };

enum OpFlags : uint32_t {
  kPure = 1u << 0,
  kThrows = 1u << 1,
  kReads = 1u << 2,
  kWrites = 1u << 3,
  kCall = 1u << 4,
  kInit = 1u << 5,
  kTerminator = 1u << 6,
  kAcquire = 1u << 7,
  kRelease = 1u << 8,
  kMarker = 1u << 9,
};

struct OpInfo {
  Opcode op;
  std::string_view name;      ///< enum name without the k, "AddField"
  std::string_view mnemonic;  ///< text form, "add_field"
  Suffix suffix;
  std::string_view operands;  ///< letters, see opcodes.def
  char result;                ///< letter, `-` for none
  Symbol symbol;
  uint32_t flags;

  bool has(OpFlags flag) const { return (flags & flag) != 0; }
};

/// The row of `op`.
const OpInfo& opInfo(Opcode op);
/// The opcode with this mnemonic (without type suffix), if any.
std::optional<Opcode> opcodeFromMnemonic(std::string_view mnemonic);

}  // namespace jvmc::ir
