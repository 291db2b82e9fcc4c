// Is a core of this machine idle now? An I/O loop spins before it sleeps only then.
#pragma once

#include <chrono>
#include <cstdint>

namespace jvmc::cluster {

/// Reads the number of runnable threads of the machine from /proc/loadavg, at most every 200 us. One thread only.
class IdleCores {
 public:
  IdleCores();
  ~IdleCores();
  IdleCores(const IdleCores&) = delete;

  /// True if the runnable threads, the caller included, leave no core doubly used. False if that cannot be known.
  bool any();

 private:
  int fd_ = -1;
  unsigned cores_ = 1;
  bool last_ = false;
  std::chrono::steady_clock::time_point readAt_{};
};

}  // namespace jvmc::cluster
