// The states of the chunks of copied arrays: what the header says of an object, a table says of each chunk, by its
// address. Nothing stands there for arrays that are at home.
#pragma once

#include "cluster/objects/copy_unit.h"
#include "runtime/abi/address_plan.h"
#include "runtime/heap/region.h"

namespace jvmc::cluster {

using rt::ChunkState;

/// Memory for those that are touched. Thread-safe; rules as for headers of copies.
class ChunkTable {
 public:
  explicit ChunkTable(const rt::AddressPlan& plan) : plan_(plan), states_(plan.bytes() >> kArrayChunkShift) {}

  /// Where ThreadContext::chunkStates points to.
  uint64_t origin() {
    return reinterpret_cast<uint64_t>(&states_[0]) - (plan_.base >> kArrayChunkShift) * sizeof(ChunkState);
  }
  ChunkState& of(const CopyUnit& chunk) { return states_[(chunk.base() - plan_.base) >> kArrayChunkShift]; }
  /// What is noted as a copy at `address` (CopyMap).
  CopyUnit unitAt(uint64_t address) {
    const uint64_t offset = address - plan_.base;
    const uint32_t number = states_[offset >> kArrayChunkShift].number.load(std::memory_order_relaxed);
    if (number == 0) return address;
    const ObjectRef object = address - offset % kArrayChunkBytes - (uint64_t(number - 1) << kArrayChunkShift);
    return address == object ? CopyUnit(object) : CopyUnit(object, number);
  }
  /// What is in [begin, end) is no copy any more, but at home.
  void forget(uint64_t begin, uint64_t end) {
    for (uint64_t address = begin; address < end; address += kArrayChunkBytes)
      if (of(CopyUnit(address, 1)).number.load(std::memory_order_relaxed) != 0) drop(CopyUnit(address, 1));
  }
  /// There is no copy of it any more.
  void drop(const CopyUnit& chunk) {
    ChunkState& state = of(chunk);
    state.epochWord.store(rt::kEpochInvalid, std::memory_order_release);
    state.group.store(0, std::memory_order_relaxed);
    state.number.store(0, std::memory_order_relaxed);
  }

 private:
  const rt::AddressPlan plan_;
  rt::MappedArray<ChunkState> states_;
};

}  // namespace jvmc::cluster
