// What it costs to take a running thread off its stack and to go on from the frames, by the depth of the stack:
// compiled frames only, on a node alone. The guest measures itself with clock.monotonic_nanos at the bottom of a
// recursion.
//
//     captureAndGoOn/D     thread_yield with D + 1 live frames: every frame is written down, the thread goes through
//     the
//                          scheduler's queue, and the innermost frame goes on. Depth 1 is mostly the queue; what grows
//                          with D is the capture.
//     returnCaptured/D     the way back up: D frames, each entered by a continuation when the one above it returns
//     returnLive/D         the same way without a capture, for comparison
//
// `per_op` is the time of one of these, `frames` the compiled frames of one capture as the VM counts them.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>

#include "ir/text/parser.h"
#include "jit/compiler.h"
#include "runtime/frames/capture_stats.h"
#include "runtime/local_node.h"

namespace jvmc {
namespace {

/// The first rounds compile the continuations and are not counted. Exit code: nanoseconds of all counted rounds.
constexpr const char* kProgram = R"(
native @clock.monotonic_nanos() -> i64 node
class Times {
  field yielded: i64
  field goneOn: i64
  field returned: i64
}
func @down(%depth: i32, %t: ref(Times)) -> i32 {
  %deep = gt.i32 %depth, 1
  br_if %deep, deeper, bottom
deeper:
  %d = sub.i32 %depth, 1
  %r = call @down(%d, %t)
  %s = add.i32 %r, %depth
  return %s
bottom:
  %before = call_native @clock.monotonic_nanos()
  store_field %t, Times.yielded, %before
  $YIELD
  %after = call_native @clock.monotonic_nanos()
  store_field %t, Times.goneOn, %after
  return %depth
}
func @main() -> i32 {
  %t = new Times
  br loop(0, 0)
loop(%i: i32, %sum: i64):
  %more = lt.i32 %i, $ROUNDS
  br_if %more, round, done
round:
  %r = call @down($DEPTH, %t)
  %now = call_native @clock.monotonic_nanos()
  store_field %t, Times.returned, %now
  %from = load_field %t, Times.$FROM
  %to = load_field %t, Times.$TO
  %took = sub.i64 %to, %from
  %warm = ge.i32 %i, $WARM
  %counted = select.i64 %warm, %took, 0
  %sum2 = add.i64 %sum, %counted
  %i2 = add.i32 %i, 1
  br loop(%i2, %sum2)
done:
  %nanos = i64_to_i32 %sum
  return %nanos
}
)";

/// Guest programs call nothing outside.
class NoOutside final : public rt::OutsideWorld {
 public:
  void call(rt::OutsideCall call) override { JVMC_UNREACHABLE(call.native); }
};

constexpr int kWarmRounds = 20;

void fill(std::string& text, const std::string& name, const std::string& value) {
  for (size_t at; (at = text.find(name)) != std::string::npos;) text.replace(at, name.size(), value);
}

struct Interval {
  const char *from, *to;
  bool yields;
};

struct Measured {
  double seconds;
  double framesPerCapture;
};

Measured measure(const Interval& interval, int64_t depth, int64_t rounds) {
  std::string text = kProgram;
  fill(text, "$YIELD", interval.yields ? "thread_yield" : "");
  fill(text, "$FROM", interval.from);
  fill(text, "$TO", interval.to);
  fill(text, "$DEPTH", std::to_string(depth));
  fill(text, "$ROUNDS", std::to_string(rounds + kWarmRounds));
  fill(text, "$WARM", std::to_string(kWarmRounds));
  ir::text::SourceSet sources;
  sources.add("capture_bench.ir", text);
  ir::text::DiagnosticSink sink;
  auto parsed = ir::text::parseModule(sources, sink);
  bool valid = parsed.has_value() && ir::text::checkModule(*parsed, sink);
  JVMC_CHECK(valid, ir::text::renderDiagnostics(sources, sink, false));
  rt::VmOptions options;
  options.mode = rt::RunMode::Jit;
  auto node = rt::LocalNode::create(
      *parsed->module, options, jit::makeJit, [](rt::Scheduler&) { return std::make_unique<NoOutside>(); },
      [](const std::string& report) { JVMC_UNREACHABLE(report); });
  int32_t nanos = node->run().exitCode;
  JVMC_CHECK(nanos > 0, nanos);
  const rt::CaptureStats& stats = node->vm().captureStats();
  JVMC_CHECK(!interval.yields || stats.framesInterpreted == 0, stats.framesInterpreted.load());
  return {nanos * 1e-9, double(stats.framesCompiled) / double(std::max<uint64_t>(stats.captures, 1))};
}

void run(benchmark::State& state, const Interval& interval) {
  int64_t depth = state.range(0), rounds = std::clamp<int64_t>(1'000'000 / depth, 1000, 20'000);
  double frames = 0;
  for (auto _ : state) {
    Measured measured = measure(interval, depth, rounds);
    state.SetIterationTime(measured.seconds);
    frames = measured.framesPerCapture;
  }
  state.counters["per_op"] =
      benchmark::Counter(double(rounds), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["frames"] = frames;
}

void captureAndGoOn(benchmark::State& state) {
  run(state, {"yielded", "goneOn", true});
}
void returnCaptured(benchmark::State& state) {
  run(state, {"goneOn", "returned", true});
}
void returnLive(benchmark::State& state) {
  run(state, {"goneOn", "returned", false});
}

void depths(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("depth")->RangeMultiplier(10)->Range(1, 1000)->UseManualTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(captureAndGoOn)->Apply(depths);
BENCHMARK(returnCaptured)->Apply(depths);
BENCHMARK(returnLive)->Apply(depths);

}  // namespace
}  // namespace jvmc
