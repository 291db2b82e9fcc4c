// Guest memory as C++ code of the runtime accesses it: first make this copy of the object current, then use relaxed
// atomics (guest_memory.h). Shared by helpers, natives and the interpreter.
#pragma once

#include <string>
#include <string_view>

#include "runtime/abi/guest_memory.h"
#include "runtime/abi/helpers.h"

namespace jvmc::rt {

inline bool isCurrent(ThreadContext* ctx, ObjectRef object) {
  return header(object)->epochWord.load(std::memory_order_relaxed) >= ctx->epoch;
}
inline bool isHome(ObjectRef object) {
  return isHomeEpoch(header(object)->epochWord.load(std::memory_order_relaxed));
}
inline bool isBorrowed(ObjectRef object) {
  return isBorrowedEpoch(header(object)->epochWord.load(std::memory_order_relaxed));
}
/// At home or borrowed, and no other node has a lease of it.
inline bool isWritableHome(ObjectRef object) {
  return isWritableHomeEpoch(header(object)->epochWord.load(std::memory_order_relaxed));
}

/// All of the object, elements too.
inline bool isReadable(ThreadContext* ctx, ObjectRef object) {
  const uint64_t word = header(object)->epochWord.load(std::memory_order_relaxed);
  return word >= ctx->epoch;
}

/// Every read of an object comes after this, every write after ensureWritable; of an array, whatever is about its class
/// and length. May suspend the fiber, never unwinds.
inline void ensureReadable(ThreadContext* ctx, ObjectRef object) {
  if (!isCurrent(ctx, object)) [[unlikely]]
    jvmc_checkRead(ctx, object);
}
inline void ensureWritable(ThreadContext* ctx, ObjectRef object) {
  if (!isWritableHome(object)) [[unlikely]]
    jvmc_checkWrite(ctx, object);
}
/// The same for elements [low, high); nothing happens to what is beyond the array.
inline void ensureElementsReadable(ThreadContext* ctx, ObjectRef array, int32_t low, int32_t high) {
  if (!isReadable(ctx, array)) [[unlikely]]
    jvmc_checkRangeRead(ctx, array, low, high);
}
inline void ensureElementsWritable(ThreadContext* ctx, ObjectRef array, int32_t low, int32_t high) {
  if (!isWritableHome(array)) [[unlikely]]
    jvmc_checkRangeWrite(ctx, array, low, high);
}

/// A store of a reference into `object` must call the barrier first.
inline bool needsBarrier(const ThreadContext* ctx, ObjectRef object) {
  const uint32_t classWord = header(object)->classWord.load(std::memory_order_relaxed);
  return (ctx->barrierFlags.load(std::memory_order_relaxed) & (classWord | kBarrierAlways)) != 0;
}

/// Stores a reference, with the barrier. A release: another thread that races to read it sees an initialised object.
inline void storeReference(ThreadContext* ctx, ObjectRef object, uint64_t offset, ObjectRef value) {
  if (needsBarrier(ctx, object)) [[unlikely]]
    jvmc_storeBarrier(ctx, object, int64_t(offset), value);
  storeGuest<uint64_t>(object + offset, value, std::memory_order_release);
}

/// `value` (or null) may be an element of the reference array.
inline bool storeAllowed(ThreadContext* ctx, ObjectRef array, ObjectRef value) {
  return value == kNullRef || jvmc_arrayStoreCheck(ctx, array, value) != 0;
}

/// The bytes of an array(i8), not null.
std::string readBytes(ThreadContext* ctx, ObjectRef array);
/// A new array(i8), or null with a pending exception (out of memory). May collect.
ObjectRef newByteArray(ThreadContext* ctx, std::string_view bytes);

}  // namespace jvmc::rt
