// What threads cost: whole guest programs on a node alone, compiled by the JIT, beside the same done with std::thread,
// std::mutex and std::condition_variable in the same run. `per_op` is the time of one operation.
//
// A guest program's time is that of LocalNode::run(), start-up of the VM excluded; N is large enough that compiling the
// loop does not count.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "ir/text/parser.h"
#include "jit/compiler.h"
#include "runtime/local_node.h"

namespace jvmc {
namespace {

using Clock = std::chrono::steady_clock;

/// Guest programs call nothing outside.
class NoOutside final : public rt::OutsideWorld {
 public:
  void call(rt::OutsideCall call) override { JVMC_UNREACHABLE(call.native); }
};

double runGuest(const std::string& text, uint32_t workers) {
  ir::text::SourceSet sources;
  sources.add("threads_bench.ir", text);
  ir::text::DiagnosticSink sink;
  auto parsed = ir::text::parseModule(sources, sink);
  bool valid = parsed.has_value() && ir::text::checkModule(*parsed, sink);
  JVMC_CHECK(valid, ir::text::renderDiagnostics(sources, sink, false));
  rt::VmOptions options;
  options.workers = workers;
  auto node = rt::LocalNode::create(
      *parsed->module, options, jit::makeJit, [](rt::Scheduler&) { return std::make_unique<NoOutside>(); },
      [](const std::string& report) { JVMC_UNREACHABLE(report); });
  Clock::time_point start = Clock::now();
  int32_t code = node->run().exitCode;
  std::chrono::duration<double> elapsed = Clock::now() - start;
  JVMC_CHECK(code == 0, code);
  return elapsed.count();
}

void report(benchmark::State& state, uint64_t operations) {
  state.counters["per_op"] = benchmark::Counter(
      double(operations), benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

/// `text` with every N replaced by the number of operations.
void guest(benchmark::State& state, std::string text, uint64_t operations, uint32_t workers) {
  for (size_t at; (at = text.find("$N")) != std::string::npos;) text.replace(at, 2, std::to_string(operations));
  for (auto _ : state) state.SetIterationTime(runGuest(text, workers));
  report(state, operations);
}

/// The same work natively.
template <class Work>
void native(benchmark::State& state, uint64_t operations, Work work) {
  for (auto _ : state) {
    Clock::time_point start = Clock::now();
    work(operations);
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start).count());
  }
  report(state, operations);
}

// ---------------------------------------------------------------- monitors

constexpr const char* kCounterLoop = R"(
class Cell { field n: i64 }
func @work(%c: ref(Cell), %rounds: i64) {
  br loop(0)
loop(%i: i64):
  %more = lt.i64 %i, %rounds
  br_if %more, body, done
body:
  monitor_enter %c
  %n = load_field %c, Cell.n
  %n2 = add.i64 %n, 1
  store_field %c, Cell.n, %n2
  monitor_exit %c
  %i2 = add.i64 %i, 1
  br loop(%i2)
done:
  return
}
)";

void monitorUncontended(benchmark::State& state) {
  std::string main = R"(
func @main() -> i32 {
  %c = new Cell
  call @work(%c, $N)
  return 0
}
)";
  guest(state, kCounterLoop + main, 5'000'000, 1);
}

void nativeMutexUncontended(benchmark::State& state) {
  native(state, 5'000'000, [](uint64_t n) {
    std::mutex mutex;
    int64_t counter = 0;
    for (uint64_t i = 0; i < n; ++i) {
      std::scoped_lock lock(mutex);
      benchmark::DoNotOptimize(++counter);
    }
  });
}

/// Two threads, each half of the rounds, on one or two workers.
void monitorShared(benchmark::State& state) {
  std::string main = R"(
func @main() -> i32 {
  %c = new Cell
  %a = new Thread
  %b = new Thread
  thread_start %a, @work(%c, $N)
  thread_start %b, @work(%c, $N)
  %ja = thread_join %a, 0
  %jb = thread_join %b, 0
  return 0
}
)";
  guest(state, kCounterLoop + main, 200'000, uint32_t(state.range(0)));
}

