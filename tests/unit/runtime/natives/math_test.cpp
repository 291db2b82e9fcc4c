// The mathematics of guests: close to the C library's long double functions, exact where the result is, and bit for bit
// what it was (the same on every machine).
#include <gtest/gtest.h>
#include <xxhash.h>

#include <bit>
#include <cmath>
#include <random>

#include "runtime/interp/arithmetic.h"
#include "runtime/natives/natives.h"

namespace jvmc::rt {
namespace {

double call(NativeFn native, double a, double b = 0) {
  ThreadContext ctx;
  uint64_t args[] = {toSlot(a), toSlot(b)}, result = 0;
  native(ctx, args, &result);
  return fromSlot<double>(result);
}

/// Distance in units of the last place of the right result.
double ulps(double got, long double right) {
  double nearest = double(right);
  if (std::isinf(nearest) || nearest == 0) return got == nearest ? 0 : 1e9;
  int exponent;
  std::frexp(nearest, &exponent);
  return double(std::fabs((long double)got - right) / std::ldexp(1.0L, std::max(exponent - 53, -1074)));
}

struct Function {
  const char* name;
  NativeFn native;
  long double (*right)(long double);
  double low, high, most;
};

class Math : public testing::TestWithParam<Function> {};

TEST_P(Math, is_within_its_error_bound) {
  const Function& f = GetParam();
  std::mt19937_64 random(42);
  std::uniform_real_distribution<double> uniform(f.low, f.high);
  double worst = 0, at = 0;
  for (int i = 0; i < 100'000; ++i) {
    double x = uniform(random);
    double error = ulps(call(f.native, x), f.right(x));
    if (error > worst) worst = error, at = x;
  }
  EXPECT_LE(worst, f.most) << f.name << "(" << at << ")";
}

INSTANTIATE_TEST_SUITE_P(
    Functions, Math,
    testing::Values(Function{"sin", mathSin, sinl, -100, 100, 0.9}, Function{"cos", mathCos, cosl, -100, 100, 0.9},
                    Function{"sin", mathSin, sinl, -1e15, 1e15, 0.9}, Function{"tan", mathTan, tanl, -100, 100, 2.6},
                    Function{"atan", mathAtan, atanl, -20, 20, 0.9}, Function{"exp", mathExp, expl, -700, 700, 1.0},
                    Function{"log", mathLog, logl, 1e-5, 100, 1.0}),
    [](const auto& info) { return std::string(info.param.name) + std::to_string(info.index); });

TEST(Math, pow_is_nearly_correctly_rounded) {
  std::mt19937_64 random(43);
  std::uniform_real_distribution<double> base(0.01, 50), exponent(-30, 30);
  for (int i = 0; i < 100'000; ++i) {
    double x = base(random), y = exponent(random);
    ASSERT_LE(ulps(call(mathPow, x, y), powl(x, y)), 0.55) << x << " " << y;
  }
}

TEST(Math, exact_powers_are_exact) {
  for (int x = 2; x <= 30; ++x) {
    double product = 1;
    for (int n = 0; product < 0x1p53; ++n, product *= x) EXPECT_EQ(call(mathPow, x, n), product) << x << " " << n;
  }
  EXPECT_EQ(call(mathPow, 0.5, 1074), 0x1p-1074);
  EXPECT_EQ(call(mathPow, -2, 3), -8);
  EXPECT_EQ(call(mathPow, 2.25, 0.5), 1.5);
}

TEST(Math, special_values_follow_java) {
  double inf = INFINITY;
  EXPECT_TRUE(std::isnan(call(mathSin, inf)));
  EXPECT_TRUE(std::isnan(call(mathLog, -1)));
  EXPECT_EQ(call(mathLog, 0), -inf);
  EXPECT_EQ(call(mathExp, 1000), inf);
  EXPECT_EQ(call(mathExp, -1000), 0);
  EXPECT_EQ(call(mathPow, NAN, 0), 1);
  EXPECT_TRUE(std::isnan(call(mathPow, 1, inf)));
  EXPECT_TRUE(std::isnan(call(mathPow, -8, 1.0 / 3)));
  EXPECT_EQ(call(mathPow, -0.0, -3), -inf);
  EXPECT_EQ(call(mathPow, -inf, 2), inf);
  EXPECT_EQ(call(mathAtan, inf), std::atan(inf));
  EXPECT_EQ(call(mathAtan2, 0.0, -1.0), std::atan2(0.0, -1.0));
  EXPECT_EQ(call(mathAtan2, -0.0, -1.0), std::atan2(-0.0, -1.0));
  EXPECT_EQ(call(mathAtan2, inf, -inf), std::atan2(inf, -inf));
  EXPECT_TRUE(std::signbit(call(mathSin, -0.0)));
}

TEST(Math, huge_arguments_are_reduced_exactly) {
  EXPECT_EQ(call(mathSin, 1e22), -0.8522008497671888);
  EXPECT_EQ(call(mathCos, 0x1.fffffffffffffp1023), -0.9999876894265599);
}

// Any change of a bit here is a change of what programs compute.
TEST(Math, has_the_bits_it_always_had) {
  std::mt19937_64 random(44);
  std::uniform_real_distribution<double> uniform(-50, 50);
  std::vector<uint64_t> bits;
  for (int i = 0; i < 20'000; ++i) {
    double x = uniform(random), y = uniform(random);
    for (NativeFn f : {mathSin, mathCos, mathTan, mathAtan, mathExp, mathLog})
      bits.push_back(canonicalBits(call(f, x)));
    for (NativeFn f : {mathAtan2, mathPow}) bits.push_back(canonicalBits(call(f, x, y)));
  }
  EXPECT_EQ(XXH3_64bits(bits.data(), bits.size() * 8), 11605071338127131093u);
}

}  // namespace
}  // namespace jvmc::rt
