#include "cluster/objects/space_stats.h"

#include <algorithm>

namespace jvmc::cluster {

uint64_t LatencyHistogram::quantileBelow(double quantile) const {
  const uint64_t all = count();
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i].load(std::memory_order_relaxed);
    if (seen > 0 && double(seen) >= quantile * double(all)) return uint64_t(1) << i;
  }
  return 0;
}

void reportHistogram(const StatSink& sink, const std::string& name, const LatencyHistogram& histogram) {
  sink(name + ".count", histogram.count());
  sink(name + ".nanos", histogram.totalNanos());
  sink(name + ".p50", histogram.quantileBelow(0.50));
  sink(name + ".p99", histogram.quantileBelow(0.99));
  histogram.forEachBucket(
      [&](uint64_t bound, uint64_t durations) { sink(name + ".buckets." + std::to_string(bound), durations); });
}

void SpaceStats::report(const StatSink& sink) const {
  sink("objects.slow_reads", slowReads);
  sink("objects.slow_writes", slowWrites);
  sink("objects.slow_hits", slowHits);
  sink("objects.fetches", fetches);
  sink("objects.fetch_bytes", fetchBytes);
  sink("objects.neighbours", neighbours);
  sink("objects.given_up", givenUp);
  sink("objects.refresh_messages", refreshMessages);
  sink("objects.refreshed", refreshedObjects);
  sink("objects.refreshed_same", refreshedSame);
  sink("objects.busy_waits", busyWaits);
  sink("objects.block_waits", blockWaits);
  sink("objects.joins", joins);
  sink("objects.twin_bytes", twinBytes);
  sink("objects.releases", releases);
  sink("objects.monitors_lent", monitorsLent);
  sink("objects.borrowed_operations", borrowedOperations);
  sink("objects.shared", shared);
  sink("objects.unshared", unshared);
  sink("objects.leased", leased);
  sink("objects.recalls", recalls);
  sink("objects.recalled_copies", recalledCopies);
  sink("objects.lent", objectsLent);
  sink("objects.borrowed", objectsBorrowed);
  sink("objects.returned", objectsReturned);
  sink("objects.early_releases", earlyReleases);
  sink("objects.deferred_releases", deferredReleases);
  sink("objects.flush_messages", flushMessages);
  sink("objects.flushed_objects", flushedObjects);
  sink("objects.flush_bytes", flushBytes);
  sink("objects.sync_local", syncLocal);
  sink("objects.sync_remote", syncRemote);
  sink("objects.syncs_with_writes", syncsWithWrites);
  sink("objects.acquires_remote", acquiresRemote);
  sink("objects.served_fetches", servedFetches);
  sink("objects.served_fetch_bytes", servedFetchBytes);
  sink("objects.served_refreshes", servedRefreshes);
  sink("objects.served_flushes", servedFlushes);
  sink("objects.served_syncs", servedSyncs);
  sink("objects.refused", refused);
  sink("objects.evicted", evictedObjects);
  sink("objects.evicted_bytes", evictedBytes);
  sink("objects.redirects", redirects);
  sink("blocks.moved", movedGroups);
  sink("blocks.moved_bytes", movedBytes);
  sink("blocks.adopted", adoptedGroups);
  reportHistogram(sink, "blocks.chunk", blockNanos);
  reportHistogram(sink, "objects.fetch", fetchNanos);
  reportHistogram(sink, "objects.flush", flushNanos);
  reportHistogram(sink, "objects.sync", syncNanos);
}

}  // namespace jvmc::cluster
