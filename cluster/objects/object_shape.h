// How an object's memory is cut: where its data begin and end, how large the fields in each word are, where references
// lie. Everything the protocol needs to copy, compare and merge an object comes from here, and here from the class.
#pragma once

#include <cstdint>

#include "runtime/abi/class_info.h"
#include "runtime/abi/guest_memory.h"

namespace jvmc::cluster {

using rt::ObjectRef;

/// The data of one object: everything after the header, and after the length for arrays. `begin` and `end` are offsets
/// from the object's address and multiples of 8.
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
