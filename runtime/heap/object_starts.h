// Where the objects of one block begin: a bit for each place where one can. How blocks that change their home tell of
// their objects, from the heap's mark bits through the message to the mark bits of the other heap.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "runtime/abi/address_plan.h"
#include "runtime/abi/object.h"

namespace jvmc::rt {

struct ObjectStarts {
  static constexpr uint32_t kWords = kBlockBytes / kObjectAlignment / 64;
  std::array<uint64_t, kWords> words{};  ///< lowest bit of the first word: the block's first byte

  /// `offset`: from the begin of the block.
  void add(uint64_t offset) {
    words[offset / kObjectAlignment / 64] |= uint64_t(1) << (offset / kObjectAlignment % 64);
  }
  bool has(uint64_t offset) const {
    return offset % kObjectAlignment == 0 && offset < kBlockBytes &&
           (words[offset / kObjectAlignment / 64] >> (offset / kObjectAlignment % 64) & 1) != 0;
  }
  uint32_t count() const {
    uint32_t sum = 0;
    for (uint64_t word : words) sum += uint32_t(std::popcount(word));
    return sum;
  }
  /// Calls visit(offset), ascending.
  template <class Visit>
  void forEach(Visit&& visit) const {
    for (uint32_t w = 0; w < kWords; ++w)
      for (uint64_t word = words[w]; word; word &= word - 1)
        visit((uint64_t(w) * 64 + uint64_t(std::countr_zero(word))) * kObjectAlignment);
  }
};

}  // namespace jvmc::rt
