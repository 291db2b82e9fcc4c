#include "ir/text/literals.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace jvmc::ir::text {
namespace {

template <class T>
std::optional<T> fromChars(std::string_view text, int base) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool startsHex(std::string_view text) {
  return text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
}

template <class Signed, class Unsigned>
std::optional<uint64_t> parseInteger(std::string_view text) {
  bool negative = !text.empty() && text[0] == '-';
  std::string_view magnitude = negative ? text.substr(1) : text;
  if (startsHex(magnitude)) {
    auto bits = fromChars<Unsigned>(magnitude.substr(2), 16);
    if (!bits) return std::nullopt;
    if (negative && *bits > Unsigned(std::numeric_limits<Signed>::max()) + 1) return std::nullopt;
    return uint64_t(negative ? Unsigned(0) - *bits : *bits);
  }
  auto value = fromChars<Signed>(text, 10);
  if (!value) return std::nullopt;
  return uint64_t(Unsigned(*value));
}

template <class Float, class Bits>
std::optional<uint64_t> parseFloat(std::string_view text) {
  if (text == "nan") return std::bit_cast<Bits>(std::numeric_limits<Float>::quiet_NaN());
  if (text == "inf") return std::bit_cast<Bits>(std::numeric_limits<Float>::infinity());
  if (text == "-inf") return std::bit_cast<Bits>(-std::numeric_limits<Float>::infinity());
  if (text.starts_with("nan(0x") && text.ends_with(")")) {
    auto bits = fromChars<Bits>(text.substr(6, text.size() - 7), 16);
    if (!bits || !std::isnan(std::bit_cast<Float>(*bits))) return std::nullopt;
    return *bits;
  }
  bool negative = !text.empty() && text[0] == '-';
  std::string_view magnitude = negative ? text.substr(1) : text;
  bool isHex = startsHex(magnitude);
  if (isHex) magnitude.remove_prefix(2);
  if (magnitude.empty() || !(std::isxdigit(static_cast<unsigned char>(magnitude[0])))) return std::nullopt;
  Float value{};
  auto [end, error] = std::from_chars(magnitude.data(), magnitude.data() + magnitude.size(), value,
                                      isHex ? std::chars_format::hex : std::chars_format::general);
  if (error != std::errc() || end != magnitude.data() + magnitude.size()) return std::nullopt;
  return std::bit_cast<Bits>(negative ? -value : value);
}

template <class Float, class Bits>
std::string floatText(Bits bits) {
  Float value = std::bit_cast<Float>(bits);
  if (std::isnan(value)) {
    if (bits == std::bit_cast<Bits>(std::numeric_limits<Float>::quiet_NaN())) return "nan";
    return fmt::format("nan(0x{:x})", bits);
  }
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == text.npos) text += ".0";
  return text;
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Length of the valid UTF-8 character at the start of `text`, 0 if there is none.
size_t utf8Length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto isTail = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF && isTail(1)) return 2;
  if ((first & 0xF0) == 0xE0 && isTail(1) && isTail(2)) {
    bool overlong = first == 0xE0 && byte(1) < 0xA0, surrogate = first == 0xED && byte(1) >= 0xA0;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xF0 && first <= 0xF4 && isTail(1) && isTail(2) && isTail(3)) {
    bool outside = (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90);
    return outside ? 0 : 4;
  }
  return 0;
}

}  // namespace

std::optional<uint64_t> parseLiteral(std::string_view text, TypeKind type) {
  switch (type) {
    case TypeKind::I32:
      return parseInteger<int32_t, uint32_t>(text);
    case TypeKind::I64:
      return parseInteger<int64_t, uint64_t>(text);
    case TypeKind::F32:
      return parseFloat<float, uint32_t>(text);
    case TypeKind::F64:
      return parseFloat<double, uint64_t>(text);
    case TypeKind::Null:
    case TypeKind::Ref:
    case TypeKind::Array:
      return text == "null" ? std::optional<uint64_t>(0) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::string literalText(uint64_t bits, TypeKind type) {
  switch (type) {
    case TypeKind::I32:
      return fmt::format("{}", int32_t(uint32_t(bits)));
    case TypeKind::I64:
      return fmt::format("{}", int64_t(bits));
    case TypeKind::F32:
      return floatText<float>(uint32_t(bits));
    case TypeKind::F64:
      return floatText<double>(bits);
    default:
      return "null";
  }
}

std::optional<uint32_t> parseCount(std::string_view text) {
  if (text.empty() || text[0] == '-') return std::nullopt;
  return fromChars<uint32_t>(text, 10);
}

bool unescapeString(std::string_view raw, std::string& decoded, size_t& badAt) {
  bool ok = true;
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      decoded += raw[i];
      continue;
    }
    size_t start = i++;
    char kind = i < raw.size() ? raw[i] : '\0';
    int high = kind == 'x' && i + 1 < raw.size() ? hexDigit(raw[i + 1]) : -1;
    int low = kind == 'x' && i + 2 < raw.size() ? hexDigit(raw[i + 2]) : -1;
    switch (kind) {
      case 'n':
        decoded += '\n';
        continue;
      case 't':
        decoded += '\t';
        continue;
      case 'r':
        decoded += '\r';
        continue;
      case '0':
        decoded += '\0';
        continue;
      case '\\':
      case '"':
        decoded += kind;
        continue;
      default:
        break;
    }
    if (high >= 0 && low >= 0) {
      decoded += char(high * 16 + low);
      i += 2;
    } else if (ok) {
      ok = false;
      badAt = start;
    }
  }
  return ok;
}

std::string quoteString(std::string_view bytes) {
  std::string out = "\"";
  for (size_t i = 0; i < bytes.size(); ++i) {
    char c = bytes[i];
    size_t length = utf8Length(bytes.substr(i));
    switch (c) {
      case '\n':
        out += "\\n";
        continue;
      case '\t':
        out += "\\t";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\0':
        out += "\\0";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '"':
        out += "\\\"";
        continue;
      default:
        break;
    }
    if (length == 0 || (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F))) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      continue;
    }
    out += bytes.substr(i, length);
    i += length - 1;
  }
  return out + "\"";
}

}  // namespace jvmc::ir::text
