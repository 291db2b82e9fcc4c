// The only way C++ touches guest memory: relaxed atomics of the field's own size, because guest programs may race. A
// value travels as a slot: i8, i16 sign-extended and i32 as the low 32 bits (zero above), f32 as bits, the rest as 64
// bits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ir/types.h"
#include "runtime/abi/object.h"

namespace jvmc::rt {

template <class T>
T loadGuest(uint64_t address, std::memory_order order = std::memory_order_relaxed) {
  return reinterpret_cast<std::atomic<T>*>(address)->load(order);
}

template <class T>
void storeGuest(uint64_t address, T value, std::memory_order order = std::memory_order_relaxed) {
  reinterpret_cast<std::atomic<T>*>(address)->store(value, order);
}

/// Fills memory of which nobody reads more than words that stay as they are meanwhile (epochs of objects that are not
/// there yet). `address` and `bytes` are multiples of 8.
inline void fillGuest(uint64_t address, const void* from, size_t bytes) {
#ifdef __SANITIZE_THREAD__
  for (size_t at = 0; at < bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, static_cast<const uint8_t*>(from) + at, sizeof word);
    storeGuest(address + at, word);
  }
#else
  std::memcpy(reinterpret_cast<void*>(address), from, bytes);
#endif
}

/// Loads a field or element of `kind` as a slot.
inline uint64_t loadSlot(uint64_t address, ir::TypeKind kind) {
  switch (kind) {
    case ir::TypeKind::I8:
      return uint32_t(int32_t(loadGuest<int8_t>(address)));
    case ir::TypeKind::I16:
      return uint32_t(int32_t(loadGuest<int16_t>(address)));
    case ir::TypeKind::I32:
    case ir::TypeKind::F32:
      return loadGuest<uint32_t>(address);
    default:
      return loadGuest<uint64_t>(address);
  }
}

/// Stores the slot `value` as a field or element of `kind`. Reference stores go through the barrier first.
inline void storeSlot(uint64_t address, ir::TypeKind kind, uint64_t value) {
  switch (kind) {
    case ir::TypeKind::I8:
      return storeGuest<uint8_t>(address, uint8_t(value));
    case ir::TypeKind::I16:
      return storeGuest<uint16_t>(address, uint16_t(value));
    case ir::TypeKind::I32:
    case ir::TypeKind::F32:
      return storeGuest<uint32_t>(address, uint32_t(value));
    default:
      return storeGuest<uint64_t>(address, value);
  }
}

inline ObjectHeader* header(ObjectRef ref) {
  return reinterpret_cast<ObjectHeader*>(ref);
}
inline uint32_t classIndexOf(ObjectRef ref) {
  return header(ref)->classWord.load(std::memory_order_relaxed) & kClassMask;
}
inline int32_t arrayLength(ObjectRef ref) {
  return loadGuest<int32_t>(ref + kArrayLengthOffset);
}

}  // namespace jvmc::rt
