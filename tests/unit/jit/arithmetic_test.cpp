// Every arithmetic instruction against a C++ definition, over the values where mistakes live.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::slot;

constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min(), kMax32 = std::numeric_limits<int32_t>::max();
constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min(), kMax64 = std::numeric_limits<int64_t>::max();
constexpr double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

template <class T>
std::vector<T> samples();
template <>
std::vector<int32_t> samples() {
  return {0, 1, -1, 2, -2, 7, -13, 31, 32, 33, 127, 128, -129, 32768, -32769, 65536, kMin32, kMin32 + 1, kMax32};
}
template <>
std::vector<int64_t> samples() {
  return {0,
          1,
          -1,
          5,
          -7,
          63,
          64,
          1 << 20,
          kMin32,
          kMax32,
          int64_t(kMax32) + 1,
          kMin64,
          kMin64 + 1,
          kMax64,
          0x1234567890ABCDEF};
}
template <>
std::vector<double> samples() {
  return {
      0.0,           -0.0, 1.0,   -1.0,  0.5,      -2.5, 1.5,   3.999999, -3.999999,          1e9, -1e9, 2147483647.5,
      -2147483649.0, 1e19, -1e19, 1e300, 4.9e-324, kInf, -kInf, kNan,     9007199254740993.0, 0.1};
}
template <>
std::vector<float> samples() {
  std::vector<float> out;
  for (double d : samples<double>()) out.push_back(float(d));
  return out;
}

template <class T>
const char* typeName() {
  if constexpr (std::is_same_v<T, int32_t>) return "i32";
  if constexpr (std::is_same_v<T, int64_t>) return "i64";
  if constexpr (std::is_same_v<T, float>) return "f32";
  return "f64";
}

// Bits of a result; all NaNs are one.
template <class T>
uint64_t bits(T v) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(v)) return ~0ull;
  return slot(v);
}
template <class T>
uint64_t bitsOf(const test::Outcome& o) {
  if constexpr (std::is_same_v<T, int32_t>) return slot(o.i32());
  if constexpr (std::is_same_v<T, int64_t>) return slot(o.i64());
  if constexpr (std::is_same_v<T, float>) return bits(o.f32());
  return bits(o.f64());
}

// `instruction` as in "add.i32"; B is the type of the second operand.
template <class R, class A, class B>
void expectBinary(const std::string& instruction, R (*expected)(A, B)) {
  SCOPED_TRACE(instruction);
  FakeRuntime vm("func @f(%a: " + std::string(typeName<A>()) + ", %b: " + typeName<B>() + ") -> " + typeName<R>() +
                 " {\n  %r = " + instruction + " %a, %b\n  return %r\n}\n");
  for (A a : samples<A>())
    for (B b : samples<B>())
      ASSERT_EQ(bitsOf<R>(vm.run("f", {slot(a), slot(b)})), bits(expected(a, b))) << a << ", " << b;
}

template <class R, class A>
void expectUnary(const std::string& instruction, R (*expected)(A)) {
  SCOPED_TRACE(instruction);
  FakeRuntime vm("func @f(%a: " + std::string(typeName<A>()) + ") -> " + typeName<R>() + " {\n  %r = " + instruction +
                 " %a\n  return %r\n}\n");
  for (A a : samples<A>()) ASSERT_EQ(bitsOf<R>(vm.run("f", {slot(a)})), bits(expected(a))) << a;
}

template <class T>
T wrap(std::make_unsigned_t<T> v) {
  return T(v);
}

