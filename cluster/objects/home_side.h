// The home side: answers fetches, applies diffs, carries out synchronisation requests that come from other nodes.
//
// Runs on the I/O thread and never waits. Believes nothing: a message that is malformed, names an object that is not
// homed here, or writes outside an object's fields is refused, and the sender ends its program with an error.
#pragma once

#include <memory>

#include "cluster/objects/messages.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

class HomeSide {
 public:
  explicit HomeSide(SpaceCore& core) : core_(core) {}

  /// Handles one message of Channel::Objects.
  void handle(NodeId from, std::span<const uint8_t> payload, Responder& responder);

 private:
  void fetch(ByteReader& in, Responder& responder);
  void flush(ByteReader& in, Responder& responder);
  void sync(NodeId from, ByteReader& in, Responder& responder);
  void refuse(Responder& responder);

  /// An object homed here, as its header says; null if it is not one.
  const rt::ClassInfo* classOfHomed(ObjectRef object);
  bool applyDiff(ByteReader& in);
  bool sensible(const rt::SyncRequest& request);
  bool sensibleAtomic(const rt::SyncRequest& request, const rt::ClassInfo& info);

  SpaceCore& core_;
};

}  // namespace jvmc::cluster
