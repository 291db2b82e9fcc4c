// What was captured where, and how much guest CPU went into which tier. For --stats.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "runtime/thread.h"

namespace jvmc::rt {

/// Counters of one VM. Relaxed: each is exact, together they are a snapshot of no one moment.
struct CaptureStats {
  static constexpr size_t kDepthBuckets = 16;  ///< frames of one capture: 1, 2, 3-4, 5-8, ... (by power of two)
  static constexpr size_t kLoopBuckets = 5;    ///< loop depth of the innermost frame: 0, 1, 2, 3, 4 and more
  static constexpr size_t kReasons = 8;        ///< by CaptureReason
  static constexpr size_t kWaits = 10;         ///< by WaitKind, of captures that park

  std::atomic<uint64_t> captures{0}, framesInterpreted{0}, framesCompiled{0};
  /// Captures whose innermost guest frame was compiled and stood in a loop nest of this depth.
  std::array<std::atomic<uint64_t>, kLoopBuckets> byLoopDepth{}, compiledByLoopDepth{};
  std::array<std::atomic<uint64_t>, kDepthBuckets> byDepth{}, byCompiledDepth{};
  std::array<std::atomic<uint64_t>, kReasons> byReason{};
  std::array<std::atomic<uint64_t>, kWaits> byWait{};
  std::atomic<uint64_t> resumesInterpreted{0}, resumesCompiled{0};
  std::atomic<uint64_t> cpuNanosInterpreter{0}, cpuNanosCompiled{0};

  /// A JSON object; stable order.
  std::string toJson() const;
};

/// A cheap clock that counts at a fixed rate; converted to nanoseconds by cyclesToNanos.
inline uint64_t cycles() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t value;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1'000'000'000 + uint64_t(now.tv_nsec);
#endif
}
uint64_t cyclesToNanos(uint64_t count);

/// The thread goes from interpreted code into compiled code or back. Two calls a crossing: a few nanoseconds each.
inline void enterTier(ThreadContext& ctx, bool compiled) {
  uint64_t now = cycles();
  ThreadStats& stats = ctx.thread->stats;
  (ctx.inCompiled ? stats.cyclesCompiled : stats.cyclesInterpreter) += now - ctx.tierSince;
  ctx.tierSince = now;
  ctx.inCompiled = compiled;
}

/// A frame is written by a capture; called for each, innermost first.
void countCapturedFrame(ThreadContext& ctx, uint32_t function, uint32_t resumePoint);
/// A capture is complete: its frames lie in GuestThread::captured.
void countCapture(ThreadContext& ctx);
/// The thread leaves its fiber: its CPU times become nanoseconds, and the VM's totals grow.
void settleTiers(ThreadContext& ctx);

}  // namespace jvmc::rt
