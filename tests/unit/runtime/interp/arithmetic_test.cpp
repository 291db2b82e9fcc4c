// The value of every arithmetic opcode at its edges, as docs/reference/ir.md promises them.
#include <gtest/gtest.h>

#include "tests/unit/runtime/support/program.h"

namespace jvmc::rt::test {
namespace {

struct Case {
  const char* type;   // of the result
  const char* lines;  // compute %r
  const char* expected;
};

// `%z` and friends are loaded from an array, so that no operand is a literal the parser could fold.
class Arithmetic : public testing::TestWithParam<Case> {};

TEST_P(Arithmetic, has_its_defined_value) {
  const Case& c = GetParam();
  EXPECT_EQ(evaluate(c.type, std::string("  ") + c.lines + "\n"), c.expected) << c.lines;
}

INSTANTIATE_TEST_SUITE_P(Integers, Arithmetic,
                         testing::ValuesIn(std::vector<Case>{
                             {"i32", "%r = add.i32 2147483647, 1", "-2147483648"},
                             {"i64", "%r = add.i64 9223372036854775807, 1", "-9223372036854775808"},
                             {"i32", "%r = sub.i32 -2147483648, 1", "2147483647"},
                             {"i64", "%r = sub.i64 5, 7", "-2"},
                             {"i32", "%r = mul.i32 65536, 65536", "0"},
                             {"i64", "%r = mul.i64 4294967296, 4294967296", "0"},
                             {"i32", "%r = div.i32 -7, 2", "-3"},
                             {"i32", "%r = div.i32 -2147483648, -1", "-2147483648"},
                             {"i64", "%r = div.i64 -9223372036854775808, -1", "-9223372036854775808"},
                             {"i32", "%r = rem.i32 -7, 2", "-1"},
                             {"i32", "%r = rem.i32 -2147483648, -1", "0"},
                             {"i64", "%r = rem.i64 7, -2", "1"},
                             {"i32", "%r = neg.i32 -2147483648", "-2147483648"},
                             {"i64", "%r = neg.i64 5", "-5"},
                             {"i32", "%r = and.i32 12, 10", "8"},
                             {"i64", "%r = or.i64 12, 10", "14"},
                             {"i32", "%r = xor.i32 12, 10", "6"},
                             {"i32", "%r = shl.i32 1, 33", "2"},
                             {"i64", "%r = shl.i64 1, 65", "2"},
                             {"i32", "%r = shr.i32 -8, 1", "-4"},
                             {"i64", "%r = shr.i64 -8, 65", "-4"},
                             {"i32", "%r = ushr.i32 -8, 28", "15"},
                             {"i64", "%r = ushr.i64 -1, 63", "1"},
                             {"i32", "%r = min.i32 -3, 2", "-3"},
                             {"i64", "%r = max.i64 -3, 2", "2"},
                             {"i32", "%r = abs.i32 -2147483648", "-2147483648"},
                             {"i64", "%r = abs.i64 -4", "4"},
                             {"i32", "%r = eq.i32 3, 3", "1"},
                             {"i32", "%r = ne.i64 3, 3", "0"},
                             {"i32", "%r = lt.i32 -1, 0", "1"},
                             {"i32", "%r = le.i64 4, 4", "1"},
                             {"i32", "%r = gt.i32 -1, 0", "0"},
                             {"i32", "%r = ge.i64 -1, 0", "0"},
                             {"i32", "%r = ult.i32 -1, 0", "0"},
                             {"i32", "%r = ult.i64 0, -1", "1"},
                             {"i64", "%r = select.i64 0, 5, 6", "6"},
                             {"i32", "%r = select.i32 7, 5, 6", "5"},
                             {"i64", "%r = i32_to_i64 -1", "-1"},
                             {"i32", "%r = i64_to_i32 4294967297", "1"},
                             {"i32", "%r = sext8 255", "-1"},
                             {"i32", "%r = sext16 32768", "-32768"},
                             {"i32", "%r = zext8 -1", "255"},
                             {"i32", "%r = zext16 -1", "65535"},
                             {"i32", "%r = ref_eq null, null", "1"},
                             {"i32", "%a = new Object\n  %r = ref_ne %a, null", "1"},
                         }));

INSTANTIATE_TEST_SUITE_P(
    Floats, Arithmetic,
    testing::ValuesIn(std::vector<Case>{
        {"f64", "%r = add.f64 0.1, 0.2", "0.30000000000000004"},
        {"f32", "%r = add.f32 0.1, 0.2", "0.30000001192092896"},
        {"f64", "%r = fdiv.f64 1.0, 0.0", "inf"},
        {"f64", "%r = fdiv.f64 0.0, 0.0", "nan"},
        {"f64", "%r = frem.f64 -7.5, 2.0", "-1.5"},
        {"f32", "%r = frem.f32 7.5, 2.0", "1.5"},
        {"f64", "%r = neg.f64 0.0", "-0"},
        {"f64", "%r = min.f64 0.0, -0.0", "-0"},
        {"f64", "%r = max.f64 -0.0, 0.0", "0"},
        {"f64", "%r = min.f64 nan, 1.0", "nan"},
        {"f32", "%r = max.f32 1.0, nan", "nan"},
        {"f64", "%r = abs.f64 -0.0", "0"},
        {"f64", "%r = sqrt.f64 2.0", "1.4142135623730951"},
        {"f64", "%r = floor.f64 -1.5", "-2"},
        {"f64", "%r = ceil.f64 -0.5", "-0"},
        {"i32", "%r = eq.f64 nan, nan", "0"},
        {"i32", "%r = ne.f64 nan, nan", "1"},
        {"i32", "%r = lt.f32 nan, 1.0", "0"},
        {"i32", "%r = ge.f64 nan, 1.0", "0"},
        {"i32", "%r = f64_to_i32 nan", "0"},
        {"i32", "%r = f64_to_i32 1e10", "2147483647"},
        {"i32", "%r = f64_to_i32 -1e10", "-2147483648"},
        {"i32", "%r = f64_to_i32 -3.9", "-3"},
        {"i64", "%r = f64_to_i64 1e30", "9223372036854775807"},
        {"i64", "%r = f32_to_i64 -inf", "-9223372036854775808"},
        {"i32", "%r = f32_to_i32 2147483648.0", "2147483647"},
        {"f32", "%r = f64_to_f32 1e300", "inf"},
        {"f64", "%r = i64_to_f64 9007199254740993", "9007199254740992"},
        {"f32", "%r = i32_to_f32 16777217", "16777216"},
        {"i64", "%r = f64_to_bits nan", "9221120237041090560"},
        {"i32", "%r = f32_to_bits nan", "2143289344"},
        {"i64", "%n = bits_to_f64 9221120237041090561\n  %r = f64_to_raw_bits %n", "9221120237041090561"},
        {"i64", "%n = bits_to_f64 9221120237041090561\n  %r = f64_to_bits %n", "9221120237041090560"},
        {"i32", "%n = bits_to_f32 2143289345\n  %r = f32_to_raw_bits %n", "2143289345"},
        {"f32", "%r = bits_to_f32 1065353216", "1"},
        {"f64", "%x = fdiv.f64 1.0, 3.0\n  %y = mul.f64 %x, %x\n  %r = sub.f64 %y, %x", "-0.2222222222222222"},
    }));

TEST(Arithmetic, division_by_zero_throws) {
  EXPECT_NE(evaluate("i32", "  %r = div.i32 1, 0\n").find("ArithmeticException: / by zero"), std::string::npos);
  EXPECT_NE(evaluate("i64", "  %r = rem.i64 1, 0\n").find("ArithmeticException"), std::string::npos);
}

}  // namespace
}  // namespace jvmc::rt::test
