// What a simulated node is made with: how it behaves of its own accord, and what all nodes of a run share.
#pragma once

#include <functional>

#include "cluster/balance/policy.h"
#include "cluster/objects/space_core.h"
#include "runtime/fiber/fiber.h"
#include "tests/simulator/cells.h"
#include "tests/simulator/events.h"
#include "tests/simulator/history.h"
#include "tests/simulator/network.h"
#include "tests/simulator/script.h"

namespace jvmc::sim {

/// How often things happen that a node does by itself; 0: never.
struct NodeProfile {
  int64_t shakeNanos = 0;    ///< blocks go to other nodes
  int64_t evictNanos = 0;    ///< copies are evicted
  uint64_t roundMillis = 0;  ///< the nodes collect together
  double earlyReleases = 0;
  double refusals = 0;       ///< of blocks and threads that another node sends here
  int64_t stepNanos = 2000;  ///< a stretch of guest code, at most
  cluster::SpaceOptions space;
  cluster::BalanceOptions balance;
};

/// What all nodes of a run share.
struct Surroundings {
  Events& events;
  History& history;
  Network& network;
  rt::FiberPool& fibers;
  const World& world;
  Cells& cells;
  const Script& script;
  uint64_t seed;
  NodeProfile profile;
  std::function<void(NodeId, Error)> fatal;  ///< the program cannot go on
  std::function<void(int32_t exitCode)> programEnded;
};

}  // namespace jvmc::sim
