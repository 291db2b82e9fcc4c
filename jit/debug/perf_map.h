// /tmp/perf-PID.map: lets `perf report` name compiled functions. One line per symbol: start, size (hex), name.
#pragma once

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string_view>

namespace jvmc::jit {

class PerfMap {
 public:
  /// Opens the file of this process; if that fails, nothing is written.
  PerfMap();
  ~PerfMap();
  PerfMap(const PerfMap&) = delete;
  PerfMap& operator=(const PerfMap&) = delete;

  /// Thread-safe; the line is in the file when it returns.
  void add(uint64_t start, uint64_t bytes, std::string_view name);

 private:
  std::mutex mutex_;
  std::FILE* file_;
};

}  // namespace jvmc::jit
