// Which copies each thread has brought to this node. When it leaves, they are given up: one may be of an object that
// the thread is still constructing, and nobody here is to take it for the finished one
// (docs/internals/object_space.md).
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "cluster/objects/copy_unit.h"
#include "runtime/ids.h"

namespace jvmc::cluster {

/// Thread-safe.
class FetchedCopies {
 public:
  /// These copies were not here before, and came because `thread` asked.
  void note(rt::ThreadId thread, std::span<const CopyUnit> units);
  /// What has been noted for the thread, and is forgotten. A unit may be named twice.
  std::vector<CopyUnit> take(rt::ThreadId thread);

 private:
  struct Log {
    std::vector<CopyUnit> units;
    size_t tidyAt = 1 << 12;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<rt::ThreadId, Log> logs;
  };
  Shard& shard(rt::ThreadId thread) { return shards_[std::hash<rt::ThreadId>{}(thread) % shards_.size()]; }

  std::array<Shard, 16> shards_;
};

}  // namespace jvmc::cluster
