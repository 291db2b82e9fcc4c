// What a node knows about cached copies that are busy or dirty. Clean, idle copies have no entry: their header says
// all.
//
// Invariants (names as in docs/internals/object_space.md):
//   I1  at most one transaction (fetch or flush) of a unit is in flight from this node: `busy`
//   I3  a thread is among `writers` from before its first store until its own release; the twin lives at least as long
//
// The table is cut into shards; a shard's mutex guards its entries and every change of those units' headers and data
// by the protocol. It is held for copies and compares, never over a message or a wait.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cluster/objects/word_diff.h"
#include "cluster/objects/write_set.h"

namespace jvmc::cluster {

struct Entry {
  bool busy = false;
  bool flushing = false;  ///< busy with a flush
  bool givenUp = false;   ///< since the transaction began: what it brings is no copy of use
  bool recalled = false;  ///< a lease or loan since the transaction began: what it brings is none any more
  bool borrowed = false;  ///< on loan: all threads here write it, without being writers; the twin is what its home has
  std::vector<const WriteSet*> writers;
  Twin twin;
  bool hasTwin = false;
  std::vector<std::function<void()>> waiters;  ///< run without the lock when the transaction has ended

  /// A transaction is over: forgets a twin that nobody needs, and moves those who waited to `ready`.
  void endTransaction(std::vector<std::function<void()>>& ready);
  bool idle() const { return !busy && !borrowed && writers.empty() && waiters.empty(); }
  bool hasWriter(const WriteSet* set) const;
  void removeWriter(const WriteSet* set);
};

class EntryTable {
 public:
  struct Shard {
    std::mutex mutex;
    std::unordered_map<CopyUnit, Entry, CopyUnitHash> entries;
    /// Drops the entry (and its twin) if nothing needs it.
    void dropIfIdle(const CopyUnit& unit);
  };

  Shard& shard(const CopyUnit& unit) {
    return shards_[((unit.base() >> 3) * 0x9E37'79B9'7F4A'7C15ull) >> (64 - kShardBits)];
  }
  /// All entries, one shard locked at a time.
  void forEach(const std::function<void(const CopyUnit&, Entry&)>& visit);

 private:
  static constexpr int kShardBits = 8;
  std::array<Shard, 1 << kShardBits> shards_;
};

}  // namespace jvmc::cluster
