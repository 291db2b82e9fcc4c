#include "cluster/migration/departure_plan.h"

#include <algorithm>
#include <utility>

namespace jvmc::cluster {

bool DeparturePlan::mayWait(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (!std::exchange(begun_, true)) bytesAtFirst_ = bytes;
  return blocksLeave_ && bytesLeft_ < 2 * bytesAtFirst_;
}

std::vector<Departing> DeparturePlan::make(std::vector<Departing> threads) {
  std::unordered_map<uint64_t, size_t> sharers;
  for (Departing& each : threads) {
    std::sort(each.blocks.begin(), each.blocks.end());
    each.blocks.erase(std::unique(each.blocks.begin(), each.blocks.end()), each.blocks.end());
    for (uint64_t block : each.blocks) ++sharers[block];
  }
  std::vector<Departing> atOnce;
  std::lock_guard lock(mutex_);
  byBlock_.clear();
  for (Departing& each : threads) {
    const auto own = std::min_element(each.blocks.begin(), each.blocks.end(),
                                      [&](uint64_t a, uint64_t b) { return sharers[a] < sharers[b]; });
    if (own == each.blocks.end() || sharers[*own] > kSharersMax)
      atOnce.push_back(std::move(each));
    else
      byBlock_[*own].push_back(std::move(each));
  }
  return atOnce;
}

std::vector<Departing> DeparturePlan::takeWith(uint64_t block) {
  std::lock_guard lock(mutex_);
  auto found = byBlock_.extract(block);
  return found.empty() ? std::vector<Departing>() : std::move(found.mapped());
}

void DeparturePlan::blocksHaveLeft(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  blocksLeave_ = bytes > 0;
  bytesLeft_ += bytes;
}

void DeparturePlan::forget() {
  std::lock_guard lock(mutex_);
  byBlock_.clear();
  begun_ = false;
  blocksLeave_ = true;
  bytesAtFirst_ = bytesLeft_ = 0;
}

}  // namespace jvmc::cluster
