// How often a node reports its load: at once and then every few milliseconds after something has changed, ever more
// rarely while nothing does. A pure function of the time and the loads.
#pragma once

#include "cluster/balance/load.h"

namespace jvmc::cluster {

struct ReportPaceOptions {
  int64_t fastNanos = 10'000'000;      ///< between reports for a while after a change: two of them confirm it
  int64_t fastForNanos = 100'000'000;  ///< how long
  int64_t normalNanos = 50'000'000;
  int64_t quietNanos = 400'000'000;  ///< at most so much between reports of a node on which nothing changes
};

class ReportPace {
 public:
  explicit ReportPace(ReportPaceOptions options) : options_(options) {}

  /// A report is due. `changed`: threads or work have come or gone since the last one.
  bool isDue(int64_t nowNanos, bool changed);
  /// A report has been made that took `spentNanos`, of which no more than 1/50 of the time may be spent.
  void reported(int64_t nowNanos, const NodeLoad& load, int64_t spentNanos);

 private:
  static constexpr int64_t kShareMax = 50;
  /// Fast reports are saved up for changes: a program in which something always begins or ends gets few of them.
  static constexpr int64_t kFastEveryNanos = 200'000'000;
  static constexpr double kFastMax = 10;

  const ReportPaceOptions options_;
  double fastLeft_ = kFastMax;
  int64_t fastUntil_ = 0, reportedNanos_ = 0;
  int64_t pauseNanos_ = 0;       ///< until the next report if nothing changes
  int64_t leastPauseNanos_ = 0;  ///< even if something does
  NodeLoad noted_;               ///< without its threads
};

}  // namespace jvmc::cluster
