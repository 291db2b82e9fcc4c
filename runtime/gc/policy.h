// When to collect, and how. Numbers only; the heap asks.
//
//   small heap (live below 8 MiB)   full collections that stop the world: a few milliseconds each, and reference stores
//                                   need no barrier
//   larger                          young collections, whose interval is fitted to a pause of about 4 ms; a concurrent
//                                   cycle when the heap has grown by three quarters since the last full one
#pragma once

#include <cstdint>

namespace jvmc::rt {

/// Not thread-safe: the heap's lock guards it.
class CollectionPolicy {
 public:
  explicit CollectionPolicy(uint64_t limitBytes);

  /// Young collections, with the store barrier they need; otherwise each collection is a full one.
  bool isGenerational() const { return generational_; }
  /// Bytes that may be allocated between two collections.
  uint64_t interval(bool generational) const { return generational ? nursery_ : fullInterval_; }
  /// A young collection has left so many live bytes: is it time for a cycle?
  bool cycleIsDue(uint64_t liveBytes) const { return liveBytes >= cycleAt_; }

  /// `cpuNanos`: what the pause took of its thread.
  void youngDone(uint64_t cpuNanos);
  /// `liveBytes`: what a full marking has found.
  void fullDone(uint64_t liveBytes);

 private:
  const uint64_t limit_;
  const uint64_t leastInterval_;
  bool generational_ = false;
  uint64_t fullInterval_;
  uint64_t nursery_;
  uint64_t cycleAt_ = 0;
};

}  // namespace jvmc::rt
