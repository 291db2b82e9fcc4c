// Where cached copies lie in memory: what eviction looks through, and how much memory copies take.
//
// One bit per 8 bytes says that a copy begins there (of an object, or of a chunk: ChunkTable::unitAt), one per page
// that a copy has been written into it. A page without its bit is as the system gave it. The table of a 64 KiB block (1
// KiB) is made at its first copy and stays.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/abi/address_plan.h"
#include "runtime/object_space.h"

namespace jvmc::cluster {

using rt::ObjectRef;

/// Thread-safe. Changes run in guest access, or while the world is stopped.
class CopyMap {
 public:
  static constexpr uint64_t kPageBytes = 4096;

  explicit CopyMap(const rt::AddressPlan& plan);
  ~CopyMap();
  CopyMap(const CopyMap&) = delete;

  /// A copy of so many bytes is at `object` now. Cheap if that was known.
  void note(ObjectRef object, uint64_t bytes);
  /// What is in [begin, end) is no copy any more: whole blocks, of which this node becomes home. False if there was
  /// none: then all of it is zero.
  bool forget(uint64_t begin, uint64_t end);
  /// A copy begins there; class and length can be read.
  bool isNoted(ObjectRef object) const {
    const Block* block = find(object);
    return block && (block->starts[object % rt::kBlockBytes / 512].load(std::memory_order_acquire) >>
                         (object % rt::kBlockBytes / 8 % 64) &
                     1) != 0;
  }
  /// The copy that begins last at or before `address`, of those that lie on pages without a gap up to it. Null if there
  /// is none. World stopped.
  ObjectRef lastBefore(uint64_t address) const;
  /// Addresses of the blocks that hold copies.
  std::vector<uint64_t> blocks();
  /// Of pages that hold copies.
  uint64_t bytes() const { return pages_.load(std::memory_order_relaxed) * kPageBytes; }

  /// `exceeded` runs when bytes() goes beyond `bytes`, once until this is called again. On the thread that notes.
  void setBudget(uint64_t bytes, std::function<void()> exceeded);

  // -- eviction; world stopped
  /// At most `count` addresses of blocks that hold copies; each call goes on where the last one ended.
  std::vector<uint64_t> nextBlocks(size_t count);
  void forEachCopy(uint64_t block, const std::function<void(ObjectRef)>& visit) const;
  /// The copy is invalid: to be noted again when it is fetched again.
  void drop(ObjectRef object);
  /// The page has been given back; no copy begins in it.
  void dropPage(uint64_t page);

 private:
  struct Block {
    std::array<std::atomic<uint64_t>, rt::kBlockBytes / 8 / 64> starts{};
    std::atomic<uint32_t> pages{0};
  };
  struct Region;

  Block* find(uint64_t address) const;
  Block& make(uint64_t address);
  void notePages(uint64_t begin, uint64_t end);

  rt::AddressPlan plan_;
  std::unique_ptr<std::atomic<Region*>[]> regions_;
  std::atomic<uint64_t> pages_{0}, budgetPages_{UINT64_MAX};
  std::mutex mutex_;             ///< guards known_, exceeded_
  std::vector<uint64_t> known_;  ///< blocks that have a table
  size_t next_ = 0;
  std::function<void()> exceeded_;
};

}  // namespace jvmc::cluster
