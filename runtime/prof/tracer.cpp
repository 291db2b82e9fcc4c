#include "runtime/prof/tracer.h"

#include <algorithm>
#include <chrono>

namespace jvmc::rt {

int64_t Tracer::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Tracer::start(size_t events, int64_t minNanos) {
  minNanos_.store(minNanos, std::memory_order_relaxed);
  for (Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    if (shard.ring.empty()) shard.ring.resize(std::max<size_t>(events / kShards, 16));
  }
  if (!isOn()) since_ = now();
  on_ = true;
}

void Tracer::stop() {
  on_ = false;
  for (Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    shard.ring = {};
    shard.added = shard.taken = 0;
  }
}

void Tracer::add(const TraceEvent& event) {
  const bool mayBeShort =
      event.kind == TraceKind::Wait || event.kind == TraceKind::Fetch || event.kind == TraceKind::Flush;
  if (mayBeShort && event.end - event.begin < minNanos_.load(std::memory_order_relaxed)) return;
  Shard& shard = shards_[(event.thread / kNodesMax) % kShards];
  std::scoped_lock lock(shard.mutex);
  if (shard.ring.empty()) return;
  shard.ring[shard.added++ % shard.ring.size()] = event;
}

TraceTaken Tracer::take() {
  TraceTaken all;
  for (Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    if (shard.ring.empty()) continue;
    const uint64_t oldest = shard.added - std::min<uint64_t>(shard.added, shard.ring.size());
    if (oldest > shard.taken) all.lost += oldest - shard.taken;
    for (uint64_t i = std::max(oldest, shard.taken); i < shard.added; ++i)
      all.events.push_back(shard.ring[i % shard.ring.size()]);
    shard.taken = shard.added;
  }
  return all;
}

}  // namespace jvmc::rt
