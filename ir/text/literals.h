// Literals: how constants, strings and quoted names are written and read. Every bit pattern of a float has a text form:
// shortest decimal that reads back the same, inf, -inf, nan (the canonical quiet NaN), nan(0x...) with raw bits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ir/types.h"

namespace jvmc::ir::text {

/// The bits of literal `text` as a constant of `type` (i32, i64, f32, f64 or a reference type), or nothing if it does
/// not fit: as Value::constant. Decimal integers must fit the signed type; 0x... may fill all bits. Floats: decimal
/// with or without point and exponent, 0x1.8p3, inf, -inf, nan, nan(0xBITS).
std::optional<uint64_t> parseLiteral(std::string_view text, TypeKind type);
/// The text that parseLiteral reads back to the same bits.
std::string literalText(uint64_t bits, TypeKind type);
/// A non-negative decimal number below 2^32.
std::optional<uint32_t> parseCount(std::string_view text);

/// Decodes \n \t \r \\ \" \0 \xHH. On a bad escape false, with its offset in `badAt`; the rest is decoded all the same.
bool unescapeString(std::string_view raw, std::string& decoded, size_t& badAt);
/// With quotes. Valid UTF-8 stays readable, other bytes become \xHH.
std::string quoteString(std::string_view bytes);

}  // namespace jvmc::ir::text
