// A thousand nodes and a hundred thousand threads, without object memory: membership, directory and balancer at a size
// that no test can start. Nodes join and leave in the launcher's own steps, crash and are cut off, while the balancer
// evens a load that begins on half of them, and letters look for threads that move.
#pragma once

#include <string>

#include "tests/simulator/network.h"

namespace jvmc::sim {

struct ScaleOptions {
  enum class Trouble : uint8_t {
    None,
    ShortCut,     ///< nodes stand still, the balancer's leader among them, and go on
    LeaderDies,   ///< of the balancer
    AnyNodeDies,  ///<
    LongCut,      ///< nodes stand still until the program is given up
    kTroubles
  };
  uint64_t seed = 1;
  uint32_t nodes = 1000;
  uint32_t threads = 100'000;
  uint32_t letters = 10'000;  ///< to threads, from anywhere, while they move
  uint32_t leavers = 5;       ///< nodes that leave, the leader of the balancer first
  uint32_t joiners = 5;
  Trouble trouble = Trouble::None;
  int64_t balanceNanos = kSeconds;  ///< after the beginning, or after a cut

  /// The trouble follows from the seed: the first has none.
  static ScaleOptions fromSeed(uint64_t seed);
  /// A few words.
  std::string describe() const;
};

struct ScaleOutcome {
  std::string violation;  ///< empty: all was well
  std::string programEnd;
  double imbalanceBefore = 0, imbalanceAfter = 0;  ///< by how much the most loaded node exceeds the mean
  uint64_t moves = 0, letters = 0, events = 0, fingerprint = 0;
  uint64_t joined = 0, left = 0;
  int64_t nanos = 0;  ///< simulated
};

ScaleOutcome runScale(const ScaleOptions& options);

}  // namespace jvmc::sim
