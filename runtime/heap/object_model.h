// How the heap reads an object: its size and its references, from the class index in its header.
#pragma once

#include "runtime/abi/class_info.h"
#include "runtime/abi/guest_memory.h"

namespace jvmc::rt {

class ObjectModel {
 public:
  explicit ObjectModel(const ClassInfo* const* classes) : classes_(classes) {}

  const ClassInfo& classOf(ObjectRef ref) const { return *classes_[classIndexOf(ref)]; }

  /// kFlagOld: of an object homed here, once it has survived a collection.
  static bool isFlaggedOld(ObjectRef ref) {
    return (header(ref)->classWord.load(std::memory_order_relaxed) & kFlagOld) != 0;
  }
  /// World stopped, or the object is not in use yet.
  static void flagOld(ObjectRef ref) { flag(ref, kFlagOld); }
  static void flag(ObjectRef ref, uint32_t flags) {
    std::atomic<uint32_t>& word = header(ref)->classWord;
    word.store(word.load(std::memory_order_relaxed) | flags, std::memory_order_relaxed);
  }

  /// Bytes of an object that is already initialised, a multiple of 8.
  uint64_t bytes(ObjectRef ref) const { return bytes(classOf(ref), ref); }
  static uint64_t bytes(const ClassInfo& info, ObjectRef ref) {
    if (info.shape == ObjectShape::Instance) return info.instanceBytes;
    return arrayBytes(info, uint32_t(arrayLength(ref)));
  }
  static uint64_t arrayBytes(const ClassInfo& info, uint32_t length) {
    return (kArrayElementsOffset + (uint64_t(length) << info.elementShift) + 7) & ~uint64_t(7);
  }

  /// Calls `visit(ObjectRef)` for each reference field or element, null included.
  template <class Visit>
  static void forEachReference(const ClassInfo& info, ObjectRef ref, Visit visit) {
    if (info.shape == ObjectShape::Instance) {
      for (uint32_t i = 0; i < info.refCount; ++i) visit(loadGuest<uint64_t>(ref + info.refOffsets[i]));
    } else if (info.shape == ObjectShape::ReferenceArray) {
      uint64_t begin = ref + kArrayElementsOffset, end = begin + 8 * uint64_t(uint32_t(arrayLength(ref)));
      for (uint64_t at = begin; at < end; at += 8) visit(loadGuest<uint64_t>(at));
    }
  }

 private:
  const ClassInfo* const* classes_;
};

}  // namespace jvmc::rt
