// Counters of one node's object space. Written with relaxed atomics on slow paths, read for --stats and `inspect`.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <string>

namespace jvmc::cluster {

using Counter = std::atomic<uint64_t>;

/// Durations by powers of two: bucket i counts those of less than 2^i nanoseconds (and not less than half of that).
class LatencyHistogram {
 public:
  void add(int64_t nanos) {
    const int bucket = nanos <= 0 ? 0 : std::bit_width(uint64_t(nanos));
    buckets_[size_t(std::min(bucket, kBuckets - 1))].fetch_add(1, std::memory_order_relaxed);
    total_.fetch_add(uint64_t(std::max<int64_t>(nanos, 0)), std::memory_order_relaxed);
  }
  uint64_t count() const {
    uint64_t sum = 0;
    for (const Counter& bucket : buckets_) sum += bucket.load(std::memory_order_relaxed);
    return sum;
  }
  uint64_t totalNanos() const { return total_.load(std::memory_order_relaxed); }
  /// Calls `visit(upper bound in nanoseconds, durations)` for each bucket that has some, lowest first.
  template <class Visit>
  void forEachBucket(Visit visit) const {
    for (int i = 0; i < kBuckets; ++i)
      if (const uint64_t durations = buckets_[size_t(i)].load(std::memory_order_relaxed))
        visit(uint64_t(1) << i, durations);
  }
  /// Upper bound in nanoseconds of the bucket in which the quantile (0 to 1) lies; 0 if empty.
  uint64_t quantileBelow(double quantile) const;

 private:
  static constexpr int kBuckets = 48;
  std::array<Counter, kBuckets> buckets_{};
  Counter total_{0};
};

/// Receives a statistic: a name with dots ("objects.fetches") and a value. Durations are in nanoseconds.
using StatSink = std::function<void(const std::string& name, uint64_t value)>;
/// count, total, and bounds of median and 99th percentile, as name.count, name.nanos, name.p50, name.p99; and of each
/// bucket that has some, how many, as name.buckets.BOUND, BOUND being the upper one in nanoseconds.
void reportHistogram(const StatSink& sink, const std::string& name, const LatencyHistogram& histogram);

struct SpaceStats {
  Counter slowReads{0}, slowWrites{0};              ///< checks that left the inline path
  Counter slowHits{0};                              ///< of these: the copy was valid all the same
  Counter fetches{0}, fetchBytes{0};                ///< objects asked for from their homes
  Counter blockWaits{0};                            ///< a check had to wait for a block that was changing its home
  Counter neighbours{0};                            ///< objects that came along with these, and were new here
  Counter refreshMessages{0}, refreshedObjects{0};  ///< stale copies asked for together
  Counter refreshedSame{0};                         ///< of these: the home held the same
  Counter busyWaits{0};                             ///< a check had to wait for another thread's fetch or flush
  Counter joins{0}, twinBytes{0};                   ///< first writes to a copy
  Counter givenUp{0};                               ///< copies of threads that have left
  Counter releases{0};                              ///< that had something to flush
  Counter earlyReleases{0};                         ///< of these: because memory was short
  Counter deferredReleases{0};                      ///< that had something to flush, which the node owes since
  Counter flushMessages{0}, flushedObjects{0}, flushBytes{0};
  Counter syncLocal{0}, syncRemote{0};  ///< operations at a home here / elsewhere
  Counter monitorsLent{0};              ///< to other nodes
  Counter borrowedOperations{0};        ///< on monitors of other nodes that were here
  Counter shared{0}, leased{0};         ///< objects homed here that became shared; copies leased to others
  Counter unshared{0}, recalls{0};      ///< shared objects that were written; messages that called leases back
  Counter recalledCopies{0};            ///< leased copies here that were called back
  Counter objectsLent{0};               ///< homed here, to other nodes
  Counter objectsBorrowed{0}, objectsReturned{0};  ///< of other nodes
  Counter syncsWithWrites{0};                      ///< of the latter: together with the writes that they release
  Counter acquiresRemote{0};                       ///< each makes the copies that were here stale
  Counter servedFetches{0}, servedFetchBytes{0}, servedRefreshes{0}, servedFlushes{0}, servedSyncs{0}, refused{0};
  Counter movedGroups{0}, movedBytes{0};       ///< blocks that left for another home
  Counter adoptedGroups{0};                    ///< blocks that came here
  Counter redirects{0};                        ///< requests for objects whose home has moved on
  Counter evictedObjects{0}, evictedBytes{0};  ///< copies taken out of memory; bytes of their pages
  LatencyHistogram blockNanos;                 ///< from a chunk of blocks being sent off to its new home's answer
  LatencyHistogram fetchNanos, flushNanos, syncNanos;  ///< from sending to the reply's arrival

  void report(const StatSink& sink) const;
};

}  // namespace jvmc::cluster
