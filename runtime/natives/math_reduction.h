// x = quadrant * pi/2 + high + low (mod 2 pi), |high| <= pi/4 or a little more.
#pragma once

namespace jvmc::rt {

struct ReducedAngle {
  int quadrant;  ///< 0 to 3
  double high, low;
};

/// Any finite x.
ReducedAngle reduceByHalfPi(double x);

}  // namespace jvmc::rt
