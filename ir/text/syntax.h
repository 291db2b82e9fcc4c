// What parser, printer and formatter must agree on about the text form, and the first step of parsing.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "ir/module.h"
#include "ir/text/ast.h"
#include "ir/text/diagnostics.h"

namespace jvmc::ir::text {

inline constexpr std::array<std::pair<std::string_view, InstrFlags>, 5> kFlagNames = {{
    {"nonnull", kNoNullCheck},
    {"inbounds", kNoBoundsCheck},
    {"nostorecheck", kNoStoreCheck},
    {"inited", kNoInitCheck},
    {"awaitschange", kAwaitsChange},
}};

inline constexpr std::array<std::pair<std::string_view, NativeEffect>, 3> kEffectNames = {{
    {"pure", NativeEffect::Pure},
    {"node", NativeEffect::Node},
    {"outside", NativeEffect::Outside},
}};

inline constexpr std::array<std::pair<std::string_view, TypeId>, 6> kPrimitiveNames = {{
    {"i8", kI8},
    {"i16", kI16},
    {"i32", kI32},
    {"i64", kI64},
    {"f32", kF32},
    {"f64", kF64},
}};

inline constexpr uint32_t kMaxArrayDepth = 255;

/// Operands written before the symbol: the object of a field or method, the reference of a cast. All others follow it.
inline size_t operandsBeforeSymbol(const OpInfo& info) {
  if (info.symbol == Symbol::Method) return 1;
  bool objectFirst =
      info.symbol != Symbol::None && !info.operands.empty() && (info.operands[0] == 'o' || info.operands[0] == 'r');
  return objectFirst ? 1 : 0;
}

/// The operands after the symbol stand in parentheses: `call @f(%a)`.
inline bool takesArgumentList(const OpInfo& info) {
  return info.symbol == Symbol::Function || info.symbol == Symbol::Native || info.symbol == Symbol::Method;
}

/// The mnemonic is followed by a type: `add.i32`.
inline bool hasSuffix(const OpInfo& info) {
  return info.suffix != Suffix::None;
}

/// Text to tree; every syntax error of the source goes to `sink`.
ast::File parseSyntax(const SourceSet& sources, uint32_t source, DiagnosticSink& sink);

}  // namespace jvmc::ir::text
