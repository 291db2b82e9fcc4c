// The address plan in this process and the regions of it that are ours: hands out and takes back blocks and runs of
// blocks.
//
// The whole plan is one private NORESERVE mapping: memory is taken when it is touched, in our regions by allocation, in
// foreign ones by cached copies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/heap/region.h"

namespace jvmc::rt {

/// Not thread-safe (the heap's lock guards it) except for regionOf().
class BlockSpace {
 public:
  BlockSpace(const AddressPlan& plan, uint64_t limitBytes);
  ~BlockSpace();
  BlockSpace(const BlockSpace&) = delete;

  /// Maps the plan. False with the reason in words if the system refuses.
  bool map(std::string& error);

  const AddressPlan& plan() const { return plan_; }
  /// Our region that holds `address`, or null. Of a region that is ours in part, blocks may be Away. Any thread.
  Region* regionOf(uint64_t address) const {
    uint64_t offset = address - plan_.base;
    return offset < planBytes_ ? table_[offset >> plan_.regionShift].load(std::memory_order_acquire) : nullptr;
  }

  /// As regionOf, but null for blocks that are Away.
  Region* homeRegionOf(uint64_t address) const {
    Region* region = regionOf(address);
    return region && !region->isAway(address) ? region : nullptr;
  }

  enum class Refusal : uint8_t { None, OverLimit, NoRegion };
  struct Blocks {
    uint64_t address = 0;  ///< 0: refused
    bool zeroed = false;   ///< the memory is still zero
    Refusal refusal = Refusal::None;
  };
  /// One block for small objects. `reserve`: may exceed the limit a little.
  Blocks takeBlock(bool reserve = false);
  /// `count` adjacent blocks for one large object.
  Blocks takeRun(uint32_t count, bool reserve = false);
  /// Blocks from `first` on become free. Their mark bits must be clear.
  void release(Region& region, uint32_t first, uint32_t count);
  /// After a full collection: gives the memory of blocks that stayed free for long back to the system.
  void returnMemory(uint8_t idleCollections = kIdleCollections);

  // -- sides of the mark bits (region.h). Changed while the world is stopped, read by anyone in guest code.
  int oldSide() const { return oldSide_; }
  int newSide() const { return 1 - oldSide_; }
  /// `address` begins an object of ours that has survived a collection.
  bool isOld(const Region& region, uint64_t address) const { return region.isMarked(oldSide_, address); }
  /// A full marking is complete: what it has marked is what is old, and every block waits to be swept.
  void changeSides() {
    oldSide_ = 1 - oldSide_;
    ++sweepNumber_;
  }
  /// Counts the calls of changeSides(); blocks taken since carry it in BlockInfo::sweptIn.
  uint32_t sweepNumber() const { return sweepNumber_; }

  /// Adds a region that this node is home of.
  void addRegion(uint32_t index);
  /// `count` blocks get another home: their side tables are cleared, their memory goes back to the system.
  void giveAway(Region& region, uint32_t first, uint32_t count);
  /// Becomes home of `count` blocks from `address` on: one of the given kind, or a head of that kind with its tails.
  /// Exceeds the limit if it must.
  Region& adopt(uint64_t address, uint32_t count, BlockKind kind);
  /// Makes region 0 ours, the home of all statics objects at first.
  void openStaticsRegion();
  /// The object lies in a block of that region, or in several of its own.
  void placeStatics(ObjectRef object, uint64_t bytes);
  const std::vector<std::unique_ptr<Region>>& regions() const { return regions_; }

  uint64_t usedBytes() const { return usedBlocks_ << kBlockShift; }
  /// Of free blocks that still have memory.
  uint64_t keptBytes() const { return keptBlocks_ << kBlockShift; }
  uint64_t reservedBytes() const { return uint64_t(regions_.size()) << plan_.regionShift; }
  uint64_t limitBytes() const { return limitBlocks_ << kBlockShift; }

 private:
  /// Blocks that stay free for this many full collections lose their memory.
  static constexpr uint8_t kIdleCollections = 2;

  bool overLimit(uint64_t count, bool reserve) const;
  Region& ensureRegion(uint32_t index, bool foreign);
  static void setKind(Region& region, uint32_t first, uint32_t count, BlockKind kind);
  Blocks occupy(Region& region, uint32_t first, uint32_t count);

  AddressPlan plan_;
  uint64_t planBytes_;
  uint64_t limitBlocks_;
  uint64_t usedBlocks_ = 0;
  uint64_t keptBlocks_ = 0;
  int oldSide_ = 0;
  uint32_t sweepNumber_ = 0;
  bool mapped_ = false;
  std::unique_ptr<std::atomic<Region*>[]> table_;
  std::vector<std::unique_ptr<Region>> regions_;
};

}  // namespace jvmc::rt
