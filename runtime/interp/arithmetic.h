// The IR's arithmetic, exactly: wrap-around integers, masked shifts, saturating conversions, IEEE floats with Java's
// min and max. Division by zero is the caller's to check.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace jvmc::rt {

template <class T>
T wrapAdd(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a + b;
  else
    return T(std::make_unsigned_t<T>(a) + std::make_unsigned_t<T>(b));
}

template <class T>
T wrapSub(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a - b;
  else
    return T(std::make_unsigned_t<T>(a) - std::make_unsigned_t<T>(b));
}

template <class T>
T wrapMul(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a * b;
  else
    return T(std::make_unsigned_t<T>(a) * std::make_unsigned_t<T>(b));
}

template <class T>
T wrapNeg(T a) {
  if constexpr (std::is_floating_point_v<T>)
    return -a;
  else
    return T(0 - std::make_unsigned_t<T>(a));
}

/// b != 0. MIN / -1 = MIN, MIN % -1 = 0.
template <class T>
T wrapDiv(T a, T b) {
  return b == -1 ? wrapNeg(a) : T(a / b);
}

template <class T>
T wrapRem(T a, T b) {
  return b == -1 ? T(0) : T(a % b);
}

template <class T>
T shiftLeft(T a, int32_t count) {
  return T(std::make_unsigned_t<T>(a) << (count & int32_t(sizeof(T) * 8 - 1)));
}

template <class T>
T shiftRight(T a, int32_t count) {
  return a >> (count & int32_t(sizeof(T) * 8 - 1));
}

template <class T>
T shiftRightUnsigned(T a, int32_t count) {
  return T(std::make_unsigned_t<T>(a) >> (count & int32_t(sizeof(T) * 8 - 1)));
}

/// NaN if either is NaN; -0 is less than +0.
template <class T>
T minOf(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
    if (a == b) return std::signbit(a) ? a : b;
  }
  return a < b ? a : b;
}

template <class T>
T maxOf(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
    if (a == b) return std::signbit(a) ? b : a;
  }
  return a > b ? a : b;
}

/// |MIN| = MIN.
template <class T>
T absOf(T a) {
  if constexpr (std::is_floating_point_v<T>)
    return std::fabs(a);
  else
    return a < 0 ? wrapNeg(a) : a;
}

/// Truncates towards zero and saturates; NaN gives 0.
template <class Int, class Float>
Int saturate(Float value) {
  if (std::isnan(value)) return 0;
  // The bounds are powers of two, so they are exact in both float types.
  constexpr Float kBound = Float(uint64_t(1) << (sizeof(Int) * 8 - 1));
  if (value >= kBound) return std::numeric_limits<Int>::max();
  if (value < -kBound) return std::numeric_limits<Int>::min();
  return Int(value);
}

inline uint32_t canonicalBits(float value) {
  return std::isnan(value) ? 0x7FC0'0000u : std::bit_cast<uint32_t>(value);
}
inline uint64_t canonicalBits(double value) {
  return std::isnan(value) ? 0x7FF8'0000'0000'0000ull : std::bit_cast<uint64_t>(value);
}

/// Slots: how values lie in registers and frames.
template <class T>
T fromSlot(uint64_t slot) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(uint32_t(slot));
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<double>(slot);
  else
    return T(slot);
}

template <class T>
uint64_t toSlot(T value) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<uint32_t>(value);
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<uint64_t>(value);
  else
    return uint64_t(std::make_unsigned_t<T>(value));
}

}  // namespace jvmc::rt
