// CPU time of the threads of a process that run no guest code: the collector's, the compiler's, those that carry
// messages. They take no signals and are not sampled: their clocks are read, which costs a system call each.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace jvmc::rt {

/// Known by the names that the threads give themselves. Not thread-safe. Of the process: VMs that share one cannot be
/// told apart.
class ServiceThreads {
 public:
  /// Tells the nanoseconds that each kind ("[collector]", ...) has used since the last time; the first time, nothing.
  /// Cheap enough for ten times a second: it looks for new threads once in ten.
  void drain(const std::function<void(const char* name, uint64_t nanos)>& take);

 private:
  struct Thread {
    const char* name = nullptr;  ///< null: of no interest, or it has no name yet
    uint64_t nanos = 0;          ///< told so far
  };
  void look();

  std::map<pid_t, Thread> threads_;
  uint32_t drains_ = 0;
};

}  // namespace jvmc::rt
