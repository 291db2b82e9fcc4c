// Measures this node's load. A full sample visits every thread; hasChanged() is a handful of loads, made between
// samples to see whether one is worth its time.
#pragma once

#include <functional>
#include <mutex>
#include <unordered_map>

#include "cluster/balance/load.h"
#include "cluster/objects/block_users.h"
#include "cluster/objects/remote_use.h"
#include "runtime/sched/scheduler.h"

namespace jvmc::cluster {

struct LoadMeterOptions {
  NodeId node;
  uint32_t workers = 1;
  bool listIdle = false;  ///< threads that want nothing are listed too: a policy is about them
};

/// sample() and hasChanged() on one thread at a time; the rest from any.
class LoadMeter {
 public:
  LoadMeter(LoadMeterOptions options, const rt::Scheduler& scheduler, RemoteUse& remoteUse, BlockUsers& blockUsers,
            std::function<MemoryLoad()> memory);

  /// This node's load since the last sample.
  NodeLoad sample(int64_t nowNanos);
  /// Something has begun or ended since the last sample: threads, or work for idle workers, or a queue.
  bool hasChanged() const;
  /// The last sample, without its threads.
  NodeLoad latest() const;

 private:
  /// Workers are idle and busy by turns; averaged over about so many nanoseconds.
  static constexpr double kOccupiedNanos = 300e6;
  /// Likewise what threads do.
  static constexpr double kActiveNanos = 300e6;

  /// What is remembered of a thread from one sample to the next.
  struct Seen {
    bool live;  ///< ready, running, or waiting for another node
    uint32_t parks;
    uint64_t liveSince;  ///< it has been so in all samples since this value of ranNanos_, without parking
    uint64_t cpuThen;    ///< CPU it had used at that time
    uint64_t cpuFirst;   ///< and when it was first seen here
    uint64_t cpuLast;    ///< and in the last sample
    double active;       ///< as ThreadLoad::active
  };
  struct Moment {
    size_t threads = 0;
    uint32_t occupied = 0;
    bool queue = false;
    friend bool operator==(const Moment&, const Moment&) = default;
  };

  Moment moment() const;
  std::vector<double> workerCpu(double nanos);
  double wanted(const rt::ThreadSnapshot& thread, bool live, double waits, Seen& seen);
  double activity(const rt::ThreadSnapshot& thread, bool live, double nanos) const;
  bool isWorthListing(const ThreadLoad& thread) const;

  const LoadMeterOptions options_;
  const rt::Scheduler& scheduler_;
  RemoteUse& remoteUse_;
  BlockUsers& blockUsers_;
  const std::function<MemoryLoad()> memory_;
  // Of the sampling thread.
  int64_t sampledNanos_ = 0;
  Moment sampledMoment_;
  double occupied_ = 0;
  std::vector<uint64_t> workerNanos_;
  uint64_t ranNanos_ = 0;  ///< CPU of the busiest worker of each sample, summed up
  std::unordered_map<rt::ThreadId, Seen> seen_;
  mutable std::mutex mutex_;
  NodeLoad latest_;
};

}  // namespace jvmc::cluster