void nativeMutexShared(benchmark::State& state) {
  native(state, 200'000, [](uint64_t n) {
    std::mutex mutex;
    int64_t counter = 0;
    auto work = [&] {
      for (uint64_t i = 0; i < n; ++i) {
        std::scoped_lock lock(mutex);
        benchmark::DoNotOptimize(++counter);
      }
    };
    std::thread a(work), b(work);
    a.join();
    b.join();
  });
}

// ---------------------------------------------------------------- hand-over

constexpr const char* kPingPong = R"(
class Ball {
  field volatile turn: i32
  field first: ref(Thread)
  field second: ref(Thread)
}
func @player(%b: ref(Ball), %mine: i32) {
  %other = xor.i32 %mine, 1
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, $N
  br_if %more, wait, done
wait:
  %turn = load_field %b, Ball.turn
  %go = eq.i32 %turn, %mine
  br_if %go, hit, park
park:
  thread_park 0
  br wait
hit:
  store_field %b, Ball.turn, %other
  %f = load_field %b, Ball.first
  %s = load_field %b, Ball.second
  %partner = select.ref(Thread) %mine, %f, %s
  thread_unpark %partner
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return
}
func @main() -> i32 {
  %b = new Ball
  %t0 = new Thread
  %t1 = new Thread
  store_field %b, Ball.first, %t0
  store_field %b, Ball.second, %t1
  thread_start %t0, @player(%b, 0)
  thread_start %t1, @player(%b, 1)
  %j0 = thread_join %t0, 0
  %j1 = thread_join %t1, 0
  return 0
}
)";

/// One round: both players unpark the other and park.
void parkPingPong(benchmark::State& state) {
  guest(state, kPingPong, 100'000, uint32_t(state.range(0)));
}

void nativePingPong(benchmark::State& state) {
  native(state, 20'000, [](uint64_t n) {
    std::mutex mutex;
    std::condition_variable changed;
    int turn = 0;
    auto player = [&](int mine) {
      std::unique_lock lock(mutex);
      for (uint64_t i = 0; i < n; ++i) {
        changed.wait(lock, [&] { return turn == mine; });
        turn = 1 - mine;
        changed.notify_one();
      }
    };
    std::thread a(player, 0), b(player, 1);
    a.join();
    b.join();
  });
}

// ---------------------------------------------------------------- life

constexpr const char* kCreateJoin = R"(
func @nothing() {
  return
}
func @main() -> i32 {
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, $N
  br_if %more, body, done
body:
  %t = new Thread
  thread_start %t, @nothing()
  %j = thread_join %t, 0
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return 0
}
)";

void createJoin(benchmark::State& state) {
  guest(state, kCreateJoin, 50'000, uint32_t(state.range(0)));
}

void nativeCreateJoin(benchmark::State& state) {
  native(state, 5'000, [](uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) std::thread([] {}).join();
  });
}

constexpr const char* kSleeps = R"(
func @main() -> i32 {
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, $N
  br_if %more, body, done
body:
  thread_sleep 1000000
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return 0
}
)";

/// Sleeps of 1 ms: what is above 1 ms per operation is how late they end.
void sleepOneMilli(benchmark::State& state) {
  guest(state, kSleeps, 200, 1);
}

void nativeSleepOneMilli(benchmark::State& state) {
  native(state, 200, [](uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
}

BENCHMARK(monitorUncontended)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(nativeMutexUncontended)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(monitorShared)->ArgName("workers")->Arg(1)->Arg(2)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(nativeMutexShared)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(parkPingPong)->ArgName("workers")->Arg(1)->Arg(2)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(nativePingPong)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(createJoin)->ArgName("workers")->Arg(1)->Arg(2)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(nativeCreateJoin)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(sleepOneMilli)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(nativeSleepOneMilli)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace jvmc
