#include "cluster/objects/block_users.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace jvmc::cluster {

void BlockUsers::noteEnabled(NodeId user, ObjectRef object) {
  const uint64_t block = object & ~uint64_t(rt::kBlockBytes - 1);
  std::lock_guard lock(mutex_);
  auto found = blocks_.find(block);
  if (found == blocks_.end()) {
    if (blocks_.size() >= kBlocksMax) return;
    found = blocks_.emplace(block, Counts()).first;
  }
  for (auto& [node, requests] : found->second)
    if (node == user) return void(++requests);
  found->second.emplace_back(user, 1);
}

void BlockUsers::forget(uint64_t block) {
  std::lock_guard lock(mutex_);
  blocks_.erase(block);
}

/// With a steady rate r a count becomes r * kFadeNanos.
void BlockUsers::sample(int64_t nowNanos) {
  std::lock_guard lock(mutex_);
  const double kept = std::exp(-double(nowNanos - std::exchange(sampledNanos_, nowNanos)) / kFadeNanos);
  for (auto& [block, counts] : blocks_) {
    for (auto& count : counts) count.second *= kept;
    std::erase_if(counts, [](const auto& count) { return count.second < kForgotten; });
  }
  std::erase_if(blocks_, [](const auto& entry) { return entry.second.empty(); });
}

const std::pair<NodeId, double>* BlockUsers::mainUser(const Counts& counts) {
  double sum = 0;
  const std::pair<NodeId, double>* most = nullptr;
  for (const auto& count : counts) {
    sum += count.second;
    if (!most || count.second > most->second) most = &count;
  }
  return most && most->second > sum / 2 && most->second >= kNoise ? most : nullptr;
}

std::vector<BlockUsers::Use> BlockUsers::all() const {
  std::map<NodeId, Use> byUser;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [block, counts] : blocks_) {
      const auto* main = mainUser(counts);
      if (!main) continue;
      Use& use = byUser[main->first];
      use.user = main->first;
      use.requests += main->second / (kFadeNanos / 1e9);
      use.bytes += rt::kBlockBytes;
    }
  }
  std::vector<Use> all;
  for (const auto& [user, use] : byUser) all.push_back(use);
  return all;
}

std::set<uint64_t> BlockUsers::usedBy(NodeId user) const {
  std::set<uint64_t> blocks;
  std::lock_guard lock(mutex_);
  for (const auto& [block, counts] : blocks_)
    if (const auto* main = mainUser(counts); main && main->first == user) blocks.insert(block);
  return blocks;
}

}  // namespace jvmc::cluster
