// The messages that move blocks (Channel::Objects), requests from the old home to the new one:
//
//   PREPARE  u8 4 | u32 groups | each: address u64, u32 blocks, u8 large, u32 moves
//       ->   u8 status (refused: no room)
//   BLOCKS   u8 5 | u32 groups | each: address u64, u32 blocks, u8 large, u32 moves, u32 objects, the objects
//       ->   u8 status | text (the rest), if refused
//   object   u32 offset in the group | u32 class word | u32 lock word | u32 array length | data, as its class says
//            | u32 bytes, home state (takeHomeState)
//
// `moves` is the number that the block has had before this one.
#pragma once

#include "cluster/objects/messages.h"
#include "runtime/heap/heap.h"

namespace jvmc::cluster {

/// A group of blocks on its way, as both messages begin to tell of it.
struct GroupHeader {
  rt::BlockGroup group;
  uint32_t moves = 0;
};
inline constexpr size_t kGroupHeaderBytes = 17;

void putGroupHeader(ByteWriter& out, const GroupHeader& header);
GroupHeader getGroupHeader(ByteReader& in);
/// There can be such a group.
bool fitsPlan(const rt::AddressPlan& plan, const rt::BlockGroup& group);

}  // namespace jvmc::cluster
