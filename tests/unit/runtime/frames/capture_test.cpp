// Capture and resume in place: wherever a thread is cut, it goes on as if nothing had happened.
#include <gtest/gtest.h>

#include "runtime/frames/capture_stats.h"
#include "tests/unit/runtime/support/program.h"

namespace jvmc::rt::test {
namespace {

// Nested loops, recursion, exceptions through frames, class initialisation, a virtual call, floats and references live
// across calls.
constexpr const char* kProgram = R"(
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
class Shape {
  field size: i32
  method weigh(i32) -> i64 = @Shape.weigh
}
class Table {
  static rows: array(i64)
  init @Table.clinit
}
func @Table.clinit() {
  %a = new_array i64, 16
  br loop(0)
loop(%i: i32):
  %c = lt.i32 %i, 16
  br_if %c, body, done
body:
  %f = call @fib(%i)
  store_elem %a, %i, %f
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  store_static Table.rows, %a
  return
}
func @fib(%n: i32) -> i64 {
  %c = lt.i32 %n, 2
  br_if %c, small, big
small:
  %w = i32_to_i64 %n
  return %w
big:
  %a = sub.i32 %n, 1
  %x = call @fib(%a)
  %b = sub.i32 %n, 2
  %y = call @fib(%b)
  %s = add.i64 %x, %y
  return %s
}
func @Shape.weigh(%self: ref(Shape), %k: i32) -> i64 {
  %s = load_field %self, Shape.size
  %z = rem.i32 %k, %s
  %q = div.i32 100, %z
  %w = i32_to_i64 %q
  return %w
}
func @cell(%o: ref(Shape), %k: i32, %f: f64) -> f64 {
entry handler zero(%f):
  %v = call_virtual %o, Shape.weigh(%k)
  %d = i64_to_f64 %v
  %r = add.f64 %d, %f
  return %r
zero(%e: ref(Throwable), %g: f64):
  %h = fdiv.f64 %g, 2.0
  return %h
}
func @main() -> i32 {
  %o = new Shape
  store_field %o, Shape.size, 7
  br outer(0, 0.5)
outer(%i: i32, %acc: f64):
  %c = lt.i32 %i, 6
  br_if %c, inner(0, %acc), done
inner(%j: i32, %a: f64):
  %d = lt.i32 %j, 16
  br_if %d, body, next
body:
  %rows = load_static Table.rows
  %row = load_elem %rows, %j
  %rf = i64_to_f64 %row
  %k = add.i32 %i, %j
  %v = call @cell(%o, %k, %rf)
  %a2 = add.f64 %a, %v
  %j2 = add.i32 %j, 1
  br inner(%j2, %a2)
next:
  %i2 = add.i32 %i, 1
  br outer(%i2, %a)
done:
  %t = mul.f64 %acc, 1000.0
  %n = f64_to_i64 %t
  %b = call_native @bytes.from_i64(%n)
  call_native @io.print(%b)
  return 0
}
)";

class CaptureEvery : public testing::TestWithParam<int> {};

TEST_P(CaptureEvery, kth_safepoint_changes_nothing) {
  static const std::string plain = runProgram(kProgram, interpreted()).out;
  ASSERT_EQ(plain, runProgram(kProgram, interpreted()).out);
  VmOptions options = interpreted();
  options.zeal.captureEvery = uint64_t(GetParam());
  uint64_t captures = 0, frames = 0;
  Outcome outcome = runProgram(kProgram, options, {}, [&](Vm& vm) {
    captures = vm.captureStats().captures;
    frames = vm.captureStats().framesInterpreted;
  });
  EXPECT_EQ(outcome.out, plain) << outcome.reports;
  EXPECT_GE(captures, 2000u / uint64_t(GetParam()));
  EXPECT_GE(frames, captures - 1);
}

INSTANTIATE_TEST_SUITE_P(Zeal, CaptureEvery, testing::Range(1, 24));

TEST(Capture, counts_what_it_captured_by_loop_depth_and_wait) {
  VmOptions options = interpreted();
  options.zeal.captureEvery = 3;
  runProgram(kProgram, options, {}, [](Vm& vm) {
    CaptureStats& stats = vm.captureStats();
    EXPECT_GT(stats.byLoopDepth[2], 10u);  // main's inner loop
    EXPECT_EQ(stats.byWait[size_t(WaitKind::Outside)], 1u);
    EXPECT_EQ(stats.byReason[size_t(CaptureReason::Zeal)] + 1, stats.captures);
    EXPECT_EQ(stats.framesCompiled, 0u);
    EXPECT_GT(stats.cpuNanosInterpreter, 0u);
  });
}

// The interpreter's stack is one megabyte: deeper recursion goes on in frames that are data.
TEST(Capture, makes_room_when_the_interpreter_stack_is_full) {
  std::string program = R"(
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
func @down(%n: i32, %a: i64, %b: i64, %c: i64) -> i64 {
  %z = eq.i32 %n, 0
  br_if %z, end, more
end:
  return %a
more:
  %m = sub.i32 %n, 1
  %a2 = add.i64 %a, %b
  %b2 = xor.i64 %b, %c
  %r = call @down(%m, %a2, %b2, %a)
  %s = add.i64 %r, %c
  %t = xor.i64 %s, %b2
  return %t
}
func @main() {
  %r = call @down(16000, 1, 2, 3)
  %b = call_native @bytes.from_i64(%r)
  call_native @io.print(%b)
  return
}
)";
  uint64_t full = 0;
  Outcome outcome = runProgram(program, interpreted(), {},
                               [&](Vm& vm) { full = vm.captureStats().byReason[size_t(CaptureReason::StackFull)]; });
  EXPECT_EQ(outcome.reports, "");
  EXPECT_GT(full, 0u);
  VmOptions zeal = interpreted();
  zeal.zeal.captureEvery = 1000;
  EXPECT_EQ(runProgram(program, zeal).out, outcome.out);
}

}  // namespace
}  // namespace jvmc::rt::test
