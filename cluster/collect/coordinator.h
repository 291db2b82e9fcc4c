// Leads cluster-wide collections: which step comes next, and when a round is at its end
// (docs/internals/cluster_collection.md). Any node can; the leader does (NodeNet::leader).
//
//     BEGIN   all take their snapshots                          | answered by all
//     GO      all have begun: marks go from node to node        |
//     WAVE    twice the same, nobody has anything to do         | else again, a moment later
//     DROP    copies that are not marked go                     | answered by all
//     WAVE    as before
//     FREE    what is not marked is dead                        | answered by all
//     END     blocks may leave again                            | the round is over
//
// A node that cannot go on (the members have changed) says so, and the round is broken off: nothing is freed.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "cluster/collect/participant.h"

namespace jvmc::cluster {

/// All on the I/O thread, but report().
class CollectCoordinator {
 public:
  /// `participant`: this node's, for the numbers of rounds led by others.
  CollectCoordinator(ControlChannel& control, const Participant& participant)
      : control_(control), participant_(participant) {}

  /// Zeal: a round begins so many nanoseconds after the last one. 0: only when asked for.
  void start(int64_t everyNanos);
  void stop() { stopped_ = true; }
  /// Somebody needs a round that begins from now on; `atOnce`: without a rest after the last one.
  void wanted(bool atOnce);

  /// A round is under way that this node leads: it must not leave the program before the end. Any thread.
  bool leads() const { return leads_; }

  void report(const StatSink& sink) const;

 private:
  struct Round;
  using RoundPtr = std::shared_ptr<Round>;
  /// What all nodes have answered, summed up; `ok` and `idle` only if each is.
  using Next = std::function<void(const CollectReply& sum)>;

  void beginRound();
  void step(const RoundPtr& round, CollectMessage kind, Next next);
  /// Goes on with `next` when nothing is left to do anywhere.
  void awaitQuiet(const RoundPtr& round, std::optional<CollectReply> before, std::function<void()> next);
  bool mayLead() const;
  void free(const RoundPtr& round);
  void over(const RoundPtr& round, bool isComplete);
  void schedule();

  ControlChannel& control_;
  const Participant& participant_;
  std::atomic<bool> stopped_{false};
  int64_t everyNanos_ = 0;
  bool scheduled_ = false;
  RoundPtr running_;
  std::atomic<bool> leads_{false};
  bool wantedAgain_ = false;
  bool atOnceAgain_ = false;
  int64_t notBefore_ = 0;  ///< when the next round may begin: rounds take a part of the time only
  Counter rounds_{0}, broken_{0}, waves_{0}, deadBytes_{0};
  LatencyHistogram nanos_;
};

}  // namespace jvmc::cluster
