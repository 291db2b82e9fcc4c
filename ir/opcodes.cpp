#include "ir/opcodes.h"

#include <array>
#include <unordered_map>

namespace jvmc::ir {
namespace {

constexpr std::array<OpInfo, kOpcodeCount> kTable = {{
#define JVMC_OP(name, mnemonic, suffix, operands, result, symbol, flags) \
  {Opcode::k##name, #name, mnemonic, Suffix::suffix, operands, result[0], Symbol::symbol, flags},
#include "ir/opcodes.def"
}};

}  // namespace

const OpInfo& opInfo(Opcode op) {
  return kTable[static_cast<size_t>(op)];
}

std::optional<Opcode> opcodeFromMnemonic(std::string_view mnemonic) {
  static const auto byName = [] {
    std::unordered_map<std::string_view, Opcode> map;
    for (const OpInfo& info : kTable) map.emplace(info.mnemonic, info.op);
    return map;
  }();
  auto it = byName.find(mnemonic);
  if (it == byName.end()) return std::nullopt;
  return it->second;
}

}  // namespace jvmc::ir
