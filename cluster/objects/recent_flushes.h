// Which copies were flushed a moment ago. The image of an object that nobody asked for (a neighbour in the reply to a
// fetch) may have been taken before a flush of this node arrived there; installed after that flush has ended, it would
// make a thread's own write vanish. Objects that are asked for are safe: one transaction an object (I1).
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>

#include "cluster/objects/copy_unit.h"

namespace jvmc::cluster {

/// Thread-safe.
class RecentFlushes {
 public:
  /// The present moment; taken before a request is sent.
  uint64_t now() const {
    std::lock_guard lock(mutex_);
    return count_;
  }
  /// A flush of these has been acknowledged; before its transactions end.
  void ended(std::span<const CopyUnit> units) {
    std::lock_guard lock(mutex_);
    for (const CopyUnit& unit : units) ring_[count_++ % kRemembered] = unit;
  }
  /// A flush of it may have ended since then.
  bool maybeSince(uint64_t then, const CopyUnit& unit) const {
    std::lock_guard lock(mutex_);
    if (count_ - then > kRemembered) return true;
    for (uint64_t i = then; i < count_; ++i)
      if (ring_[i % kRemembered] == unit) return true;
    return false;
  }

 private:
  static constexpr uint64_t kRemembered = 256;
  mutable std::mutex mutex_;
  uint64_t count_ = 0;
  std::array<CopyUnit, kRemembered> ring_{};
};

}  // namespace jvmc::cluster
