#include "cluster/objects/fetched_copies.h"

#include <algorithm>

namespace jvmc::cluster {

void FetchedCopies::note(rt::ThreadId thread, std::span<const CopyUnit> units) {
  Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  Log& log = shard.logs[thread];
  log.units.insert(log.units.end(), units.begin(), units.end());
  if (log.units.size() < log.tidyAt) return;
  // What has been evicted and fetched again is there twice.
  std::ranges::sort(log.units);
  const auto rest = std::ranges::unique(log.units);
  log.units.erase(rest.begin(), rest.end());
  log.tidyAt = std::max(log.tidyAt, 2 * log.units.size());
}

std::vector<CopyUnit> FetchedCopies::take(rt::ThreadId thread) {
  Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  const auto node = shard.logs.extract(thread);
  return node.empty() ? std::vector<CopyUnit>() : std::move(node.mapped().units);
}

}  // namespace jvmc::cluster
