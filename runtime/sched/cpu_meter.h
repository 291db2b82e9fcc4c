// CPU time of one thread: all of it, and in the last 100 ms. Two buckets of 100 ms; the older one fades out linearly.
#pragma once

#include <algorithm>
#include <cstdint>

namespace jvmc::rt {

class CpuMeter {
 public:
  static constexpr int64_t kWindowNanos = 100'000'000;

  /// `nanos` of CPU were used up to `now`, one after the other.
  void add(int64_t now, uint64_t nanos) {
    roll(now);
    total_ += nanos;
    uint64_t intoBucket = uint64_t(now % kWindowNanos);
    uint64_t inCurrent = std::min(nanos, intoBucket);
    current_ += inCurrent;
    previous_ = std::min<uint64_t>(previous_ + nanos - inCurrent, kWindowNanos);
  }

  uint64_t total() const { return total_; }

  uint64_t recent(int64_t now) const {
    CpuMeter rolled = *this;
    rolled.roll(now);
    uint64_t left = uint64_t(kWindowNanos - now % kWindowNanos);
    return std::min<uint64_t>(rolled.current_ + rolled.previous_ * left / kWindowNanos, kWindowNanos);
  }

 private:
  void roll(int64_t now) {
    int64_t bucket = now / kWindowNanos;
    if (bucket == bucket_) return;
    previous_ = bucket == bucket_ + 1 ? current_ : 0;
    current_ = 0;
    bucket_ = bucket;
  }

  int64_t bucket_ = -1;
  uint64_t current_ = 0, previous_ = 0, total_ = 0;
};

}  // namespace jvmc::rt
