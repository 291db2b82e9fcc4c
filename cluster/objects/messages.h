// The messages of the object space (Channel::Objects), all of them requests to an object's home. Little-endian, packed.
//
//   unit    ref u64 | u32 chunk (copy_unit.h)
//   FETCH   u8 1 | unit | u8 neighbours wanted
//      ->   u8 status | image | u32 neighbours | each: ref u64, image
//   image   u32 class index | u8 how long it holds (0 as usual; 1 frozen: for ever; 2 leased: until UNLEASE; 3 on
//           loan: likewise, and it may be written) | u32 array length | u64 bytes | data of the unit
//   diff    u32 runs | each run: u32 offset from the unit's base, u32 bytes, data
//   FLUSH   u8 2 | u32 units | each: unit, diff
//           | u8 whether a request follows | the request, to be carried out when all units have been written
//      ->   u8 status | u32 count | each unit that was not written, because it has moved: u32 index, whereabouts
//           | if a request followed: u8 whether it was carried out | if so: u8 answered | resumption, if answered
//   SYNC    u8 3 | request (see encodeSync)
//      ->   u8 status | u8 answered | resumption, if answered
//   PREPARE and BLOCKS: see block_messages.h; LEND, RECALL and RETURN: monitor_loans.h
//   REFRESH u8 6 | seed u64 | u32 units | each: unit, hash u64 of what the copy holds (contentHash; 0: nothing)
//      ->   u8 status | each in this order: u8 outcome (0 same; 1 changed, followed by the image; 2 unanswered: not
//      homed here, or too much; 3 same, and leased; 4 same, and on loan)
//   UNLEASE u8 10 | ref u64                          home -> who has a lease or loan (leases.h, object_loans.h)
//      ->   u8 status: done | u8 whether it was on loan | if so: u8 whether SETTLE is needed | diff
//   SETTLE  u8 11 | ref u64                          home -> who has had it on loan
//      ->   u8 status: done; all is home that it owed when it gave the object back
//   GIVE UP u8 12 | ref u64                          borrower -> home: to be called back. Not answered
//   OFFER   u8 13 | ref u64                          home -> who may have it on loan, by FETCH
//      ->   u8 status: done
//
// status: 0 done; 1 refused (the object is not homed at the receiver and never was, or the message makes no sense);
// 2 moved, followed by whereabouts: u32 node, u32 moves (HomeMap::learn); 3 lent: the monitor is on its way to the
// asker. A receiver trusts nothing: lengths, enumerators, reference ranges, offsets and classes are checked before any
// of it is used.
#pragma once

#include <optional>

#include "cluster/net/node_net.h"
#include "cluster/objects/copy_unit.h"
#include "cluster/objects/home_map.h"
#include "cluster/wire/bytes.h"
#include "runtime/object_space.h"
#include "runtime/sync/sync_state.h"

namespace jvmc::cluster {

enum class ObjectMessage : uint8_t {
  Fetch = 1,
  Flush = 2,
  Sync = 3,
  Prepare = 4,
  Blocks = 5,
  Refresh = 6,
  Lend = 7,
  Recall = 8,
  Return = 9,
  Unlease = 10,
  Settle = 11,
  GiveUp = 12,
  Offer = 13
};
enum class ReplyStatus : uint8_t { Done = 0, Refused = 1, Moved = 2, Lent = 3 };
enum class RefreshOutcome : uint8_t { Same = 0, Changed = 1, Unanswered = 2, SameLeased = 3, SameLent = 4 };
/// How long what an image says holds.
enum class Holds : uint8_t { AsUsual = 0, ForEver = 1, UntilRecalled = 2, OnLoan = 3 };

/// Where REFRESH says how many units follow, and the bytes of each.
inline constexpr size_t kRefreshCountAt = 9;
inline constexpr size_t kRefreshUnitBytes = kUnitBytes + 8;
/// Of a unit's data, in REFRESH: equal for two contents that differ with probability 2^-64, whatever they are,
/// because nobody knows the seed before.
uint64_t contentHash(std::span<const uint8_t> data, uint64_t seed);
/// Instead of a hash: no copy yet.
inline constexpr uint64_t kHoldsNothing = 0;

/// The copy of one unit, as it travels.
struct ObjectImage {
  uint32_t classIndex = 0;
  Holds holds = Holds::AsUsual;
  uint32_t length = 0;  ///< arrays
  std::span<const uint8_t> data;

  bool isFrozen() const { return holds == Holds::ForEver; }
};

void putUnit(ByteWriter& out, const CopyUnit& unit);
CopyUnit getUnit(ByteReader& in);

Bytes encodeFetch(const CopyUnit& unit, bool neighbours);
/// With `data` of image, or the caller appends that many bytes right after.
void putImageHead(ByteWriter& out, const ObjectImage& image, uint64_t dataBytes);
void putImage(ByteWriter& out, const ObjectImage& image);
ObjectImage getImage(ByteReader& in);

void putResumption(ByteWriter& out, const rt::Resumption& resumption);
rt::Resumption getResumption(ByteReader& in);
void putThreadRef(ByteWriter& out, const rt::ThreadRef& thread);
rt::ThreadRef getThreadRef(ByteReader& in);

/// An object's monitor, joins and class initialisation, when its home moves.
void putSyncState(ByteWriter& out, const rt::SyncState& state);
rt::SyncState getSyncState(ByteReader& in);

/// Where a block has gone: u32 node, u32 moves.
void putWhereabouts(ByteWriter& out, const BlockHome& home);
BlockHome getWhereabouts(ByteReader& in);

void putSync(ByteWriter& out, const rt::SyncRequest& request);
/// A SYNC.
Bytes encodeSync(const rt::SyncRequest& request);
rt::SyncRequest getSync(ByteReader& in);

}  // namespace jvmc::cluster
