// The release side: brings a thread's writes home and tells when they are all there.
//
// A release takes the thread's write set. For each object it compares the copy with its twin, sends what differs to the
// home (one message a home), and is done when every home has acknowledged (I4). An object that is busy, because another
// thread fetches or flushes it, waits for that transaction: the other flush may carry bytes of this thread, so a
// release that went on would publish before they have arrived.
//
//     Dirty --diff sent--> Flushing --ack--> Clean            busy object: Dirty --other's end--> Dirty, again
//
// A release is mostly the first half of a request (a monitor's exit, a volatile store) to a home that all the writes go
// to as well. Then the request travels with them, and is carried out when they have been written: one round trip less,
// in which others wait for the monitor.
//
// A release on an object that is homed here is *deferred*: the thread's writes join those that the node owes. They go
// home before anything leaves the node that can tell others of the release: an answer or other mail to a thread
// elsewhere, a thread, a block, the writes of a later release, a frozen object (afterDeferred()); and within the bound
// of staleness anyway. So threads of one node that take turns at a monitor of theirs write home once, not at each exit.
//
// Nothing here waits: a release that is not done at once goes on in the I/O thread's callbacks.
#pragma once

#include <memory>
#include <span>

#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

class Flusher {
 public:
  explicit Flusher(SpaceCore& core) : core_(core) {}

  /// A request that may be carried out as soon as the writes of a release are home.
  struct Companion {
    rt::SyncRequest request;
    HeldReferences::Hold hold;  ///< of the references that it stores
    bool carriedOut = false;    ///< then it need not be sent any more
    std::optional<rt::Resumption> answer{};
  };

  /// Takes the write set of ctx's thread. True: all its writes are home. False: `done` will be called once on the I/O
  /// thread, inside guest access, when they are. Caller: the thread itself, in guest code.
  /// `companion`, if not null, says in `done` what has become of it.
  bool release(rt::ThreadContext& ctx, std::function<void()> done, std::shared_ptr<Companion> companion = nullptr);
  /// The same, but the thread stays among the writers: what it has joined it may go on writing.
  bool publish(rt::ThreadContext& ctx, std::function<void()> done);

  /// The node owes the thread's writes from now on. Caller: the thread itself, in guest code.
  void defer(rt::ThreadContext& ctx);
  /// False if all that has been deferred is home.
  bool owes() const { return owed_.load() > 0; }
  /// Runs `action` when everything is home that was deferred before: at once, or on the I/O thread. Any thread.
  void afterDeferred(std::function<void()> action);
  /// How many actions wait so.
  size_t actionsWaiting() const { return actionsWaiting_; }

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;
  /// What goes to one home in one message. The diffs are kept until they are acknowledged: an object whose home has
  /// moved is sent again.
  struct Batch {
    std::vector<CopyUnit> units;
    std::vector<BlockHome> homes;  ///< as believed when it was added
    std::vector<Bytes> diffs;      ///< of each: u32 runs, the runs
    size_t bytes = 0;
    std::vector<ObjectRef> references;  ///< in these
    HeldReferences::Hold hold;          ///< of those, or of what it is sent again from

    void add(const CopyUnit& unit, BlockHome home, Bytes diff) {
      bytes += kUnitBytes + diff.size();
      units.push_back(unit);
      homes.push_back(home);
      diffs.push_back(std::move(diff));
    }
  };
  class Batches;

  static std::unique_ptr<WriteSet> takeWriteSet(rt::ThreadContext& ctx);
  void joinDeferred(std::unique_ptr<WriteSet> set);
  void takeDeferred(Job& job);
  void flushDeferred(std::function<void()> done);
  bool start(const JobPtr& job);
  bool carryOut(const JobPtr& job);
  void flushUnits(const JobPtr& job, std::span<const CopyUnit> units);
  void flushOne(const JobPtr& job, const CopyUnit& unit, Batches& batches);
  void clearSlot(const CopyUnit& unit, WriterSlot slot);
  bool mustWait(const Entry& entry) const;
  bool mayAccompany(const JobPtr& job, NodeId home) const;
  void send(const JobPtr& job, NodeId home, Batch batch, bool withRequest);
  void onReply(const JobPtr& job, NodeId home, Batch& batch, bool withRequest, Result<Bytes> reply);
  bool takeReply(const JobPtr& job, Batch& batch, bool withRequest, ByteReader& reply);
  void acknowledged(const JobPtr& job, std::span<const CopyUnit> units);
  void step(const JobPtr& job);
  void finish(const JobPtr& job);

  SpaceCore& core_;
  std::mutex mutex_;                                 ///< before a shard's
  std::unordered_map<rt::ThreadId, JobPtr> latest_;  ///< each thread's youngest job in flight
  std::unique_ptr<WriteSet> deferred_;               ///< what the node owes and has not begun to send; may be null
  std::vector<JobPtr> owing_;                        ///< jobs in flight that have taken it over: all others await them
  std::atomic<size_t> owed_{0};                      ///< deferred_, if there is one, and owing_
  std::atomic<size_t> actionsWaiting_{0};
};

}  // namespace jvmc::cluster
