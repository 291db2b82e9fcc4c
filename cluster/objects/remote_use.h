// What each thread on this node uses of other nodes' objects: requests to homes, by home. What a thread uses of its own
// node's objects goes by inline paths and is not known.
//
// Counted when an answer arrives (fetch, refresh, flush, operation at a home), which has taken a round trip: nothing of
// this is on a fast path. The balancer samples rates; views show totals since the thread came to this node.
#pragma once

#include <array>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/ids.h"

namespace jvmc::cluster {

using rt::NodeId;

/// What one thread has used of one home.
struct HomeUse {
  NodeId home;
  uint64_t requests = 0;         ///< that were answered, since the thread came
  uint64_t bytes = 0;            ///< of these and their answers
  uint64_t waitNanos = 0;        ///< from sending to the answer; what goes on in parallel counts as often
  double requestsPerSecond = 0;  ///< these three: smoothed, as of the last sample()
  double bytesPerSecond = 0;
  double waitShare = 0;  ///< nanoseconds of waiting a nanosecond
};

/// Thread-safe.
class RemoteUse {
 public:
  /// An answer has come from `home`; `waitNanos` is 0 if nobody waited for it.
  void note(rt::ThreadId thread, NodeId home, uint64_t bytes, int64_t waitNanos);
  /// The thread has ended, or left.
  void forget(rt::ThreadId thread);
  /// Renews the rates. Threads of which nothing has been heard for long are forgotten.
  void sample(int64_t nowNanos);

  /// Of one thread, the home it asks most first.
  std::vector<HomeUse> of(rt::ThreadId thread) const;
  /// Of all threads.
  std::unordered_map<rt::ThreadId, std::vector<HomeUse>> all() const;

 private:
  /// Rates follow a change within about this time: long enough to smooth a program's phases, short enough to see how a
  /// move has turned out before the thread may move again.
  static constexpr double kSmoothingNanos = 300e6;
  static constexpr int64_t kForgetNanos = 600'000'000'000;

  struct Home {
    HomeUse use;
    uint64_t requestsBefore = 0, bytesBefore = 0, waitBefore = 0;  ///< at the last sample
  };
  struct Thread {
    std::vector<Home> homes;
    int64_t heardNanos = 0;  ///< the last sample that found something new
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<rt::ThreadId, Thread> threads;
  };
  Shard& shard(rt::ThreadId thread) { return shards_[std::hash<rt::ThreadId>{}(thread) % shards_.size()]; }
  const Shard& shard(rt::ThreadId thread) const { return shards_[std::hash<rt::ThreadId>{}(thread) % shards_.size()]; }
  static std::vector<HomeUse> usesOf(const Thread& thread);

  std::array<Shard, 16> shards_;
  int64_t sampledNanos_ = 0;  // of whoever samples
};

}  // namespace jvmc::cluster
