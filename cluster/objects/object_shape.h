// How an object's memory is cut: where its data begin and end, how large the fields in each word are, where references
// lie. Everything the protocol needs to copy, compare and merge an object comes from here, and here from the class.
#pragma once

#include <cstdint>

#include "cluster/objects/copy_unit.h"
#include "runtime/abi/class_info.h"
#include "runtime/abi/guest_memory.h"

namespace jvmc::cluster {

/// The data of one unit: everything after the header, and after the length for arrays. `begin` and `end` are offsets
/// from the unit's base and multiples of 8.
class ObjectShape {
 public:
  static constexpr int kAsClassSays = -1;

  /// `length` counts for arrays only. `forcedGranularity` (tests only, see faults.h) overrides the class's cut.
  ObjectShape(const rt::ClassInfo& info, uint32_t length, int forcedGranularity = kAsClassSays)
      : info_(info),
        forced_(forcedGranularity),
        begin_(isArray() ? rt::kArrayElementsOffset : rt::kHeaderBytes),
        end_(isArray() ? (begin_ + (uint64_t(length) << info.elementShift) + 7) & ~uint64_t(7) : info.instanceBytes) {}

  /// Of an object in memory whose header (and length) are set.
  static ObjectShape of(const rt::ClassInfo& info, ObjectRef object, int forcedGranularity = kAsClassSays) {
    const bool array = info.shape != rt::ObjectShape::Instance;
    return {info, array ? uint32_t(rt::arrayLength(object)) : 0, forcedGranularity};
  }

  /// How many chunks the array is kept in, whose shape this is, by all nodes that are not its home; 0: it is a unit.
  uint32_t chunksOf(ObjectRef object) const {
    if (!isArray() || end_ <= kUnchunkedBytesMax || object % kArrayChunkBytes != 0) return 0;
    return uint32_t((end_ + kArrayChunkBytes - 1) >> kArrayChunkShift);
  }
  /// Of a unit of the object whose shape this is. That of a head is empty.
  ObjectShape forUnit(const CopyUnit& unit) const {
    ObjectShape part = *this;
    if (unit.chunk != 0) {
      const uint64_t from = unit.base() - unit.object;
      part.begin_ = from == 0 ? begin_ : 0;
      part.end_ = from + kArrayChunkBytes < end_ ? kArrayChunkBytes : end_ - from;
    } else if (chunksOf(unit.object) != 0) {
      part.end_ = begin_;
    }
    return part;
  }
  /// Calls visit(unit) for all that has the object's data: itself, or its chunks.
  template <class Visit>
  void forEachDataUnit(ObjectRef object, Visit&& visit) const {
    const uint32_t chunks = chunksOf(object);
    if (chunks == 0) visit(CopyUnit(object));
    for (uint32_t chunk = 1; chunk <= chunks; ++chunk) visit(CopyUnit(object, chunk));
  }
  /// In which chunk the element is.
  uint32_t chunkOfElement(uint32_t index) const {
    return uint32_t((begin_ + (uint64_t(index) << info_.elementShift)) >> kArrayChunkShift) + 1;
  }

  bool isArray() const { return info_.shape != rt::ObjectShape::Instance; }
  uint64_t begin() const { return begin_; }
  uint64_t end() const { return end_; }
  uint64_t dataBytes() const { return end_ - begin_; }
  uint64_t words() const { return dataBytes() / 8; }

  /// log2 of the size of the fields in the word at `offset` (a multiple of 8).
  uint8_t granularity(uint64_t offset) const {
    if (forced_ != kAsClassSays) return uint8_t(forced_);
    if (isArray()) return info_.elementShift;
    return info_.wordGranularity ? info_.wordGranularity[(offset - rt::kHeaderBytes) / 8] : 3;
  }
  bool isReference(uint64_t offset) const;

  /// Calls visit(offset) for each reference.
  template <class Visit>
  void forEachReference(Visit&& visit) const {
    if (info_.shape == rt::ObjectShape::ReferenceArray) {
      for (uint64_t offset = begin_; offset < end_; offset += 8) visit(offset);
      return;
    }
    for (uint32_t i = 0; i < info_.refCount; ++i) visit(uint64_t(info_.refOffsets[i]));
  }

 private:
  const rt::ClassInfo& info_;
  int forced_;
  uint64_t begin_, end_;
};

}  // namespace jvmc::cluster
