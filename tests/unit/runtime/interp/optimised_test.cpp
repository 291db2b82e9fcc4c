// The interpreter runs optimised bodies too, with their markers and frame states: the oracle of the passes. A frame
// captured from an optimised body is one of the stored body, and goes on there.
#include <gtest/gtest.h>

#include "ir/passes/pipeline.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/interp/function_code.h"
#include "tests/unit/runtime/support/program.h"

namespace jvmc::rt::test {
namespace {

constexpr const char* kProgram = R"(
native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
class Vec {
  field x: f64
  field y: f64
}
func @dot(%a: ref(Vec), %b: ref(Vec)) -> f64 {
  %ax = load_field %a, Vec.x
  %bx = load_field %b, Vec.x
  %ay = load_field %a, Vec.y
  %by = load_field %b, Vec.y
  %p = mul.f64 %ax, %bx
  %q = mul.f64 %ay, %by
  %s = add.f64 %p, %q
  return %s
}
func @step(%v: ref(Vec), %k: i32) -> f64 {
  %w = new Vec
  %f = i32_to_f64 %k
  store_field %w, Vec.x, %f
  store_field %w, Vec.y, 0.5
  %d = call @dot(%v, %w)
  return %d
}
func @pick(%a: array(i64), %i: i32) -> i64 {
  %v = load_elem %a, %i
  return %v
}
func @guarded(%a: array(i64), %i: i32) -> i64 {
entry handler bad(%i):
  %v = call @pick(%a, %i)
  return %v
bad(%e: ref(Throwable), %at: i32):
  %t = load_field %e, Throwable.trace
  %w = i32_to_i64 %at
  return %w
}
func @main() -> i32 {
  %v = new Vec
  store_field %v, Vec.x, 3.0
  store_field %v, Vec.y, 4.0
  %a = new_array i64, 50
  br loop(0, 0.0, 0)
loop(%i: i32, %acc: f64, %n: i64):
  %c = lt.i32 %i, 60
  br_if %c, body, done
body:
  %d = call @step(%v, %i)
  %acc2 = add.f64 %acc, %d
  %g = call @guarded(%a, %i)
  %n2 = add.i64 %n, %g
  %i2 = add.i32 %i, 1
  br loop(%i2, %acc2, %n2)
done:
  %t = f64_to_i64 %acc
  %s = add.i64 %t, %n
  %b = call_native @bytes.from_i64(%s)
  call_native @io.print(%b)
  %z = call @pick(%a, 70)
  return 0
}
)";

class OptimisedBodies : public testing::TestWithParam<std::tuple<uint64_t, uint64_t>> {};

TEST_P(OptimisedBodies, print_what_the_stored_ones_print) {
  auto [seed, every] = GetParam();
  Outcome plain = runProgram(kProgram, interpreted());
  ASSERT_NE(plain.out, "");
  std::vector<std::unique_ptr<ir::FunctionBody>> bodies;
  VmOptions options = interpreted();
  options.zeal.captureEvery = every;
  auto optimise = [&](Vm& vm) {
    ir::CallGraph calls(vm.module());
    for (uint32_t f = 0; f < vm.module().functions.size(); ++f) {
      ir::PipelineOptions passes;
      passes.checked = seed % 2 == 0;
      passes.seed = seed;
      auto body = ir::runPipeline(vm.module(), calls, ir::FunctionId(f), passes);
      ASSERT_TRUE(body.ok()) << body.error().message;
      bodies.push_back(std::make_unique<ir::FunctionBody>(std::move(*body)));
      vm.functionCodes().replaceBody(ir::FunctionId(f), *bodies.back());
    }
  };
  Outcome outcome = runProgram(kProgram, options, optimise, [&](Vm& vm) {
    if (every != 0) {
      EXPECT_GT(vm.captureStats().captures, 20u);
    }
  });
  EXPECT_EQ(outcome.out, plain.out);
  EXPECT_EQ(outcome.reports, plain.reports);
  EXPECT_EQ(outcome.exitCode, plain.exitCode);
}

INSTANTIATE_TEST_SUITE_P(Seeds, OptimisedBodies,
                         testing::Combine(testing::Range<uint64_t>(0, 6), testing::Values(0, 1, 3)));

}  // namespace
}  // namespace jvmc::rt::test