template <class T>
T javaMin(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return T(kNan);
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
template <class T>
T javaMax(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return T(kNan);
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

template <class T>
void integers(const std::string& t) {
  using U = std::make_unsigned_t<T>;
  constexpr int kMask = sizeof(T) * 8 - 1;
  expectBinary<T, T, T>("add." + t, [](T a, T b) { return wrap<T>(U(a) + U(b)); });
  expectBinary<T, T, T>("sub." + t, [](T a, T b) { return wrap<T>(U(a) - U(b)); });
  expectBinary<T, T, T>("mul." + t, [](T a, T b) { return wrap<T>(U(a) * U(b)); });
  expectBinary<T, T, T>("and." + t, [](T a, T b) { return T(a & b); });
  expectBinary<T, T, T>("or." + t, [](T a, T b) { return T(a | b); });
  expectBinary<T, T, T>("xor." + t, [](T a, T b) { return T(a ^ b); });
  expectBinary<T, T, T>("min." + t, [](T a, T b) { return std::min(a, b); });
  expectBinary<T, T, T>("max." + t, [](T a, T b) { return std::max(a, b); });
  expectBinary<T, T, int32_t>("shl." + t, [](T a, int32_t n) { return wrap<T>(U(a) << (n & kMask)); });
  expectBinary<T, T, int32_t>("shr." + t, [](T a, int32_t n) { return T(a >> (n & kMask)); });
  expectBinary<T, T, int32_t>("ushr." + t, [](T a, int32_t n) { return wrap<T>(U(a) >> (n & kMask)); });
  expectBinary<int32_t, T, T>("eq." + t, [](T a, T b) { return int32_t(a == b); });
  expectBinary<int32_t, T, T>("ne." + t, [](T a, T b) { return int32_t(a != b); });
  expectBinary<int32_t, T, T>("lt." + t, [](T a, T b) { return int32_t(a < b); });
  expectBinary<int32_t, T, T>("le." + t, [](T a, T b) { return int32_t(a <= b); });
  expectBinary<int32_t, T, T>("gt." + t, [](T a, T b) { return int32_t(a > b); });
  expectBinary<int32_t, T, T>("ge." + t, [](T a, T b) { return int32_t(a >= b); });
  expectBinary<int32_t, T, T>("ult." + t, [](T a, T b) { return int32_t(U(a) < U(b)); });
  expectUnary<T, T>("neg." + t, [](T a) { return wrap<T>(U(0) - U(a)); });
  expectUnary<T, T>("abs." + t, [](T a) { return a < 0 ? wrap<T>(U(0) - U(a)) : a; });
}

TEST(Arithmetic, IntegersOf32BitsWrap) {
  integers<int32_t>("i32");
}
TEST(Arithmetic, IntegersOf64BitsWrap) {
  integers<int64_t>("i64");
}

template <class T>
void floats(const std::string& t) {
  expectBinary<T, T, T>("add." + t, [](T a, T b) { return a + b; });
  expectBinary<T, T, T>("sub." + t, [](T a, T b) { return a - b; });
  expectBinary<T, T, T>("mul." + t, [](T a, T b) { return a * b; });
  expectBinary<T, T, T>("fdiv." + t, [](T a, T b) { return a / b; });
  expectBinary<T, T, T>("frem." + t, [](T a, T b) { return std::fmod(a, b); });
  expectBinary<T, T, T>("min." + t, [](T a, T b) { return javaMin(a, b); });
  expectBinary<T, T, T>("max." + t, [](T a, T b) { return javaMax(a, b); });
  expectBinary<int32_t, T, T>("eq." + t, [](T a, T b) { return int32_t(a == b); });
  expectBinary<int32_t, T, T>("ne." + t, [](T a, T b) { return int32_t(a != b); });
  expectBinary<int32_t, T, T>("lt." + t, [](T a, T b) { return int32_t(a < b); });
  expectBinary<int32_t, T, T>("le." + t, [](T a, T b) { return int32_t(a <= b); });
  expectBinary<int32_t, T, T>("gt." + t, [](T a, T b) { return int32_t(a > b); });
  expectBinary<int32_t, T, T>("ge." + t, [](T a, T b) { return int32_t(a >= b); });
  expectUnary<T, T>("neg." + t, [](T a) { return -a; });
  expectUnary<T, T>("abs." + t, [](T a) { return std::fabs(a); });
  expectUnary<T, T>("sqrt." + t, [](T a) { return std::sqrt(a); });
  expectUnary<T, T>("floor." + t, [](T a) { return std::floor(a); });
  expectUnary<T, T>("ceil." + t, [](T a) { return std::ceil(a); });
}

TEST(Arithmetic, FloatsOf32BitsFollowIeee) {
  floats<float>("f32");
}
TEST(Arithmetic, FloatsOf64BitsFollowIeee) {
  floats<double>("f64");
}

template <class To, class From>
To saturate(From v) {
  if (std::isnan(v)) return 0;
  if (v >= -From(std::numeric_limits<To>::min())) return std::numeric_limits<To>::max();
  if (v <= From(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  return To(v);
}

TEST(Arithmetic, ConversionsSaturateExtendAndRound) {
  using I = int32_t;
  using L = int64_t;
  expectUnary<L, I>("i32_to_i64", [](I v) { return L(v); });
  expectUnary<float, I>("i32_to_f32", [](I v) { return float(v); });
  expectUnary<double, I>("i32_to_f64", [](I v) { return double(v); });
  expectUnary<I, L>("i64_to_i32", [](L v) { return I(uint32_t(v)); });
  expectUnary<float, L>("i64_to_f32", [](L v) { return float(v); });
  expectUnary<double, L>("i64_to_f64", [](L v) { return double(v); });
  expectUnary<I, float>("f32_to_i32", [](float v) { return saturate<I>(v); });
  expectUnary<L, float>("f32_to_i64", [](float v) { return saturate<L>(v); });
  expectUnary<I, double>("f64_to_i32", [](double v) { return saturate<I>(v); });
  expectUnary<L, double>("f64_to_i64", [](double v) { return saturate<L>(v); });
  expectUnary<double, float>("f32_to_f64", [](float v) { return double(v); });
  expectUnary<float, double>("f64_to_f32", [](double v) { return float(v); });
  expectUnary<I, I>("sext8", [](I v) { return I(int8_t(v)); });
  expectUnary<I, I>("sext16", [](I v) { return I(int16_t(v)); });
  expectUnary<I, I>("zext8", [](I v) { return I(uint8_t(v)); });
  expectUnary<I, I>("zext16", [](I v) { return I(uint16_t(v)); });
  expectUnary<float, I>("bits_to_f32", [](I v) { return std::bit_cast<float>(v); });
  expectUnary<double, L>("bits_to_f64", [](L v) { return std::bit_cast<double>(v); });
  expectUnary<I, float>("f32_to_bits", [](float v) { return std::isnan(v) ? 0x7FC00000 : std::bit_cast<I>(v); });
  expectUnary<L, double>("f64_to_bits",
                         [](double v) { return std::isnan(v) ? 0x7FF8000000000000 : std::bit_cast<L>(v); });
  expectUnary<I, float>("f32_to_raw_bits", [](float v) { return std::bit_cast<I>(v); });
  expectUnary<L, double>("f64_to_raw_bits", [](double v) { return std::bit_cast<L>(v); });
}

TEST(Arithmetic, BitsOfANanAreCanonicalUnlessAskedForRaw) {
  FakeRuntime vm(R"(
func @canonical(%x: f64) -> i64 {
  %b = f64_to_bits %x
  return %b
}
func @raw(%x: f64) -> i64 {
  %b = f64_to_raw_bits %x
  return %b
}
)");
  uint64_t odd = 0xFFF8'0000'0000'1234;
  EXPECT_EQ(vm.run("canonical", {odd}).bits, 0x7FF8'0000'0000'0000u);
  EXPECT_EQ(vm.run("raw", {odd}).bits, odd);
}

template <class T>
void division(const std::string& t) {
  std::string text =
      "func @div(%a: T, %b: T) -> T {\n %r = div.T %a, %b\n return %r\n}\n"
      "func @rem(%a: T, %b: T) -> T {\n %r = rem.T %a, %b\n return %r\n}\n"
      "func @byMinusOne(%a: T) -> T {\n %r = div.T %a, -1\n return %r\n}\n"
      "func @byZero(%a: T) -> T {\n %r = rem.T %a, 0\n return %r\n}\n";
  for (size_t at; (at = text.find('T')) != std::string::npos;) text.replace(at, 1, t);
  FakeRuntime vm(text);
  constexpr T kMin = std::numeric_limits<T>::min();
  for (T a : samples<T>()) {
    for (T b : samples<T>()) {
      if (b == 0) {
        EXPECT_EQ(vm.run("div", {slot(a), slot(b)}).exception, "ArithmeticException");
        EXPECT_EQ(vm.run("rem", {slot(a), slot(b)}).exception, "ArithmeticException");
        continue;
      }
      bool overflows = a == kMin && b == -1;
      ASSERT_EQ(bitsOf<T>(vm.run("div", {slot(a), slot(b)})), slot(overflows ? kMin : T(a / b))) << a << " / " << b;
      ASSERT_EQ(bitsOf<T>(vm.run("rem", {slot(a), slot(b)})), slot(overflows ? T(0) : T(a % b))) << a << " % " << b;
    }
    ASSERT_EQ(bitsOf<T>(vm.run("byMinusOne", {slot(a)})), slot(a == kMin ? kMin : T(-a)));
    EXPECT_EQ(vm.run("byZero", {slot(a)}).exception, "ArithmeticException");
  }
}

TEST(Arithmetic, DivisionByZeroThrowsAndTheMinimumDividedByMinusOneIsItself) {
  division<int32_t>("i32");
  division<int64_t>("i64");
}

TEST(Arithmetic, NoProductAndSumAreContracted) {
  FakeRuntime vm(R"(
func @f(%a: f64, %b: f64, %c: f64) -> f64 {
  %p = mul.f64 %a, %b
  %r = add.f64 %p, %c
  return %r
}
)");
  volatile double a = 1.0 + 0x1p-30, b = 1.0 - 0x1p-30, c = -1.0;
  volatile double product = a * b;
  EXPECT_EQ(vm.run("f", {slot(double(a)), slot(double(b)), slot(double(c))}).f64(), product + c);
  EXPECT_NE(std::fma(a, b, c), product + c) << "the example shows a difference";
}

TEST(Arithmetic, SelectTakesAnyNonZeroConditionAsTrue) {
  FakeRuntime vm(R"(
func @pick(%c: i32, %a: f64, %b: f64) -> f64 {
  %r = select.f64 %c, %a, %b
  return %r
}
)");
  for (int32_t c : samples<int32_t>())
    EXPECT_EQ(vm.run("pick", {slot(c), slot(1.5), slot(2.5)}).f64(), c != 0 ? 1.5 : 2.5);
}

}  // namespace
}  // namespace jvmc::jit
