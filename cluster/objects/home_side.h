// The home side: answers fetches, applies diffs, carries out synchronisation requests that come from other nodes.
//
// Runs on the I/O thread and never waits. Believes nothing: a message that is malformed, names an object that is not
// homed here, or writes outside an object's fields is refused, and the sender ends its program with an error.
#pragma once

#include <memory>

#include "cluster/objects/flusher.h"
#include "cluster/objects/leases.h"
#include "cluster/objects/messages.h"
#include "cluster/objects/monitor_loans.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

class HomeSide {
 public:
  HomeSide(SpaceCore& core, const Flusher& flusher, const MonitorLoans& loans, Leases& leases)
      : core_(core), flusher_(flusher), loans_(loans), leases_(leases) {}

  /// Handles a FETCH, REFRESH, FLUSH or SYNC, at once or when the block it is about has arrived.
  void handle(NodeId from, Bytes payload, std::shared_ptr<Responder> responder);
  void refuse(Responder& responder);
  /// Changes fields of an object that is served here as the diff says that follows in a message. False if it makes no
  /// sense. Inside guest access.
  bool applyDiff(const CopyUnit& unit, ByteReader& in);

 private:
  bool isHomed(const CopyUnit& unit);
  void fetch(NodeId from, ByteReader& in, Responder& responder);
  void refresh(NodeId from, ByteReader& in, Responder& responder);
  /// Appends the object's image. Whoever sends it exports its references before.
  void putImage(ByteWriter& out, const CopyUnit& unit, Holds holds);
  /// Exports and returns the references in the image with which `out` ends.
  std::vector<ObjectRef> exportReferences(const ByteWriter& out, const CopyUnit& unit);
  uint32_t putNeighbours(ByteWriter& out, ObjectRef of, std::vector<ObjectRef> references);
  void flush(NodeId from, ByteReader& in, Responder& responder);
  void sync(NodeId from, ByteReader& in, Responder& responder);
  /// Appends what SYNC is answered after its status. The request is sensible, its object served here.
  void carryOut(NodeId from, const rt::SyncRequest& request, ByteWriter& out);
  /// The message changes shared objects, or needs some that are lent: they are called back, and `then` will run.
  bool awaitsLeases(std::span<const uint8_t> payload, const std::function<void()>& then);
  /// An object of the message whose block is on its way here, or null.
  ObjectRef awaited(std::span<const uint8_t> payload) const;
  /// If the object's home was here and has moved: says where to, and true.
  bool redirect(ObjectRef object, Responder& responder);
  std::optional<BlockHome> movedTo(ObjectRef object) const;

  /// An object that is served here, as its header says; null if it is not one.
  const rt::ClassInfo* classOfHomed(ObjectRef object);
  bool applyRuns(const CopyUnit& unit, uint32_t runs, ByteReader& in);
  bool sensible(const rt::SyncRequest& request);
  bool sensibleAtomic(const rt::SyncRequest& request, const rt::ClassInfo& info);

  SpaceCore& core_;
  const Flusher& flusher_;
  const MonitorLoans& loans_;
  Leases& leases_;
};

}  // namespace jvmc::cluster
