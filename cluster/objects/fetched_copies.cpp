#include "cluster/objects/fetched_copies.h"

#include <algorithm>

namespace jvmc::cluster {

void FetchedCopies::note(rt::ThreadId thread, std::span<const rt::ObjectRef> objects) {
  Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  Log& log = shard.logs[thread];
  log.objects.insert(log.objects.end(), objects.begin(), objects.end());
  if (log.objects.size() < log.tidyAt) return;
  // What has been evicted and fetched again is there twice.
  std::ranges::sort(log.objects);
  const auto rest = std::ranges::unique(log.objects);
  log.objects.erase(rest.begin(), rest.end());
  log.tidyAt = std::max(log.tidyAt, 2 * log.objects.size());
}

std::vector<rt::ObjectRef> FetchedCopies::take(rt::ThreadId thread) {
  Shard& shard = this->shard(thread);
  std::lock_guard lock(shard.mutex);
  const auto node = shard.logs.extract(thread);
  return node.empty() ? std::vector<rt::ObjectRef>() : std::move(node.mapped().objects);
}

}  // namespace jvmc::cluster
