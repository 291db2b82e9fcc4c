// The object space of a node that has peers: home-based lazy release consistency at object granularity. Design,
// invariants and the reason of each rule: docs/internals/object_space.md; memory model: docs/reference/memory_model.md.
//
// A copy of an object that is homed elsewhere lies at the object's own address and is stamped with the node clock, as
// it was *before* the copy was asked for. A thread may use it as long as the stamp is not older than the thread's
// epoch; acquiring renews the epoch. Writes go to the copy, and a release carries what changed to the home.
#pragma once

#include "cluster/objects/block_arrivals.h"
#include "cluster/objects/block_mover.h"
#include "cluster/objects/evictor.h"
#include "cluster/objects/flusher.h"
#include "cluster/objects/home_side.h"
#include "cluster/objects/refresher.h"
#include "cluster/objects/spin_reads.h"

namespace jvmc::cluster {

/// Where the copies of a node stand, for `inspect`.
struct SpaceState {
  uint64_t clock = 0;    ///< of the node: grows with acquires and releases from elsewhere
  uint64_t busy = 0;     ///< objects that are being fetched or flushed
  uint64_t written = 0;  ///< copies with writes that are not home yet
};

/// Thread-safe. Lives until no guest thread and no I/O callback of the node can reach it.
class ClusterObjectSpace final : public rt::ObjectSpace {
 public:
  /// Takes Channel::Objects of `net`. `clock` is the node clock that contexts see.
  ClusterObjectSpace(SpaceHost& host, BlockHost& blocks, NodeNet& net, HomeMap& homes, std::atomic<uint64_t>& clock,
                     SpaceOptions options);

  void checkRead(rt::ThreadContext& ctx, ObjectRef object) override;
  void checkWrite(rt::ThreadContext& ctx, ObjectRef object) override;
  void checkElementsRead(rt::ThreadContext& ctx, ObjectRef array, uint32_t low, uint32_t high) override;
  void checkElementsWrite(rt::ThreadContext& ctx, ObjectRef array, uint32_t low, uint32_t high) override;
  uint64_t chunkStates() override { return core_.chunks.origin(); }
  void publish(rt::ThreadContext& ctx) override;
  bool owesWrites() const override { return flusher_.owes(); }
  std::optional<rt::Resumption> submit(rt::ThreadContext& ctx, const rt::SyncRequest& request) override;
  void post(const rt::SyncRequest& request) override;
  void acquire(rt::ThreadContext& ctx, bool remote) override;
  bool release(rt::ThreadContext& ctx, uint64_t ticket) override;
  void standsInPoll(rt::ThreadContext& ctx) override;
  bool isHome(ObjectRef object) const override;
  void exportReference(ObjectRef object) override;
  void visitRoots(const std::function<void(ObjectRef)>& visit) override;
  bool checked() const override;
  /// Copies that a message of ours names, or will: dirty ones, and those that are asked for. World stopped.
  void visitUnderWay(const std::function<void(ObjectRef)>& visit);

  /// The thread leaves this node. Runs `action`, now or on the I/O thread, once nothing of the thread is on its way
  /// from here, so that nothing can arrive anywhere after it has moved, and the copies it has brought here are given
  /// up.
  void leave(rt::ThreadId thread, std::function<void()> action);
  /// Runs `action`, now or on the I/O thread, when all is home that threads here have released to threads here.
  void afterDeferred(std::function<void()> action);
  /// Sends it home.
  void flushDeferred() {
    flusher_.afterDeferred([] {});
  }
  /// What of that is not home yet, or waits for it; 0: nothing.
  size_t deferred() const { return flusher_.actionsWaiting() + flusher_.owes(); }
  /// The epoch with which a thread starts that has arrived from another node: what was released before is visible.
  uint64_t arrivalEpoch();

