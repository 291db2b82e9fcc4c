// Argument reduction with as many bits of 2/pi as the argument needs (Payne and Hanek, 1983), in integers: exact for
// every finite double, one path for all sizes.
//
//     |x| = m 2^e, m < 2^53.   Bits 2^-i of 2/pi with i <= e - 2 give multiples of 4 and are dropped; the next 192 give
//     |x| 2/pi mod 4 with 190 bits after the point (error below 2^-137; no double comes closer to a multiple than
//     2^-62).
#include "runtime/natives/math_reduction.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace jvmc::rt {
namespace {

using Wide = unsigned __int128;

constexpr std::array<uint64_t, 20> kTwoOverPi = {
    0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561, 0xB7246E3A424DD2E0,
    0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484, 0xE99C7026B45F7E41, 0x3991D639835339F4,
    0x9C845F8BBDF9283B, 0x1FF897FFDE05980F, 0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B, 0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB, 0xF0CFBC209AF4361D};

/// 64 bits of 2/pi from bit `first` on (bit 1 has weight 1/2; bits up to 0 are zero).
uint64_t bitsFrom(int first) {
  int index = first - 1;  // from the start of the table
  if (index <= -64) return 0;
  if (index < 0) return kTwoOverPi[0] >> -index;
  uint32_t word = uint32_t(index) / 64, shift = uint32_t(index) % 64;
  uint64_t bits = kTwoOverPi[word] << shift;
  return shift == 0 ? bits : bits | kTwoOverPi[word + 1] >> (64 - shift);
}

}  // namespace

ReducedAngle reduceByHalfPi(double x) {
  constexpr double kQuarterPi = 7.85398163397448278999e-01;
  if (std::fabs(x) <= kQuarterPi) return {0, x, 0};
  uint64_t bits = std::bit_cast<uint64_t>(x);
  int exponent = int(bits >> 52 & 0x7FF) - 1075;
  uint64_t m = (bits & ((uint64_t(1) << 52) - 1)) | uint64_t(1) << 52;

  // m times a window of 192 bits, modulo 2^192.
  int first = exponent - 1;
  Wide low = Wide(m) * bitsFrom(first + 128);
  Wide middle = Wide(m) * bitsFrom(first + 64) + uint64_t(low >> 64);
  uint64_t high = m * bitsFrom(first) + uint64_t(middle >> 64);
  Wide fraction = Wide(high) << 64 | uint64_t(middle);  // 2 bits, then 126 bits after the point
  uint64_t tail = uint64_t(low);

  int quadrant = int(high >> 62);
  fraction = fraction << 2 | tail >> 62;
  tail <<= 2;
  bool negative = uint64_t(fraction >> 127) != 0;
  if (negative) {  // round to the next quadrant: fraction - 1
    quadrant = (quadrant + 1) & 3;
    tail = ~tail;
    fraction = ~fraction;
  }
  uint64_t top = uint64_t(fraction >> 64);
  int zeros = top != 0 ? std::countl_zero(top) : 64 + std::countl_zero(uint64_t(fraction) | 1);
  if (zeros > 0 && zeros < 64)
    fraction = fraction << zeros | tail >> (64 - zeros);
  else if (zeros >= 64)
    fraction = fraction << zeros | Wide(tail) << (zeros - 64);
  double fractionHigh = std::ldexp(double(uint64_t(fraction >> 75)), -53 - zeros);
  double fractionLow = std::ldexp(double(uint64_t(fraction >> 22) & ((uint64_t(1) << 53) - 1)), -106 - zeros);

  constexpr double kHalfPiHigh = 1.57079632679489655800e+00, kHalfPiLow = 6.12323399573676603587e-17;
  double product = fractionHigh * kHalfPiHigh;
  double error =
      std::fma(fractionHigh, kHalfPiHigh, -product) + (fractionHigh * kHalfPiLow + fractionLow * kHalfPiHigh);
  double sum = product + error;
  double rest = (product - sum) + error;
  if (negative) sum = -sum, rest = -rest;
  if (std::signbit(x)) return {(4 - quadrant) & 3, -sum, -rest};
  return {quadrant, sum, rest};
}

}  // namespace jvmc::rt
