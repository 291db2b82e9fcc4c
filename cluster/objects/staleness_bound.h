// Bounds how old a value may be that a thread reads without synchronising: a program that spins on a plain flag makes
// progress, although nothing tells its node that the flag has changed.
//
// Every 10 ms the node's clock ticks and all threads are asked to poll; a poll renews the thread's epoch, so that the
// next access to a copy asks its home again. That costs a program that reads much and synchronises little one wave of
// fetches each time, so the period is stretched until the waves take at most 1/kCostShare of the time (and at most to
// one second).
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>

#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

class StalenessBound {
 public:
  static constexpr int64_t kPeriodNanos = 10'000'000;
  static constexpr int64_t kPeriodNanosMax = 1'000'000'000;
  static constexpr int64_t kCostShare = 30;

  /// `pollAll` makes every thread of the node poll soon.
  StalenessBound(NodeNet& net, std::atomic<uint64_t>& clock, const SpaceStats& stats, std::function<void()> pollAll)
      : net_(net), clock_(clock), stats_(stats), pollAll_(std::move(pollAll)) {}

  void start() { schedule(kPeriodNanos); }
  void stop() { stopped_ = true; }

  /// The period after one in which fetches took `fetchNanos`.
  static int64_t nextPeriod(int64_t fetchNanos) {
    return std::clamp(fetchNanos * kCostShare, kPeriodNanos, kPeriodNanosMax);
  }

 private:
  void schedule(int64_t nanos) {
    net_.postAfter(nanos, [this] { tick(); });
  }
  void tick() {
    if (stopped_) return;
    const uint64_t spent = stats_.fetchNanos.totalNanos();
    const int64_t period = nextPeriod(int64_t(spent - spentBefore_));
    spentBefore_ = spent;
    clock_.fetch_add(rt::kEpochStep);
    pollAll_();
    schedule(period);
  }

  NodeNet& net_;
  std::atomic<uint64_t>& clock_;
  const SpaceStats& stats_;
  std::function<void()> pollAll_;
  std::atomic<bool> stopped_{false};
  uint64_t spentBefore_ = 0;
};

}  // namespace jvmc::cluster
