// One run: a cluster made from a seed, a program on it, and what goes wrong meanwhile; and what came of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/arena.h"
#include "tests/simulator/node.h"
#include "tests/simulator/program.h"

namespace jvmc::sim {

/// What happens in a run. All of it follows from the seed, unless the command line says otherwise.
struct Plan {
  uint32_t nodes = 3;
  uint32_t threads = 6;
  uint32_t cellsPerNode = 0;
  ScriptOptions script;
  NetProfile net;
  NodeProfile node;
  // -- what happens to the cluster, at random moments of the first `troubleNanos`
  int64_t troubleNanos = 40 * kMillis;
  uint32_t joins = 0, drains = 0;
  bool crashes = false;  ///< a node dies
  int64_t crashNoticedNanos = 0;
  int64_t cutNanos = 0;    ///< some nodes cannot reach the others and the launcher, for so long
  int64_t slowNanos = 0;   ///< a node needs up to so long for each event
  bool traces = false;     ///< prints all that happens
  bool describes = false;  ///< the outcome tells what happened last, even if all was well

  /// `collects`: threads make objects and forget them, and the nodes find them.
  static Plan fromSeed(uint64_t seed, bool collects = false);
  /// One line.
  std::string describe() const;
};

struct Outcome {
  std::string violation;     ///< what has happened that must not; empty: nothing
  std::string programEnd;    ///< how the program has ended
  std::string tail;          ///< the last events, if there is a violation
  uint64_t fingerprint = 0;  ///< equal runs have equal ones
  uint64_t events = 0;
  int64_t nanos = 0;  ///< simulated
  // -- what has happened, so that one sees that a run tests something
  uint64_t leased = 0, recalls = 0;
  uint64_t moves = 0, blockMoves = 0, fetches = 0, joined = 0, drained = 0, repeated = 0;
  uint64_t rounds = 0, made = 0, buried = 0;
};

/// What runs one after another share.
class Laboratory {
 public:
  Laboratory();
  Outcome run(uint64_t seed, const Plan& plan);

 private:
  Arena arena_;
  std::unique_ptr<rt::FiberPool> fibers_;
};

}  // namespace jvmc::sim
