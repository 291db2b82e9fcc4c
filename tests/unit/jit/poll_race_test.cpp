// Another thread may ask for a capture at any instant: between a call's return and the caller's look at `unwinding`, in
// the prologue, in the middle of a comparison. No returned value may suffer.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit {
namespace {

using test::FakeRuntime;
using test::Outcome;
using test::slot;

// Each function adds something at each of its five levels; `check` knows the sums in advance and counts wrong ones.
// Twenty calls an iteration, each with a poll in its prologue because it may recurse.
constexpr uint64_t kCallsPerIteration = 20;
constexpr const char* kProgram = R"(
func @wide(%x: i64, %d: i32) -> i64 {
  br_if %d, down, base
down:
  %e = sub.i32 %d, 1
  %r = call @wide(%x, %e)
  %s = add.i64 %r, 77
  return %s
base:
  %m = mul.i64 %x, 1000003
  return %m
}
func @narrow(%x: i64, %d: i32) -> i32 {
  br_if %d, down, base
down:
  %e = sub.i32 %d, 1
  %r = call @narrow(%x, %e)
  %s = add.i32 %r, -5
  return %s
base:
  %w = i64_to_i32 %x
  %m = mul.i32 %w, -7
  return %m
}
func @double(%x: i64, %d: i32) -> f64 {
  br_if %d, down, base
down:
  %e = sub.i32 %d, 1
  %r = call @double(%x, %e)
  %s = add.f64 %r, 0.5
  return %s
base:
  %f = i64_to_f64 %x
  return %f
}
func @single(%x: i64, %d: i32) -> f32 {
  br_if %d, down, base
down:
  %e = sub.i32 %d, 1
  %r = call @single(%x, %e)
  %s = add.f32 %r, 0.25
  return %s
base:
  %low = and.i64 %x, 65535
  %f = i64_to_f32 %low
  return %f
}
func @check(%from: i64, %to: i64) -> i32 {
  br loop(%from, 0)
loop(%x: i64, %right: i32):
  %more = lt.i64 %x, %to
  br_if %more, body, done
body:
  %wide = call @wide(%x, 4)
  %narrow = call @narrow(%x, 4)
  %double = call @double(%x, 4)
  %single = call @single(%x, 4)
  %m = mul.i64 %x, 1000003
  %wideWanted = add.i64 %m, 308
  %a = eq.i64 %wide, %wideWanted
  %w = i64_to_i32 %x
  %n = mul.i32 %w, -7
  %narrowWanted = add.i32 %n, -20
  %b = eq.i32 %narrow, %narrowWanted
  %f = i64_to_f64 %x
  %doubleWanted = add.f64 %f, 2.0
  %c = eq.f64 %double, %doubleWanted
  %low = and.i64 %x, 65535
  %g = i64_to_f32 %low
  %singleWanted = add.f32 %g, 1.0
  %d = eq.f32 %single, %singleWanted
  %r1 = add.i32 %right, %a
  %r2 = add.i32 %r1, %b
  %r3 = add.i32 %r2, %c
  %r4 = add.i32 %r3, %d
  %x2 = add.i64 %x, 1
  br loop(%x2, %r4)
done:
  return %right
}
)";

TEST(PollRace, TenMillionReturnedValuesSurviveRequestsAtRandomInstants) {
  constexpr int64_t kIterations = 5'000, kRounds = 10'000'000 / (kIterations * int64_t(kCallsPerIteration));
  FakeRuntime vm(kProgram);
  vm.captureWhenAsked = true;
  std::atomic<bool> done{false};
  std::thread asker([&] {
    std::mt19937_64 random(20);
    while (!done.load(std::memory_order_relaxed)) {
      for (uint64_t pause = random() % 20'000; pause > 0; --pause) std::atomic_signal_fence(std::memory_order_seq_cst);
      vm.ctx.pollLimit.store(rt::kPollRequested, std::memory_order_relaxed);
    }
  });
  // On one busy core the other thread gets few turns: then it takes more rounds.
  for (int64_t round = 0; round < kRounds || (vm.captures < 100 && round < 50 * kRounds); ++round) {
    Outcome outcome = vm.run("check", {slot(round * kIterations), slot((round + 1) * kIterations)});
    EXPECT_EQ(outcome.exception, "");
    EXPECT_EQ(outcome.i32(), 4 * kIterations) << "round " << round;
  }
  done = true;
  asker.join();
  EXPECT_GE(vm.captures, 100u);
  EXPECT_GE(vm.deepestCapture, 6u);  // check and five levels
}

}  // namespace
}  // namespace jvmc::jit
