// How long the program stood still. The latest pauses are kept, for percentiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace jvmc::rt {

/// Not thread-safe.
class PauseLog {
 public:
  void add(uint64_t nanos) {
    if (latest_.size() < kKept)
      latest_.push_back(nanos);
    else
      latest_[count_ % kKept] = nanos;
    ++count_;
    total_ += nanos;
    max_ = std::max(max_, nanos);
  }
  uint64_t total() const { return total_; }
  uint64_t max() const { return max_; }
  /// The pause that `percent` of the latest ones do not exceed; 0 if there was none.
  uint64_t percentile(uint32_t percent) const {
    if (latest_.empty()) return 0;
    std::vector<uint64_t> sorted = latest_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[(sorted.size() - 1) * percent / 100];
  }

 private:
  static constexpr size_t kKept = 4096;
  std::vector<uint64_t> latest_;
  uint64_t count_ = 0, total_ = 0, max_ = 0;
};

}  // namespace jvmc::rt
