// Capture at every k-th safepoint and going on in continuations must not change a result.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::Outcome;
using test::slot;

// Runs `function` undisturbed, then captured at every k-th safepoint: same result or same exception. With all passes,
// and with random subsets of them: strip-mining makes polls rare, so some subset must be without it.
void expectSameWhereverCaptured(const std::string& text, const std::string& function, std::vector<uint64_t> arguments,
                                uint64_t expected, const std::string& exception = "", uint64_t minDepth = 1) {
  uint64_t captures = 0, depth = 0;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    FakeRuntime vm(text, {.synchronous = true, .passSeed = seed});
    Outcome plain = vm.run(function, arguments);
    ASSERT_EQ(plain.exception, exception);
    if (exception.empty()) {
      ASSERT_EQ(plain.bits, expected);
    }
    for (uint64_t k : {1, 2, 3, 5, 7, 11, 16, 23, 40, 64, 100, 177, 300}) {
      SCOPED_TRACE(testing::Message() << "passes " << seed << ", captured every " << k);
      vm.captureEvery = k;
      Outcome captured = vm.run(function, arguments);
      ASSERT_EQ(captured.exception, exception);
      if (exception.empty()) {
        ASSERT_EQ(captured.bits, expected);
      }
      EXPECT_EQ(captured.trace, plain.trace);
    }
    captures += vm.captures;
    depth = std::max(depth, vm.deepestCapture);
  }
  EXPECT_GT(captures, 0u);
  EXPECT_GE(depth, minDepth);
}

TEST(Capture, ALoopGoesOnWhereItWas) {
  expectSameWhereverCaptured(R"(
func @sum(%n: i32) -> i64 {
  br loop(0, 0)
loop(%i: i32, %s: i64):
  %more = lt.i32 %i, %n
  br_if %more, body, done
body:
  %w = i32_to_i64 %i
  %s2 = add.i64 %s, %w
  %i2 = add.i32 %i, 1
  br loop(%i2, %s2)
done:
  return %s
}
)",
                             "sum", {slot(3000)}, 4498500);
}

// Two loops, an inner one whose bounds depend on the outer, f64 and i32 values live across.
constexpr const char* kNested = R"(
func @nested(%n: i32, %x: f64) -> f64 {
  br outer(0, 0.0, 1)
outer(%i: i32, %sum: f64, %h: i32):
  %more = lt.i32 %i, %n
  br_if %more, row, done
row:
  br inner(0, %sum, %h)
inner(%j: i32, %s: f64, %g: i32):
  %moreInner = lt.i32 %j, %i
  br_if %moreInner, cell, next
cell:
  %jf = i32_to_f64 %j
  %t = mul.f64 %jf, %x
  %s2 = add.f64 %s, %t
  %g31 = mul.i32 %g, 31
  %g2 = xor.i32 %g31, %j
  %j2 = add.i32 %j, 1
  br inner(%j2, %s2, %g2)
next:
  %i2 = add.i32 %i, 1
  br outer(%i2, %s, %g)
done:
  %gf = i32_to_f64 %h
  %r = add.f64 %sum, %gf
  return %r
}
)";

double nested(int n, double x) {
  double sum = 0;
  uint32_t h = 1;
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < i; ++j) {
      sum += j * x;
      h = h * 31 ^ uint32_t(j);
    }
  return sum + int32_t(h);
}

TEST(Capture, NestedLoopsGoOnInTheMiddleOfTheInnerOne) {
  expectSameWhereverCaptured(kNested, "nested", {slot(40), slot(0.25)}, slot(nested(40, 0.25)));
}

constexpr const char* kFib = R"(
func @fib(%n: i32) -> i64 {
  %small = lt.i32 %n, 2
  br_if %small, base, step
base:
  %r = i32_to_i64 %n
  return %r
step:
  %n1 = sub.i32 %n, 1
  %a = call @fib(%n1)
  %n2 = sub.i32 %n, 2
  %b = call @fib(%n2)
  %s = add.i64 %a, %b
  return %s
}
)";

TEST(Capture, RecursionUnwindsAllItsFrames) {
  expectSameWhereverCaptured(kFib, "fib", {slot(15)}, 610, "", 10);
}

