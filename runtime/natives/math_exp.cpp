// exp, log, pow: the same bits on every machine. exp and log use the kernels of FreeBSD's msun (after fdlibm,
// "Copyright (C) 1993 by Sun Microsystems, Inc. ... Permission to use, copy, modify, and distribute this software is
// freely granted, provided that this notice is preserved"). pow is exp(y log x) with the logarithm, the product and the
// exponential carried as unevaluated sums of two doubles (about 2^-65), so that powers that are exact come out exact.
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/interp/arithmetic.h"
#include "runtime/natives/natives.h"

namespace jvmc::rt {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
constexpr double kLog2E = 1.44269504088896338700e+00;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double expOf(double x) {
  constexpr double kP1 = 1.66666666666666019037e-01, kP2 = -2.77777777770155933842e-03,
                   kP3 = 6.61375632143793436117e-05, kP4 = -1.65339022054652515390e-06,
                   kP5 = 4.13813679705723846039e-08;
  if (std::isnan(x)) return kNaN;
  if (x > 7.09782712893383973096e+02) return kInfinity;
  if (x < -7.45133219101941108420e+02) return 0;
  if (std::fabs(x) < 0x1p-28) return 1 + x;
  double k = std::floor(kLog2E * x + 0.5);
  double high = x - k * kLn2High, low = k * kLn2Low;
  double r = high - low, t = r * r;
  double c = r - t * (kP1 + t * (kP2 + t * (kP3 + t * (kP4 + t * kP5))));
  double y = 1 - ((low - (r * c) / (2 - c)) - high);
  return std::ldexp(y, int(k));
}

/// x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2); x positive and finite.
struct Split {
  int k;
  double f;
};

Split splitPowerOfTwo(double x) {
  int k;
  double m = std::frexp(x, &k);  // [1/2, 1)
  if (m < 0.70710678118654752440) {
    m *= 2;
    --k;
  }
  return {k, m - 1};
}

double logOf(double x) {
  constexpr double kL1 = 6.666666666666735130e-01, kL2 = 3.999999999940941908e-01, kL3 = 2.857142874366239149e-01,
                   kL4 = 2.222219843214978396e-01, kL5 = 1.818357216161805012e-01, kL6 = 1.531383769920937332e-01,
                   kL7 = 1.479819860511658591e-01;
  if (std::isnan(x) || x < 0) return kNaN;
  if (x == 0) return -kInfinity;
  if (std::isinf(x)) return x;
  auto [k, f] = splitPowerOfTwo(x);
  double s = f / (2 + f), z = s * s, w = z * z;
  double r = w * (kL2 + w * (kL4 + w * kL6)) + z * (kL1 + w * (kL3 + w * (kL5 + w * kL7)));
  double half = 0.5 * f * f;
  return k * kLn2High - ((half - (s * (half + r) + k * kLn2Low)) - f);
}

// ---------------------------------------------------------------- sums of two doubles

struct Pair {
  double high, low;
};

Pair quickSum(double a, double b) {  // |a| >= |b|
  double sum = a + b;
  return {sum, b - (sum - a)};
}

Pair exactSum(double a, double b) {
  double sum = a + b, part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

Pair add(Pair a, Pair b) {
  Pair sum = exactSum(a.high, b.high);
  return quickSum(sum.high, sum.low + (a.low + b.low));
}

Pair multiply(Pair a, Pair b) {
  double product = a.high * b.high;
  return quickSum(product, std::fma(a.high, b.high, -product) + (a.high * b.low + a.low * b.high));
}

Pair divide(Pair a, Pair b) {
  double quotient = a.high / b.high;
  double rest = std::fma(-quotient, b.high, a.high) + a.low - quotient * b.low;
  return quickSum(quotient, rest / b.high);
}

constexpr Pair kLn2{6.93147180559945286227e-01, 2.31904681384629955842e-17};

/// log x = k ln 2 + 2 atanh(s), s = f / (2 + f).
Pair logPair(double x) {
  auto [k, f] = splitPowerOfTwo(x);
  Pair s = divide({f, 0}, exactSum(2, f));
  Pair z = multiply(s, s);
  double tail = 0;  // z^3/7 + z^4/9 + ... relative to s
  for (int n = 14; n >= 3; --n) tail = tail * z.high + 1.0 / (2 * n + 1);
  Pair series = add({1.0 / 5, -1.1102230246251565e-17}, multiply(z, {tail, 0}));
  series = add({1.0 / 3, 1.850371707708594e-17}, multiply(z, series));
  series = add({1, 0}, multiply(z, series));
  Pair atanh = multiply(s, series);
  return add(multiply({double(k), 0}, kLn2), {2 * atanh.high, 2 * atanh.low});
}

/// exp of a pair, result within range or not.
double expPair(Pair p) {
  if (p.high > 709.8) return kInfinity;
  if (p.high < -745.2) return 0;
  double k = std::floor(kLog2E * p.high + 0.5);
  Pair r = add(p, multiply({-k, 0}, kLn2));
  double tail = 0;                        // r/5! + r^2/6! + ...
  double factorial = 6402373705728000.0;  // 18!
  for (int n = 18; n >= 5; --n) {
    tail = tail * r.high + 1 / factorial;
    factorial /= n;
  }
  Pair series = add({1.0 / 24, 2.3129646346357427e-18}, multiply(r, {tail, 0}));
  series = add({1.0 / 6, 9.25185853854297e-18}, multiply(r, series));
  series = add({0.5, 0}, multiply(r, series));
  series = add({1, 0}, multiply(r, series));
  series = add({1, 0}, multiply(r, series));
  // In two steps: a result below 2^-1022 must be rounded once, from the sum.
  if (k > -1020) return std::ldexp(series.high, int(k));
  return std::ldexp(series.high + series.low, int(k));
}

bool isInteger(double y) {
  return std::floor(y) == y;
}
bool isOdd(double y) {
  return isInteger(y) && std::fabs(y) < 0x1p53 && int64_t(y) % 2 != 0;
}

double powOf(double x, double y) {
  if (y == 0) return 1;
  if (std::isnan(x) || std::isnan(y)) return kNaN;
  double a = std::fabs(x);
  if (std::isinf(y)) {
    if (a == 1) return kNaN;
    return (a > 1) == (y > 0) ? kInfinity : 0;
  }
  bool negative = std::signbit(x) && isOdd(y);
  if (a == 0 || std::isinf(a)) {
    double size = (a == 0) == (y > 0) ? 0.0 : kInfinity;
    return negative ? -size : size;
  }
  if (x < 0 && !isInteger(y)) return kNaN;
  if (y == 1) return x;
  double size;
  if (a == 1) {
    size = 1;
  } else if (std::fabs(y) > 0x1p65) {
    size = (a > 1) == (y > 0) ? kInfinity : 0;
  } else {
    size = expPair(multiply(logPair(a), {y, 0}));
  }
  return negative ? -size : size;
}

}  // namespace

void mathExp(ThreadContext&, const uint64_t* args, uint64_t* result) {
  *result = toSlot(expOf(fromSlot<double>(args[0])));
}
void mathLog(ThreadContext&, const uint64_t* args, uint64_t* result) {
  *result = toSlot(logOf(fromSlot<double>(args[0])));
}
void mathPow(ThreadContext&, const uint64_t* args, uint64_t* result) {
  *result = toSlot(powOf(fromSlot<double>(args[0]), fromSlot<double>(args[1])));
}

}  // namespace jvmc::rt
