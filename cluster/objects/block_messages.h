// The messages that move blocks (Channel::Objects), requests from the old home to the new one:
//
//   PREPARE  u8 4 | u32 groups | each: group, u64 bytes of its objects
//       ->   u8 status (refused: no room)
//   BLOCKS   u8 5 | u32 groups | each: group, but of a large object: where objects begin (a bit for every 8 bytes, 1
//   KiB)
//            | u32 objects with home state | each: u32 offset in the group, u32 bytes, state (takeHomeState)
//            | u64 bytes of its objects
//            | the objects of all groups, one after the other, as they lie in memory
//       ->   u8 0 | u8 whether somebody waits for one of the blocks there; or u8 1 | text (the rest), if refused
//   group    address u64, u32 blocks, u8 large, u32 moves
//
// `moves` is the number that the block has had before this one. The epoch in an object's header is 0: so that nobody
// takes the object for valid while it is brought in.
#pragma once

#include <vector>

#include "cluster/objects/block_host.h"
#include "cluster/objects/messages.h"
#include "cluster/objects/neighbours.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// A group of blocks on its way, as both messages begin to tell of it.
struct GroupHeader {
  rt::BlockGroup group;
  uint32_t moves = 0;
};
inline constexpr size_t kGroupHeaderBytes = 17;
inline constexpr size_t kPreparedGroupBytes = kGroupHeaderBytes + 8;

void putGroupHeader(ByteWriter& out, const GroupHeader& header);
GroupHeader getGroupHeader(ByteReader& in);
/// There can be such a group.
bool fitsPlan(const rt::AddressPlan& plan, const rt::BlockGroup& group);

/// What BLOCKS says of a group before the objects themselves.
struct GroupContents {
  struct HomeState {
    uint32_t offset = 0;
    std::span<const uint8_t> state;
  };

  GroupHeader header;
  rt::ObjectStarts objects;
  std::vector<HomeState> homeStates;
  uint64_t bytes = 0;
  std::span<const uint8_t> data;  ///< all of them
  /// Neighbours as one piece.
  struct Piece {
    uint64_t offset = 0;
    std::span<const uint8_t> data;
  };
  std::vector<Piece> pieces;  ///< of the data, once it is known where objects end
};
/// As many bytes long at least.
inline constexpr size_t kGroupContentsBytes = kGroupHeaderBytes + 12;
/// All but the data.
GroupContents getGroupContents(ByteReader& in);

/// Makes a BLOCKS of groups that nobody here touches any more. What they refer to is exported, what their home knows
/// of them leaves with them. In guest access, on the I/O thread.
class BlocksWriter {
 public:
  BlocksWriter(SpaceCore& core, BlockHost& host, uint32_t groups);

  void add(const GroupHeader& header);
  /// The objects lie where they were: nothing of the groups may change until the message has its answer. Once.
  Payload take();

 private:
  struct Tally;
  void putHomeState(ObjectRef object, uint64_t offset, Tally& tally);
  void gather(ObjectRef object, const rt::ClassInfo& info, Tally& tally);
  void addPiece(const Tally& tally);

  SpaceCore& core_;
  BlockHost& host_;
  ByteWriter heads_;
  std::vector<std::span<const uint8_t>> objects_;
  ClassCursor classes_;
};

}  // namespace jvmc::cluster
