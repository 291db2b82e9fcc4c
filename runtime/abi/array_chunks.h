// Copies of large arrays are kept in chunks (docs/internals/object_space.md, "Large arrays"): what the header says of
// an object, a table says of each chunk, by its address. Compiled code looks at it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace jvmc::rt {

inline constexpr int kArrayChunkShift = 14;
inline constexpr uint64_t kArrayChunkBytes = uint64_t(1) << kArrayChunkShift;
/// Arrays that end beyond so many bytes are kept in chunks: all those that have blocks of their own.
inline constexpr uint64_t kUnchunkedBytesMax = 32 << 10;

struct ChunkState {
  std::atomic<uint64_t> epochWord;  ///< as in an object's header
  std::atomic<uint32_t> group;      ///< as the lock word of a copy: with what it was used last
  std::atomic<uint32_t> number;     ///< which chunk of its array; 0: there is no copy of a chunk here
};
static_assert(sizeof(ChunkState) == 16);
static_assert(offsetof(ChunkState, epochWord) == 0);

}  // namespace jvmc::rt
