// Interrupts the OS threads that run guest code, each after every so many milliseconds of its own CPU time, and notes
// what it was doing: a POSIX CPU timer and SIGPROF for each, a ring buffer between the handler and who reads it.
//
// Signals belong to the process, so this is the one thing here that is not a VM's: every VM of the process registers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "runtime/thread.h"

namespace jvmc::rt {

struct CpuSample {
  ThreadId thread;                  ///< 0: no guest thread ran on the worker
  uint64_t nanos;                   ///< CPU time that it stands for
  std::span<const uint64_t> words;  ///< as walkStack gives them; empty: the thread was between two stretches
};

class CpuSampler {
 public:
  /// The worker that calls this runs `ctx` from now on, or (null) no guest code. Registers the OS thread at its first
  /// call. On a fiber or a worker's own stack. Costs a few nanoseconds.
  static void setRunning(ThreadContext* ctx);

  /// From now on samples of `vm` are taken, `hz` for each second of CPU; of several VMs the last one's rate counts.
  static void start(const Vm& vm, uint32_t hz);
  static void stop(const Vm& vm);
  /// Gives what has gathered for `vm`. Not from a signal handler. Samples that found the buffer full are counted.
  static uint64_t drain(const Vm& vm, const std::function<void(const CpuSample&)>& take);
};

}  // namespace jvmc::rt