TEST(Capture, ACallInTheMiddleOfAnIterationReturnsIntoACopyOfItsRest) {
  expectSameWhereverCaptured(
      R"(
func @inner(%n: i32) -> i32 {
  br loop(0, 7)
loop(%i: i32, %s: i32):
  %more = lt.i32 %i, %n
  br_if %more, body, done
body:
  %s3 = mul.i32 %s, 3
  %s2 = add.i32 %s3, %i
  %i2 = add.i32 %i, 1
  br loop(%i2, %s2)
done:
  return %s
}
func @outer(%n: i32) -> i32 {
  br loop(0, 0)
loop(%i: i32, %s: i32):
  %more = lt.i32 %i, %n
  br_if %more, body, done
body:
  %before = mul.i32 %i, %s
  %c = call @inner(%i)
  %t = sub.i32 %c, %before
  %s2 = add.i32 %s, %t
  %i2 = add.i32 %i, 1
  br loop(%i2, %s2)
done:
  return %s
}
)",
      "outer", {slot(30)},
      [] {
        uint32_t s = 0;
        for (uint32_t i = 0; i < 30; ++i) {
          uint32_t c = 7;
          for (uint32_t j = 0; j < i; ++j) c = c * 3 + j;
          s += c - i * s;
        }
        return uint64_t(s);
      }(),
      "", 2);
}

// The callee throws in its loop; the caller catches, counts, and goes on.
constexpr const char* kCatching = R"(
func @risky(%n: i32, %bound: i32) -> i32 {
  br loop(0)
loop(%i: i32):
  thread_yield
  %left = sub.i32 %n, %i
  %q = div.i32 100, %left
  %i2 = add.i32 %i, 1
  %more = lt.i32 %i2, %bound
  br_if %more, loop(%i2), done(%q)
done(%r: i32):
  return %r
}
func @catching(%n: i32, %bound: i32) -> i32 {
  br loop(0, 0)
loop(%i: i32, %s: i32):
  %more = lt.i32 %i, %n
  br_if %more, try, done
try handler caught(%s, %i):
  %r = call @risky(%i, %bound)
  %s2 = add.i32 %s, %r
  %i2 = add.i32 %i, 1
  br loop(%i2, %s2)
caught(%e: ref(Throwable), %old: i32, %at: i32):
  %isArithmetic = instance_of %e, ref(ArithmeticException)
  %k = mul.i32 %isArithmetic, 1000
  %s3 = add.i32 %old, %k
  %i3 = add.i32 %at, 1
  br loop(%i3, %s3)
done:
  return %s
}
)";

TEST(Capture, AnExceptionThrownAfterACaptureFindsItsHandler) {
  int expected = 0;
  for (int i = 0; i < 25; ++i) expected += i < 20 ? 1000 : 100 / (i - 19);
  expectSameWhereverCaptured(kCatching, "catching", {slot(25), slot(20)}, slot(expected), "", 2);
}

TEST(Capture, AnUncaughtExceptionLeavesWithTheSameTrace) {
  expectSameWhereverCaptured(kCatching, "risky", {slot(9), slot(20)}, 0, "ArithmeticException");
  FakeRuntime vm(kCatching);
  Outcome outcome = vm.run("risky", {slot(9), slot(20)});
  std::vector<std::pair<std::string, uint32_t>> expected{{"risky", 3}};
  EXPECT_EQ(outcome.trace, expected);
}

TEST(Capture, TooDeepRecursionThrowsStackOverflowAtTheSameDepth) {
  // Depth in a register, in the context, and in both by turns.
  constexpr const char* kItself = R"(
func @deep(%n: i32) -> i32 {
  %m = add.i32 %n, 1
  %r = call @deep(%m)
  %s = add.i32 %r, 1
  return %s
}
)";
  constexpr const char* kEachOther = R"(
func @deep(%n: i32) -> i32 {
  %r = call @deeper(%n)
  %s = add.i32 %r, 1
  return %s
}
func @deeper(%n: i32) -> i32 {
  %r = call @deep(%n)
  %s = add.i32 %r, 1
  return %s
}
)";
  constexpr const char* kBoth = R"(
func @deep(%n: i32) -> i32 {
  %m = add.i32 %n, 1
  %kind = and.i32 %n, 3
  br_if %kind, itself, other
itself:
  %r = call @deep(%m)
  %s = add.i32 %r, 1
  return %s
other:
  %q = call @between(%m)
  %t = add.i32 %q, 1
  return %t
}
func @between(%n: i32) -> i32 {
  %r = call @deep(%n)
  %s = add.i32 %r, 1
  return %s
}
)";
  for (const char* program : {kItself, kEachOther, kBoth}) {
    SCOPED_TRACE(program);
    FakeRuntime vm(program);
    vm.ctx.depthLimit = 500;
    Outcome plain = vm.run("deep", {slot(0)});
    EXPECT_EQ(plain.exception, "StackOverflowError");
    EXPECT_EQ(plain.trace.size(), 500u);
    vm.captureEvery = 37;
    Outcome captured = vm.run("deep", {slot(0)});
    EXPECT_EQ(captured.exception, "StackOverflowError");
    EXPECT_EQ(captured.trace.size(), 500u);
    EXPECT_GT(vm.captures, 10u);
  }
}

}  // namespace
}  // namespace jvmc::jit
