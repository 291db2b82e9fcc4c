// Where those wait who need a block that is changing its home. What they wait for is only ever another node's message,
// never a stop of guest threads, so a slow path may wait here (docs/internals/object_space.md, "What may wait").
#pragma once

#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cluster/objects/home_map.h"

namespace jvmc::cluster {

/// Thread-safe.
class BlockGates {
 public:
  explicit BlockGates(HomeMap& homes) : homes_(homes) {}

  /// Runs `then` once the block of `object` is settled, on the thread that settles it. False, and nothing will run, if
  /// it is settled now.
  bool wait(ObjectRef object, std::function<void()> then) {
    std::lock_guard lock(mutex_);
    if (homes_.at(object).state == HomeState::Settled) return false;
    waiting_[object >> rt::kBlockShift].push_back(std::move(then));
    return true;
  }
  /// A step towards a new home.
  void set(uint64_t address, BlockHome home) {
    std::lock_guard lock(mutex_);
    homes_.set(address, home);
  }
  /// Ends what is going on with the block at `address`: `node` is its home. Whoever waits goes on.
  void settle(uint64_t address, NodeId node, uint32_t moves) {
    std::vector<std::function<void()>> ready;
    {
      std::lock_guard lock(mutex_);
      homes_.set(address, {node, HomeState::Settled, moves});
      const auto found = waiting_.find(address >> rt::kBlockShift);
      if (found == waiting_.end()) return;
      ready = std::move(found->second);
      waiting_.erase(found);
    }
    for (const auto& then : ready) then();
  }

 private:
  HomeMap& homes_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::vector<std::function<void()>>> waiting_;  ///< by block
};

}  // namespace jvmc::cluster
