// Side tables of one region that this node is home of, wholly or of some of its blocks. Nothing about marking lies in
// the objects themselves.
//
//     marks     two bits per 8 bytes, one of each *side*. On the old side: an object begins here that has survived a
//               collection. Objects made since are on neither side. A full marking fills the other, empty side with
//               those that live; then the sides change their roles, and sweeping empties what was the old one
//     exported  one bit per 8 bytes: the object's address is known outside this node
//     logged    the same, of reference fields and elements: the store log holds this place
//     blocks    what each 64 KiB block is used for, and which of its 256-byte lines hold live objects
//
// The tables are mapped lazily: they cost memory only where objects are. Mark bits have one writer at a time and many
// readers (the store barrier), hence relaxed atomics without read-modify-write.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <cstdint>

#include "ir/support/check.h"
#include "runtime/abi/address_plan.h"
#include "runtime/abi/object.h"
#include "runtime/heap/object_starts.h"

namespace jvmc::rt {

inline constexpr uint32_t kLineShift = 8;
inline constexpr uint32_t kLineBytes = 1u << kLineShift;
inline constexpr uint32_t kLinesPerBlock = kBlockBytes / kLineBytes;
inline constexpr uint32_t kGranuleShift = 3;
inline constexpr uint32_t kBitmapWordsPerBlock = kBlockBytes >> (kGranuleShift + 6);
static_assert(kBitmapWordsPerBlock == ObjectStarts::kWords);

/// A zeroed array in its own lazily filled mapping.
template <class T>
class MappedArray {
 public:
  explicit MappedArray(size_t count) : bytes_(count * sizeof(T)) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    JVMC_CHECK(memory != MAP_FAILED, bytes_);
    data_ = static_cast<T*>(memory);
  }
  ~MappedArray() { munmap(data_, bytes_); }
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;

  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  size_t bytes_;
  T* data_;
};

enum class BlockKind : uint8_t {
  Free,
  Small,      ///< objects of at most kLargeBytes, bump-allocated in holes
  LargeHead,  ///< first block of one large object
  LargeTail,  ///< its further blocks
  Statics,    ///< statics objects, always live; or the head of one that is larger than a block
  Reserved,   ///< never used (the first block of region 0)
  Away,       ///< homed at another node: what lies here are cached copies
};

/// The lines of a small block that hold live objects; a clear bit is a line of a hole.
class LineMap {
 public:
  void clear() {
    for (uint64_t& word : words_) word = 0;
  }
  bool empty() const { return (words_[0] | words_[1] | words_[2] | words_[3]) == 0; }
  uint32_t count() const {
    uint32_t n = 0;
    for (uint64_t word : words_) n += uint32_t(std::popcount(word));
    return n;
  }
  /// The number of lines that were not marked before.
  uint32_t mark(uint32_t first, uint32_t last) {
    uint32_t added = 0;
    for (uint32_t line = first; line <= last; ++line) {
      uint64_t bit = uint64_t(1) << (line % 64);
      added += (words_[line / 64] & bit) == 0;
      words_[line / 64] |= bit;
    }
    return added;
  }
  /// First line from `from` on that is marked (or not): kLinesPerBlock if there is none.
  uint32_t nextMarked(uint32_t from) const { return next(from, 0); }
  uint32_t nextFree(uint32_t from) const { return next(from, ~uint64_t(0)); }

 private:
  uint32_t next(uint32_t from, uint64_t flip) const {
    for (uint32_t w = from / 64; w < 4; ++w) {
      uint64_t word = words_[w] ^ flip;
      if (w == from / 64) word &= ~uint64_t(0) << (from % 64);
      if (word) return w * 64 + uint32_t(std::countr_zero(word));
    }
    return kLinesPerBlock;
  }

  uint64_t words_[4] = {};
};

struct BlockInfo {
  std::atomic<BlockKind> kind{BlockKind::Free};  ///< read without the lock by who asks whether an object is ours
  uint8_t collectionsFree = 0;                   ///< Free: collections it has stayed so
  bool used = false;     ///< Free: holds old bytes; else it is still as the system gave it, zero
  bool leaving = false;  ///< its home is about to move: nothing is allocated here
  std::atomic<bool> hasExported{false};
  uint32_t run = 0;      ///< LargeTail: distance to the head in blocks; else how many blocks belong together
  uint32_t sweptIn = 0;  ///< the sweep (BlockSpace::sweepNumber) that has been here, or after which it was taken
  LineMap lines;         ///< Small: as of the last collection; a clear bit outside of areas is free
  LineMap marked;        ///< Small: what the full marking under way has found; empty otherwise
};

