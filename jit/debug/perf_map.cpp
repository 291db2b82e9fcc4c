#include "jit/debug/perf_map.h"

#include <fmt/format.h>
#include <unistd.h>

namespace jvmc::jit {

PerfMap::PerfMap() : file_(std::fopen(fmt::format("/tmp/perf-{}.map", ::getpid()).c_str(), "w")) {}

PerfMap::~PerfMap() {
  if (file_) std::fclose(file_);
}

void PerfMap::add(uint64_t start, uint64_t bytes, std::string_view name) {
  if (!file_) return;
  std::scoped_lock lock(mutex_);
  fmt::print(file_, "{:x} {:x} {}\n", start, bytes, name);
  std::fflush(file_);
}

}  // namespace jvmc::jit
