#include "runtime/frames/capture_stats.h"

#include <time.h>

#include <algorithm>
#include <bit>

#include "runtime/frames/function_info.h"
#include "runtime/interp/interp_frame.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

void add(std::atomic<uint64_t>& counter, uint64_t n = 1) {
  counter.fetch_add(n, std::memory_order_relaxed);
}

/// Buckets 1, 2, 3-4, 5-8, ...
size_t depthBucket(size_t frames) {
  return std::min<size_t>(frames <= 1 ? 0 : size_t(std::bit_width(frames - 1)), CaptureStats::kDepthBuckets - 1);
}

double nanosPerCycle() {
  // Measured once: how far the two clocks go in two milliseconds.
  static const double ratio = [] {
    auto nanos = [] {
      timespec now;
      clock_gettime(CLOCK_MONOTONIC, &now);
      return uint64_t(now.tv_sec) * 1'000'000'000 + uint64_t(now.tv_nsec);
    };
    uint64_t startNanos = nanos(), startCycles = cycles();
    while (nanos() - startNanos < 2'000'000) {
    }
    uint64_t passed = cycles() - startCycles;
    return double(nanos() - startNanos) / double(std::max<uint64_t>(passed, 1));
  }();
  return ratio;
}

template <size_t N>
std::string list(const std::array<std::atomic<uint64_t>, N>& counters) {
  std::string text = "[";
  for (size_t i = 0; i < N; ++i) text += (i ? "," : "") + std::to_string(counters[i].load());
  return text + "]";
}

template <size_t N>
std::string named(const std::array<std::atomic<uint64_t>, N>& counters, const std::array<const char*, N>& names) {
  std::string text = "{";
  for (size_t i = 0; i < N; ++i) text += fmt::format("{}\"{}\":{}", i ? "," : "", names[i], counters[i].load());
  return text + "}";
}

}  // namespace

uint64_t cyclesToNanos(uint64_t count) {
  return uint64_t(double(count) * nanosPerCycle());
}

void countCapturedFrame(ThreadContext& ctx, uint32_t function, uint32_t resumePoint) {
  CaptureStats& stats = ctx.vm->captureStats();
  // Interpreter frames count themselves into `interpreted` (captureInterpFrame); all others are compiled.
  GuestThread& thread = *ctx.thread;
  bool isInnermost = thread.stats.framesOfCapture == 0;
  ++thread.stats.framesOfCapture;
  if (!isInnermost) return;
  const FunctionInfo& info = ctx.vm->functionInfos()[ir::FunctionId(function)];
  size_t depth = std::min<size_t>(info.loopDepth(resumePoint / 2), CaptureStats::kLoopBuckets - 1);
  add(stats.byLoopDepth[depth]);
  thread.stats.innermostLoopDepth = uint32_t(depth);
}

void countCapture(ThreadContext& ctx) {
  GuestThread& thread = *ctx.thread;
  CaptureStats& stats = ctx.vm->captureStats();
  ThreadStats& own = thread.stats;
  uint32_t compiled = own.framesOfCapture - own.interpretedOfCapture;
  add(stats.captures);
  add(stats.framesInterpreted, own.interpretedOfCapture);
  add(stats.framesCompiled, compiled);
  if (own.framesOfCapture > 0) add(stats.byDepth[depthBucket(own.framesOfCapture)]);
  if (compiled > 0) add(stats.byCompiledDepth[depthBucket(compiled)]);
  if (compiled > 0 && !own.innermostInterpreted) add(stats.compiledByLoopDepth[own.innermostLoopDepth]);
  add(stats.byReason[size_t(thread.captureReason)]);
  if (thread.captureReason == CaptureReason::Park) add(stats.byWait[size_t(thread.wait.kind)]);
  ++own.captures;
  own.capturedFrames += own.framesOfCapture;
  own.capturedCompiledFrames += compiled;
  own.framesOfCapture = own.interpretedOfCapture = own.innermostLoopDepth = 0;
  own.innermostInterpreted = false;
}

void settleTiers(ThreadContext& ctx) {
  enterTier(ctx, false);
  ThreadStats& own = ctx.thread->stats;
  uint64_t interpreter = cyclesToNanos(own.cyclesInterpreter), compiled = cyclesToNanos(own.cyclesCompiled);
  own.cyclesInterpreter = own.cyclesCompiled = 0;
  own.cpuNanosInterpreter += interpreter;
  own.cpuNanosCompiled += compiled;
  add(ctx.vm->captureStats().cpuNanosInterpreter, interpreter);
  add(ctx.vm->captureStats().cpuNanosCompiled, compiled);
}

std::string CaptureStats::toJson() const {
  return fmt::format(
      "{{\"captures\":{},\"framesInterpreted\":{},\"framesCompiled\":{},\"resumesInterpreted\":{},\"resumesCompiled\":{"
      "},"
      "\"byReason\":{},\"byWait\":{},\"byLoopDepth\":{},\"compiledByLoopDepth\":{},\"byDepthPowerOfTwo\":{},"
      "\"byCompiledDepthPowerOfTwo\":{},\"cpuNanosInterpreter\":{},\"cpuNanosCompiled\":{}}}",
      captures.load(), framesInterpreted.load(), framesCompiled.load(), resumesInterpreted.load(),
      resumesCompiled.load(),
      named<kReasons>(byReason, {"none", "park", "preempt", "migrate", "request", "stackFull", "zeal", "stop"}),
      named<kWaits>(byWait, {"none", "sleep", "monitorEnter", "monitorWait", "join", "park", "classInit", "outside",
                             "access", "yield"}),
      list(byLoopDepth), list(compiledByLoopDepth), list(byDepth), list(byCompiledDepth), cpuNanosInterpreter.load(),
      cpuNanosCompiled.load());
}

}  // namespace jvmc::rt
