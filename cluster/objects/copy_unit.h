// What the protocol treats as one: fetches, stamps, twins, flushes and evicts. An object is a unit. An array that is
// large is several: its *head*, class and length, which never change, and chunks of its elements
// (docs/internals/object_space.md, "Large arrays").
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "runtime/abi/array_chunks.h"
#include "runtime/abi/object.h"

namespace jvmc::cluster {

using rt::ObjectRef;

using rt::kArrayChunkBytes;
using rt::kArrayChunkShift;
using rt::kUnchunkedBytesMax;
/// As it travels: u64 object, u32 chunk.
inline constexpr size_t kUnitBytes = 12;

struct CopyUnit {
  ObjectRef object = rt::kNullRef;
  uint32_t chunk = 0;  ///< 0: all of an object, or the head of an array in chunks; else one of its chunks

  CopyUnit() = default;
  CopyUnit(ObjectRef object, uint32_t chunk = 0) : object(object), chunk(chunk) {}  // NOLINT: an object is a unit

  /// What offsets of its shape count from: the object, or where the chunk begins. The first chunk begins with the head.
  uint64_t base() const { return chunk == 0 ? object : object + (uint64_t(chunk - 1) << kArrayChunkShift); }
  friend auto operator<=>(const CopyUnit&, const CopyUnit&) = default;
};

struct CopyUnitHash {
  size_t operator()(const CopyUnit& unit) const { return std::hash<uint64_t>()(unit.base() + (unit.chunk != 0)); }
};

}  // namespace jvmc::cluster
