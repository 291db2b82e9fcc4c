#include "cluster/balance/report_pace.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace jvmc::cluster {

namespace {

constexpr double kSameShare = 0.1;     // of its workers, of its memory: less is no change
constexpr double kSameTraffic = 0.25;  // likewise, of what it was
constexpr double kTrafficMin = 100;    // requests a second that are worth looking at

bool differs(const NodeLoad& a, const NodeLoad& b) {
  const double traffic = std::max({a.remote.requests, b.remote.requests, kTrafficMin});
  return std::abs(a.occupied - b.occupied) > kSameShare * double(a.workers) ||
         std::abs(a.memory.share() - b.memory.share()) > kSameShare ||
         std::abs(a.remote.requests - b.remote.requests) > kSameTraffic * traffic;
}

}  // namespace

bool ReportPace::isDue(int64_t nowNanos, bool changed) {
  if (changed) fastUntil_ = nowNanos + options_.fastForNanos;
  const int64_t since = nowNanos - reportedNanos_;
  const bool fast = nowNanos < fastUntil_ && fastLeft_ >= 1;
  return since >= leastPauseNanos_ && since >= (fast ? std::min(options_.fastNanos, pauseNanos_) : pauseNanos_);
}

void ReportPace::reported(int64_t nowNanos, const NodeLoad& load, int64_t spentNanos) {
  const bool quiet = reportedNanos_ != 0 && nowNanos >= fastUntil_ && !differs(load, noted_);
  const int64_t since = nowNanos - std::exchange(reportedNanos_, nowNanos);
  fastLeft_ = std::min(fastLeft_ + double(since) / double(kFastEveryNanos), kFastMax);
  if (since < options_.normalNanos) fastLeft_ = std::max(0.0, fastLeft_ - 1);
  leastPauseNanos_ = std::max(options_.fastNanos, spentNanos * kShareMax);
  pauseNanos_ = quiet ? std::clamp(pauseNanos_ * 2, options_.normalNanos, options_.quietNanos) : options_.normalNanos;
  pauseNanos_ = std::max(pauseNanos_, leastPauseNanos_);
  if (quiet) return;
  noted_ = load;
  noted_.threads.clear();
}

}  // namespace jvmc::cluster