/// Mark bits of 64 granules, both sides in one cache line.
struct MarkWords {
  std::atomic<uint64_t> side[2];
};

class Region {
 public:
  Region(uint64_t base, uint32_t shift)
      : base_(base),
        blockCount_((1u << shift) >> kBlockShift),
        marks(size_t(blockCount_) * kBitmapWordsPerBlock),
        exported(size_t(blockCount_) * kBitmapWordsPerBlock),
        logged(size_t(blockCount_) * kBitmapWordsPerBlock),
        blocks(blockCount_) {}

  uint64_t base() const { return base_; }
  uint32_t blockCount() const { return blockCount_; }
  uint64_t blockAddress(uint32_t block) const { return base_ + (uint64_t(block) << kBlockShift); }
  uint32_t blockIndex(uint64_t address) const { return uint32_t((address - base_) >> kBlockShift); }
  BlockInfo& blockOf(uint64_t address) { return blocks[blockIndex(address)]; }
  /// The block's home is another node.
  bool isAway(uint64_t address) const { return blocks[blockIndex(address)].kind == BlockKind::Away; }

  /// Where the bit of `address` lies in a bitmap.
  struct Place {
    size_t word;
    uint64_t bit;
  };
  Place place(uint64_t address) const {
    uint64_t granule = (address - base_) >> kGranuleShift;
    return {granule / 64, uint64_t(1) << (granule % 64)};
  }

  bool isMarked(int side, uint64_t address) const {
    Place at = place(address);
    return (marks[at.word].side[side].load(std::memory_order_relaxed) & at.bit) != 0;
  }
  /// The only writer of mark bits now.
  void mark(int side, uint64_t address) {
    Place at = place(address);
    std::atomic<uint64_t>& word = marks[at.word].side[side];
    word.store(word.load(std::memory_order_relaxed) | at.bit, std::memory_order_relaxed);
  }
  /// Mark words of one block.
  MarkWords* blockMarks(uint32_t block) { return &marks[size_t(block) * kBitmapWordsPerBlock]; }
  void clearMarks(int side, uint32_t block) {
    MarkWords* words = blockMarks(block);
    for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w)
      if (words[w].side[side].load(std::memory_order_relaxed) != 0)
        words[w].side[side].store(0, std::memory_order_relaxed);
  }

  static bool test(const MappedArray<std::atomic<uint64_t>>& bits, Place at) {
    return (bits[at.word].load(std::memory_order_relaxed) & at.bit) != 0;
  }
  /// True if the bit was clear.
  static bool set(MappedArray<std::atomic<uint64_t>>& bits, Place at) {
    return (bits[at.word].fetch_or(at.bit, std::memory_order_relaxed) & at.bit) == 0;
  }
  /// Nobody else changes the bits meanwhile.
  static void clearWhileStopped(MappedArray<std::atomic<uint64_t>>& bits, Place at) {
    std::atomic<uint64_t>& word = bits[at.word];
    word.store(word.load(std::memory_order_relaxed) & ~at.bit, std::memory_order_relaxed);
  }

 private:
  uint64_t base_;
  uint32_t blockCount_;

 public:
  MappedArray<MarkWords> marks;
  MappedArray<std::atomic<uint64_t>> exported, logged;
  MappedArray<BlockInfo> blocks;
  uint32_t highWater = 0;  ///< blocks from here on were never used
  uint32_t freeHint = 0;   ///< no free block lies before this one
};

/// Calls `visit(ObjectRef)` for each bit of a block that `select(word index)` leaves.
template <class Select, class Visit>
void forEachBit(const Region& region, uint32_t block, Select select, Visit visit) {
  for (uint32_t w = 0; w < kBitmapWordsPerBlock; ++w)
    for (uint64_t word = select(w); word; word &= word - 1)
      visit(region.blockAddress(block) + (uint64_t(w * 64 + std::countr_zero(word)) << kGranuleShift));
}

}  // namespace jvmc::rt
