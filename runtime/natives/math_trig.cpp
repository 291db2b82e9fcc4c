// sin, cos, tan, atan, atan2: the same bits on every machine. The kernels are the minimax polynomials of FreeBSD's msun
// (after fdlibm, "Copyright (C) 1993 by Sun Microsystems, Inc. ... Permission to use, copy, modify, and distribute this
// software is freely granted, provided that this notice is preserved"); the reduction of large arguments is our own.
// Everything is plain IEEE double arithmetic; the build never contracts to fused multiply-add.
#include <bit>
#include <cmath>

#include "runtime/interp/arithmetic.h"
#include "runtime/natives/math_reduction.h"
#include "runtime/natives/natives.h"

namespace jvmc::rt {
namespace {

// |x| <= pi/4; y is the tail of x.
double sinKernel(double x, double y) {
  constexpr double kS1 = -1.66666666666666324348e-01, kS2 = 8.33333333332248946124e-03,
                   kS3 = -1.98412698298579493134e-04, kS4 = 2.75573137070700676789e-06,
                   kS5 = -2.50507602534068634195e-08, kS6 = 1.58969099521155010221e-10;
  double z = x * x, v = z * x;
  double r = kS2 + z * (kS3 + z * (kS4 + z * (kS5 + z * kS6)));
  return x - ((z * (0.5 * y - v * r) - y) - v * kS1);
}

double cosKernel(double x, double y) {
  constexpr double kC1 = 4.16666666666666019037e-02, kC2 = -1.38888888888741095749e-03,
                   kC3 = 2.48015872894767294178e-05, kC4 = -2.75573143513906633035e-07,
                   kC5 = 2.08757232129817482790e-09, kC6 = -1.13596475577881948265e-11;
  double z = x * x, w = z * z;
  double r = z * (kC1 + z * (kC2 + z * kC3)) + w * w * (kC4 + z * (kC5 + z * kC6));
  double half = 0.5 * z;
  w = 1.0 - half;
  return w + (((1.0 - w) - half) + (z * r - x * y));
}

double atanReduced(double x) {
  // Polynomial for |x| < 7/16.
  constexpr double kT[] = {3.33333333333329318027e-01,  -1.99999999998764832476e-01, 1.42857142725034663711e-01,
                           -1.11111104054623557880e-01, 9.09088713343650656196e-02,  -7.69187620504482999495e-02,
                           6.66107313738753120669e-02,  -5.83357013379057348645e-02, 4.97687799461593236017e-02,
                           -3.65315727442169155270e-02, 1.62858201153657823623e-02};
  double z = x * x, w = z * z;
  double odd = z * (kT[0] + w * (kT[2] + w * (kT[4] + w * (kT[6] + w * (kT[8] + w * kT[10])))));
  double even = w * (kT[1] + w * (kT[3] + w * (kT[5] + w * (kT[7] + w * kT[9]))));
  return x * (odd + even);
}

double atanOf(double x) {
  constexpr double kHigh[] = {4.63647609000806093515e-01, 7.85398163397448278999e-01, 9.82793723247329054082e-01,
                              1.57079632679489655800e+00};
  constexpr double kLow[] = {2.26987774529616870924e-17, 3.06161699786838301793e-17, 1.39033110312309984516e-17,
                             6.12323399573676603587e-17};
  double a = std::fabs(x);
  if (std::isnan(x)) return x;
  if (a >= 0x1p66) return std::copysign(kHigh[3], x);
  if (a < 0.4375) return a < 0x1p-27 ? x : x - atanReduced(x);
  int part;
  if (a < 0.6875) {
    part = 0;
    a = (2.0 * a - 1.0) / (2.0 + a);
  } else if (a < 1.1875) {
    part = 1;
    a = (a - 1.0) / (a + 1.0);
  } else if (a < 2.4375) {
    part = 2;
    a = (a - 1.5) / (1.0 + 1.5 * a);
  } else {
    part = 3;
    a = -1.0 / a;
  }
  double result = kHigh[part] - ((atanReduced(a) - kLow[part]) - a);
  return std::copysign(result, x);
}

double atan2Of(double y, double x) {
  constexpr double kPi = 3.1415926535897931160E+00, kPiLow = 1.2246467991473531772E-16,
                   kHalfPi = 1.57079632679489655800e+00;
  if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<double>::quiet_NaN();
  bool negativeX = std::signbit(x);
  if (y == 0) return negativeX ? std::copysign(kPi, y) : y;
  if (x == 0) return std::copysign(kHalfPi, y);
  if (std::isinf(x)) {
    if (std::isinf(y)) return std::copysign(negativeX ? 3.0 * (kPi / 4) : kPi / 4, y);
    return std::copysign(negativeX ? kPi : 0.0, y);
  }
  if (std::isinf(y)) return std::copysign(kHalfPi, y);
  double ratio = std::fabs(y / x);
  double z = ratio > 0x1p64 ? kHalfPi : (negativeX && ratio < 0x1p-64) ? 0.0 : atanOf(ratio);
  return std::copysign(negativeX ? kPi - (z - kPiLow) : z, y);
}

double sinOf(double x) {
  if (!std::isfinite(x)) return std::numeric_limits<double>::quiet_NaN();
  ReducedAngle r = reduceByHalfPi(x);
  switch (r.quadrant) {
    case 0:
      return sinKernel(r.high, r.low);
    case 1:
      return cosKernel(r.high, r.low);
    case 2:
      return -sinKernel(r.high, r.low);
    default:
      return -cosKernel(r.high, r.low);
  }
}

double cosOf(double x) {
  if (!std::isfinite(x)) return std::numeric_limits<double>::quiet_NaN();
  ReducedAngle r = reduceByHalfPi(x);
  switch (r.quadrant) {
    case 0:
      return cosKernel(r.high, r.low);
    case 1:
      return -sinKernel(r.high, r.low);
    case 2:
      return -cosKernel(r.high, r.low);
    default:
      return sinKernel(r.high, r.low);
  }
}

// A quotient of the two kernels: two more roundings than a kernel of its own, and exact at the same places.
double tanOf(double x) {
  if (!std::isfinite(x)) return std::numeric_limits<double>::quiet_NaN();
  ReducedAngle r = reduceByHalfPi(x);
  double s = sinKernel(r.high, r.low), c = cosKernel(r.high, r.low);
  return r.quadrant % 2 == 0 ? s / c : -c / s;
}

}  // namespace

#define JVMC_UNARY(name, function)                                    \
  void name(ThreadContext&, const uint64_t* args, uint64_t* result) { \
    *result = toSlot(function(fromSlot<double>(args[0])));            \
  }
JVMC_UNARY(mathSin, sinOf)
JVMC_UNARY(mathCos, cosOf)
JVMC_UNARY(mathTan, tanOf)
JVMC_UNARY(mathAtan, atanOf)
#undef JVMC_UNARY

void mathAtan2(ThreadContext&, const uint64_t* args, uint64_t* result) {
  *result = toSlot(atan2Of(fromSlot<double>(args[0]), fromSlot<double>(args[1])));
}

}  // namespace jvmc::rt
