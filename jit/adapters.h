// Bridges between the compiled calling convention and argument slots, one pair for each signature of the program.
//
//   c2i   `entry` of a function that is not compiled: packs its arguments, calls interpret(ctx, cell, args, result)
//   i2c   `enter` of a compiled one: unpacks slots, calls cell->entry
#pragma once

#include <string>
#include <vector>

#include "jit/lower/unit.h"

namespace jvmc::jit {

/// Functions with equal keys share their adapters: "dil>l" takes f64, i32, i64 and gives i64; references are `r`.
std::string signatureKey(const ir::Module& module, const ir::FunctionDecl& function);

inline std::string c2iSymbol(const std::string& key) {
  return "c2i." + key;
}
inline std::string i2cSymbol(const std::string& key) {
  return "i2c." + key;
}

/// Defines both adapters for the signature of `function`.
void defineAdapters(Unit& unit, const ir::FunctionDecl& function, const std::string& key);

/// What the cell of a missing implementation holds: throws AbstractMethodError, whatever the signature.
inline constexpr std::string_view kAbstractSymbol = "abstract.method";
void defineAbstractMethod(Unit& unit);

}  // namespace jvmc::jit
