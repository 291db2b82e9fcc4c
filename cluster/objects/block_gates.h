// Where those wait who need a block that is changing its home. What they wait for is only ever another node's message,
// never a stop of guest threads, so a slow path may wait here (docs/internals/object_space.md, "What may wait").
#pragma once

#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cluster/objects/home_map.h"

namespace jvmc::cluster {

/// Thread-safe.
class BlockGates {
 public:
  explicit BlockGates(HomeMap& homes) : homes_(homes) {}

  /// Runs `then` once the block of `object` is settled, on a runtime thread. False, and nothing will run, if
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
  /// Those who waited, to go on by go() on a runtime thread that holds no lock: what they do next may need any, and
  /// guest access.
  class Ready {
   public:
    bool any() const { return !waiters_.empty(); }
    void go() {
      for (const auto& then : std::exchange(waiters_, {})) then();
    }

   private:
    friend class BlockGates;
    std::vector<std::function<void()>> waiters_;
  };
  /// Ends what is going on with the block at `address`: `node` is its home. Whoever waits for it joins `ready`.
  void settle(uint64_t address, NodeId node, uint32_t moves, Ready& ready) {
    std::lock_guard lock(mutex_);
    homes_.set(address, {node, HomeState::Settled, moves});
    const auto found = waiting_.find(address >> rt::kBlockShift);
    if (found == waiting_.end()) return;
    for (auto& then : found->second) ready.waiters_.push_back(std::move(then));
    waiting_.erase(found);
  }

 private:
  HomeMap& homes_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, std::vector<std::function<void()>>> waiting_;  ///< by block
};

}  // namespace jvmc::cluster