  /// Moves homes of blocks.
  BlockMover& mover() { return mover_; }
  BlockArrivals& arrivals() { return arrivals_; }
  /// Objects of other nodes that are here on loan.
  ObjectLoans& objectLoans() { return objectLoans_; }
  /// Lends monitors to other nodes.
  MonitorLoans& loans() { return loans_; }
  /// Gives the memory of copies back.
  Evictor& evictor() { return evictor_; }
  CopyMap& copyMap() { return core_.copyMap; }
  /// Of copies that threads have written and not released yet, and as much again for their twins. An upper bound.
  uint64_t writtenBytes() const { return core_.writtenBytes; }
  /// While memory is short: threads release what they have written at their next poll, so that it can be evicted.
  void releaseEarly(bool wanted) { releaseEarly_ = wanted; }
  const SpaceStats& stats() const { return core_.stats; }
  /// What threads here use of other nodes' objects.
  RemoteUse& remoteUse() { return core_.remoteUse; }
  /// What other nodes use of the objects homed here.
  BlockUsers& blockUsers() { return core_.blockUsers; }
  /// Any thread; takes a lock for each part of the table.
  SpaceState state();
  /// What a node's part in cluster-wide collections works with.
  SpaceCore& core() { return core_; }

 private:
  /// When a fetch was sent: what has happened since decides whether its neighbours may be installed.
  struct Moment {
    uint64_t flushes = 0;
    uint64_t adoptions = 0;
  };

  /// A unit that is asked for.
  struct Fetch {
    rt::ThreadId thread;  ///< which asks
    CopyUnit unit;
    uint64_t stamp;
    WaitToken token;  ///< null: nobody waits
  };

  void validate(rt::ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk = 0);
  void makeWritable(rt::ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk = 0);
  bool isReadable(const rt::ThreadContext& ctx, const CopyUnit& unit);
  bool fetch(rt::ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk);
  std::function<void()> noted(rt::ThreadContext& ctx, std::function<void()> done);
  void noteFetch(rt::ThreadContext& ctx, const CopyUnit& unit, NodeId home, int64_t asked);
  void awaitBlock(rt::ThreadContext& ctx, ObjectRef object, WaitToken token);
  uint32_t readAhead(const rt::ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk);
  /// Asks for a unit that is busy now, and for more that may be wanted with it.
  void ask(const rt::ThreadContext& ctx, const CopyUnit& unit, uint64_t stamp, const Refresher::Others& others,
           const WaitToken& token);
  void sendFetch(const Fetch& fetch);
  void onFetched(const Fetch& fetch, BlockHome home, const Moment& asked, Result<Bytes> reply);
  bool installImage(const Fetch& fetch, ByteReader& reply);
  bool installNeighbours(const Fetch& fetch, const Moment& asked, ByteReader& reply);

  bool awaitLeases(rt::ThreadContext& ctx, ObjectRef object);
  bool awaitLoan(rt::ThreadContext& ctx, ObjectRef object);
  /// At the home, which is here. The answer, if there is one at once.
  std::optional<rt::Resumption> carryOutHere(const rt::SyncRequest& request);
  /// `hold`: of what the request names, until it is answered.
  using Hold = HeldReferences::Hold;
  Hold holdArguments(const rt::SyncRequest& request);
  void sendToHome(const rt::SyncRequest& request, Hold hold);
  void submitParked(const rt::SyncRequest& request, const Hold& hold);
  void onHomeReply(const rt::SyncRequest& request, const Hold& hold, BlockHome home, Result<Bytes> reply);
  void askForOffered(ObjectRef object);
  void handleLeaseMessage(NodeId from, ObjectMessage kind, ByteReader& in, std::shared_ptr<Responder> responder);
  void answerByMail(const rt::SyncRequest& request, const rt::Resumption& answer);
  /// On behalf of a thread that waits for the answer as mail. I/O thread, inside guest access.
  void submitReleased(const Flusher::Companion& released);

  std::atomic<bool> releaseEarly_{false};
  SpaceCore core_;
  Copies copies_;
  Writers writers_;
  Flusher flusher_;
  ObjectLoans objectLoans_;
  Refresher refresher_;
  SpinReads spinReads_;
  MonitorLoans loans_;
  Leases leases_;
  HomeSide homeSide_;
  BlockMover mover_;
  BlockArrivals arrivals_;
  Evictor evictor_;
};

}  // namespace jvmc::cluster
