// A node's part in cluster-wide collections: takes the snapshot, traces, tells homes what this node has hold of, drops
// copies, buries the dead. What each step is for: docs/internals/cluster_collection.md.
//
//     I/O thread     steps of the coordinator and MARK messages arrive; looks whether old requests have been answered;
//                    ticks while a round is under way
//     own thread     carries steps out, one after another; at each tick between them traces and sends
//
// Only the heap's trace, and what is between two stops of the world, is shared with others.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>

#include "cluster/collect/messages.h"
#include "cluster/membership/control_channel.h"
#include "cluster/objects/cluster_object_space.h"
#include "runtime/heap/heap.h"

namespace jvmc::cluster {

/// Thread-safe.
class Participant final : private rt::TraceHost {
 public:
  /// `moreRoots` greys what this node has hold of besides the heap's roots and the object space's; world stopped. All
  /// arguments outlive stop().
  Participant(ControlChannel& control, ClusterObjectSpace& space, BlockHost& blocks, rt::Traceable& heap,
              std::function<void(rt::Trace&)> moreRoots);
  ~Participant() override { stop(); }

  void start();
  /// The program is over: what is under way is abandoned.
  void stop();

  /// I/O thread. A step of the coordinator, which `responder` answers when it is done.
  void handleStep(NodeId from, CollectStep step, std::shared_ptr<Responder> responder);
  /// I/O thread. Kind byte taken.
  void handleMark(ByteReader& in);

  /// The number of the last round that this node has heard of.
  uint64_t lastRound() const { return lastRound_; }
  /// Rounds that have come to their end here.
  uint64_t completedRounds() const { return completed_; }
  void report(const StatSink& sink) const;
  std::string describe() const;

 private:
  struct Job {
    NodeId from;
    CollectStep step;
    std::shared_ptr<Responder> responder;
  };
  enum class Stage : uint8_t {
    None,      ///< no round
    Begun,     ///< the snapshot is taken; others may not have theirs yet
    Settling,  ///< all have; answers to what was asked before are on their way
    Settled,
  };

  // -- rt::TraceHost
  bool isElsewhere(ObjectRef address) const override;
  bool isCopy(ObjectRef address) const override;
  ObjectRef copyAround(uint64_t address) const override;

  // -- own thread
  void run();
  CollectReply carryOut(const Job& job);
  bool begin(const Job& job);
  bool awaitStillness();
  CollectReply wave();
  bool drop();
  void finish(bool isComplete, CollectReply& reply);
  void sendMarks();
  bool isIdle();
  bool traceAll();
  bool isCalledOff();
  bool membersHaveChanged() const;
  bool isOrphaned();
  void pause();
  int64_t now() const { return control_.net().now(); }
  // -- I/O thread
  void tick();
  void awaitAnswers(uint64_t round, std::vector<std::pair<NodeId, uint64_t>> asked);

  ControlChannel& control_;
  ClusterObjectSpace& space_;
  SpaceCore& core_;
  BlockHost& blocks_;
  rt::Traceable& heap_;
  const std::function<void(rt::Trace&)> moreRoots_;

  mutable std::mutex mutex_;
  const std::unique_ptr<HelperThread> thread_;
  bool ticks_ = false;  ///< of the I/O thread
  // Guarded by mutex_.
  bool ticked_ = false;
  bool busy_ = false;  ///< the own thread does not wait for a job
  std::deque<Job> jobs_;
  std::vector<NodeId> awaited_;     ///< have not answered what was asked before GO
  std::vector<uint64_t> toPassOn_;  ///< words of MARK messages for objects that have another home now
  bool stopping_ = false;

  // Of the own thread.
  NodeId coordinator_;
  std::vector<NodeId> participants_;
  int64_t roundBegan_ = 0;
  int64_t orphanedSince_ = 0;  ///< nanoseconds; 0: the coordinator is there
  std::map<NodeId, std::vector<uint64_t>> unsent_;

  std::atomic<uint64_t> round_{0};  ///< that is under way here; 0: none
  std::atomic<uint64_t> lastRound_{0};
  std::atomic<Stage> stage_{Stage::None};
  std::atomic<uint64_t> sent_{0}, received_{0};  ///< MARK messages of this round
  Counter completed_{0}, broken_{0}, objects_{0}, bytes_{0}, marks_{0}, droppedCopies_{0};
  LatencyHistogram beginNanos_, freeNanos_;
};

}  // namespace jvmc::cluster
