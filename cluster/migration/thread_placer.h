// Where new threads begin: on the node with the fewest threads for each worker, as far as this node knows; among equals
// where the objects are that the thread is given; else nodes in turn, this one first.
//
// The leader of the balancer tells now and then how loaded nodes are. What this node has started since counts on top,
// and less with each table, because it is in the table by then. Without tables (no balancer) all nodes are alike and
// threads that one thread starts are spread evenly.
#pragma once

#include <mutex>
#include <span>
#include <vector>

#include "cluster/wire/bytes.h"
#include "ir/support/result.h"
#include "runtime/ids.h"

namespace jvmc::cluster {

using rt::NodeId;

struct NodeRoom {
  NodeId node;
  uint32_t workers = 1;
  double busy = 0;  ///< threads that want a worker
};

/// u32 count | each: u32 node, u32 workers, u32 busy (1/1000).
std::vector<uint8_t> encodeRoom(std::span<const NodeRoom> room);
Result<std::vector<NodeRoom>> decodeRoom(std::span<const uint8_t> bytes);

/// Thread-safe.
class ThreadPlacer {
 public:
  explicit ThreadPlacer(NodeId self) : self_(self) {}
  /// Threads begin on this node, as long as it is a place. Called before anything else.
  void alwaysHere() { alwaysHere_ = true; }

  /// What the leader says.
  void update(std::span<const NodeRoom> room);
  /// `places` may take it, ascending; `used`: homes of the objects that it is given. Self if there is no place. Some
  /// tens of nanoseconds.
  NodeId place(std::span<const NodeId> places, std::span<const NodeId> used);

 private:
  /// The thread that starts others will mostly wait for them.
  static constexpr double kStarter = 1;
  /// Being where all its objects are is worth half a thread in front of it.
  static constexpr double kNearness = 0.5;

  struct Known {
    uint32_t workers = 1;
    double busy = 0, started = 0;
  };

  const NodeId self_;
  bool alwaysHere_ = false;
  std::mutex mutex_;
  std::vector<Known> nodes_;  // by id, as far as there were any
};

}  // namespace jvmc::cluster
