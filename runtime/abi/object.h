// Objects in memory. A reference is the plain 64-bit address of the object, the same on every node; 0 is null.
//
//      0        epoch (48 bits) | writer (16 bits)
//      8        class index (24 bits) | flags (8 bits)
//     12        lock word (32 bits); in a copy, whose monitor is at its home: with what it was used last
//               (cluster/objects/read_groups.h)
//     16        fields, or for arrays:
//     16        length (32 bits)
//     20        reserved, zero (32 bits)
//     24        elements
//
// `epoch` says how far this copy may be trusted (docs/internals/object_space.md): a thread may use the object when
// epochWord >= ctx.epoch. Special values lie above every stamp; 0 is invalid, which is what untouched memory holds.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace jvmc::rt {

using ObjectRef = uint64_t;
inline constexpr ObjectRef kNullRef = 0;

struct ObjectHeader {
  std::atomic<uint64_t> epochWord;
  std::atomic<uint32_t> classWord;
  std::atomic<uint32_t> lockWord;
};

inline constexpr uint32_t kHeaderBytes = 16;
inline constexpr uint32_t kArrayLengthOffset = 16;
inline constexpr uint32_t kArrayElementsOffset = 24;
inline constexpr uint32_t kObjectAlignment = 8;
static_assert(sizeof(ObjectHeader) == kHeaderBytes);
static_assert(offsetof(ObjectHeader, epochWord) == 0);
static_assert(offsetof(ObjectHeader, classWord) == 8);
static_assert(offsetof(ObjectHeader, lockWord) == 12);

// Epoch words are compared whole: the epoch sits in the high 48 bits, the writer slot in the low 16.
inline constexpr int kEpochShift = 16;
inline constexpr uint64_t kWriterMask = (1u << kEpochShift) - 1;
inline constexpr uint64_t kEpochStep = 1u << kEpochShift;  ///< one tick of a node clock
inline constexpr uint64_t kEpochInvalid = 0;
/// Set in each value of a node's clock, so in each thread's epoch. A copy that was asked for before anybody needed it
/// is stamped without this bit: too old for every thread, so that its first use is noticed and the bit set.
inline constexpr uint64_t kEpochUsed = 1ull << 63;
/// A copy that was given up: too old for every thread.
inline constexpr uint64_t kEpochGivenUp = kEpochStep;
/// A copy of an array that is kept in chunks: class and length hold for ever, elements are checked by their chunks. It
/// looks too old for every thread, so that a check of elements need not ask for it; who needs no more than class and
/// length takes the slow path.
inline constexpr uint64_t kEpochChunked = 2 * kEpochStep;
/// At home: another node has the object on loan. Too old for every thread; who needs it takes the slow path, which
/// calls it back.
inline constexpr uint64_t kEpochLent = 3 * kEpochStep;
inline constexpr uint64_t kEpochFirst = kEpochUsed + 4 * kEpochStep;       ///< where node clocks start
inline constexpr uint64_t kEpochHome = ((1ull << 48) - 1) << kEpochShift;  ///< this node is the object's home
/// The same, but other nodes may hold leases: whoever changes its fields has them called back first.
inline constexpr uint64_t kEpochShared = ((1ull << 48) - 2) << kEpochShift;
inline constexpr uint64_t kEpochImmutable = ((1ull << 48) - 3) << kEpochShift;  ///< a copy that never goes stale
inline constexpr uint64_t kEpochLeased = ((1ull << 48) - 4) << kEpochShift;     ///< a copy that is fresh until recalled
inline constexpr uint64_t kEpochMaxStamp = ((1ull << 48) - 5) << kEpochShift;
/// A copy that is here on loan. Its fields are accessed as if this were their home, volatile ones too; at home the
/// writer is 0. The lock word says that the monitor is inflated, so nobody takes that here.
inline constexpr uint64_t kEpochBorrowed = kEpochHome | kWriterMask;

/// The object lives here, HOME or SHARED, or is here on loan. Its fields may be read.
inline bool isHomeEpoch(uint64_t epochWord) {
  return epochWord >= kEpochShared;
}

/// Its fields may be written here without asking: HOME, or here on loan.
inline bool isWritableHomeEpoch(uint64_t epochWord) {
  return epochWord >= kEpochHome;
}

inline bool isChunkedEpoch(uint64_t epochWord) {
  return epochWord >> kEpochShift == kEpochChunked >> kEpochShift;
}

inline bool isLentEpoch(uint64_t epochWord) {
  return epochWord >> kEpochShift == kEpochLent >> kEpochShift;
}

inline bool isBorrowedEpoch(uint64_t epochWord) {
  return epochWord == kEpochBorrowed;
}

/// How fresh the copy is, whether it has been used or not; without the writer. What a CHUNKED header says is so for
/// ever.
inline uint64_t stampOf(uint64_t epochWord) {
  if (isChunkedEpoch(epochWord)) return kEpochImmutable;
  const uint64_t epoch = epochWord & ~kWriterMask;
  return epoch == kEpochInvalid ? kEpochInvalid : epoch | kEpochUsed;
}

inline constexpr uint32_t kClassMask = (1u << 24) - 1;
enum ObjectFlags : uint32_t {
  kFlagFrozen = 1u << 24,    ///< `freeze` was done: copies are immutable
  kFlagExported = 1u << 25,  ///< its address has left the node: a root of the local collector
  kFlagOld = 1u << 26,       ///< at home: has survived a collection, so stores into it may need the barrier
};

// Lock word: 0 free; thin: owner thread (24 bits) and recursion (7 bits); or inflated: the state lies in the home's
// SyncTable. The owner is a cluster-wide thread id, so a held lock survives a move of the thread. Thread ids of
// 2^24 and more always inflate.
inline constexpr uint32_t kLockInflated = 1u << 31;
inline constexpr int kLockOwnerShift = 7;
inline constexpr uint32_t kLockCountMask = (1u << kLockOwnerShift) - 1;  ///< recursion beyond the first entry
inline constexpr uint64_t kLockMaxThinThread = (1u << 24) - 1;

}  // namespace jvmc::rt
