// Messages of a cluster-wide collection (ControlKind::Collect). Little-endian, packed.
//
//   steps    request of the coordinator     u8 step | u64 round | u32 participants | each: u32 node
//            ->  CollectReply               u8 ok | u8 idle | u64 sent | u64 received | u64 objects | u64 bytes
//   MARK     notification                   u8 6 | u64 round | u32 words | the words
//   WANTED   notification to the leader     u8 7, or u8 9: now
#pragma once

#include "cluster/net/node_net.h"
#include "cluster/wire/bytes.h"

namespace jvmc::cluster {

enum class CollectMessage : uint8_t {
  Begin = 1,  ///< take the snapshot
  Go = 2,     ///< all have begun: tell homes what you have hold of
  Wave = 3,   ///< is anything left to do?
  Drop = 4,   ///< forget copies that are not marked
  Free = 5,   ///< bury objects that are not marked; the round is over
  Mark = 6,
  Wanted = 7,
  End = 8,        ///< the round is over on all nodes, or broken off
  WantedNow = 9,  ///< somebody is out of memory
};

struct CollectStep {
  CollectMessage kind = CollectMessage::End;
  uint64_t round = 0;
  std::vector<NodeId> participants;
};

struct CollectReply {
  bool ok = false;                  ///< of another round, or the members have changed: the round is broken off
  bool idle = false;                ///< Wave: nothing is grey, and no message waits to be sent
  uint64_t sent = 0, received = 0;  ///< Wave: MARK messages of this round
  uint64_t objects = 0, bytes = 0;  ///< Free: what was buried
};

Bytes encode(const CollectStep& step);
/// Kind byte included. False: it makes no sense.
bool decode(std::span<const uint8_t> payload, CollectStep& step);
Bytes encode(const CollectReply& reply);
bool decode(std::span<const uint8_t> payload, CollectReply& reply);

Bytes encodeMark(uint64_t round, std::span<const uint64_t> words);

}  // namespace jvmc::cluster
