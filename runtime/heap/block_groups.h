// What other nodes know of the heap: objects that were exported, and groups of blocks that leave with all of theirs or
// have come from elsewhere (cluster/objects/block_mover.h).
#pragma once

#include <atomic>
#include <set>
#include <vector>

#include "runtime/abi/layout.h"
#include "runtime/gc/collector.h"
#include "runtime/heap/allocator.h"
#include "runtime/heap/heap.h"

namespace jvmc::rt {

/// The methods are the heap's of the same names. Its lock is held, unless said otherwise.
class BlockGroups {
 public:
  BlockGroups(const ModuleLayout& layout, const ClassInfo* const* classes, BlockSpace& space, Allocator& allocator,
              Collector& collector)
      : layout_(layout), classes_(classes), space_(space), allocator_(allocator), collector_(collector) {}

  /// In guest code or with GuestAccess, without the lock.
  void exportObject(ObjectRef ref);
  /// Any thread, without the lock.
  uint64_t bytesExported() const { return bytesExported_.load(std::memory_order_relaxed); }
  void forgetBytesExported() { bytesExported_.store(0, std::memory_order_relaxed); }

  /// World stopped, and all objects are old.
  std::vector<BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only);
  void restore(const BlockGroup& group);
  /// Without the lock: a withdrawn group does not change.
  ObjectStarts objectsOf(const BlockGroup& group) const;
  /// No slice is marked meanwhile.
  void giveAway(const BlockGroup& group);
  /// Likewise.
  void adopt(const BlockGroup& group, const ObjectStarts& objects, const std::vector<ObjectRef>& written);

 private:
  struct Place {
    size_t region = 0;
    uint32_t block = 0;
  };

  std::vector<BlockGroup> choose(uint64_t bytes, const std::set<uint64_t>& only);
  void exportAll(const BlockGroup& group);

  const ModuleLayout& layout_;
  const ClassInfo* const* classes_;
  BlockSpace& space_;
  Allocator& allocator_;
  Collector& collector_;
  Place next_;
  std::atomic<uint64_t> bytesExported_{0};
};

}  // namespace jvmc::rt
