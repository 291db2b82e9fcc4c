// A thousand nodes and a hundred thousand threads, without object memory: membership, directory and balancer at a size
// that no test can start. Real are the router and migrator of threads, the map of homes, the census, and the balancer
// with its meter; threads only use CPU and end.
#pragma once

#include <string>

#include "tests/simulator/network.h"

namespace jvmc::sim {

struct ScaleOptions {
  uint64_t seed = 1;
  uint32_t nodes = 1000;
  uint32_t threads = 100'000;
  uint32_t letters = 10'000;  ///< to threads, from anywhere, while they move
  uint32_t leavers = 5;       ///< nodes that leave, the leader of the balancer first
  int64_t balanceNanos = kSeconds;
};

struct ScaleOutcome {
  std::string violation;                           ///< empty: all was well
  double imbalanceBefore = 0, imbalanceAfter = 0;  ///< by how much the most loaded node exceeds the mean
  uint64_t moves = 0, letters = 0, events = 0, fingerprint = 0;
  int64_t nanos = 0;  ///< simulated
};

ScaleOutcome runScale(const ScaleOptions& options);

}  // namespace jvmc::sim
