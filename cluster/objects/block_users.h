// Which blocks homed here other nodes ask for most: so that they can be moved to where they are used. Counted when a
// request is served, only if a policy asks for it.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "runtime/abi/address_plan.h"
#include "runtime/ids.h"

namespace jvmc::cluster {

using rt::NodeId;
using rt::ObjectRef;

/// Thread-safe.
class BlockUsers {
 public:
  void enable() { enabled_ = true; }
  /// `user` has asked for the object, or written to it.
  void note(NodeId user, ObjectRef object) {
    if (enabled_.load(std::memory_order_relaxed)) noteEnabled(user, object);
  }
  /// The block has left.
  void forget(uint64_t block);
  /// Fades what is older. Called now and then.
  void sample(int64_t nowNanos);

  struct Use {
    NodeId user;
    double requests = 0;  ///< a second
    uint64_t bytes = 0;   ///< of the blocks
  };
  /// Of blocks that one node asks for more than all others together.
  std::vector<Use> all() const;
  /// Addresses of the blocks that `user` asks for more than all others together.
  std::set<uint64_t> usedBy(NodeId user) const;

 private:
  static constexpr double kFadeNanos = 1e9;  ///< what is older counts less
  static constexpr double kForgotten = 0.1;
  static constexpr double kNoise = 2;            ///< fewer requests in about that time are none
  static constexpr size_t kBlocksMax = 1 << 14;  ///< a gigabyte of blocks in use at a time

  /// Requests lately, by node.
  using Counts = std::vector<std::pair<NodeId, double>>;

  void noteEnabled(NodeId user, ObjectRef object);
  static const std::pair<NodeId, double>* mainUser(const Counts& counts);

  std::atomic<bool> enabled_{false};
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, Counts> blocks_;
  int64_t sampledNanos_ = 0;
};

}  // namespace jvmc::cluster
