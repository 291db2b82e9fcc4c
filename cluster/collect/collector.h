// Cluster-wide collection of exported garbage, as the node's services use it: this node's part, its lead while it is
// the leader, and the question whether a round is due.
#pragma once

#include "cluster/collect/coordinator.h"

namespace jvmc::cluster {

/// Whether this node has so much that only all together may find dead that a round is due.
class DueRounds {
 public:
  explicit DueRounds(const rt::Heap& heap) : heap_(heap) {}
  /// To be asked now and then, by one thread. `completed`: rounds that have come to their end here.
  bool operator()(uint64_t completed);

 private:
  const rt::Heap& heap_;
  uint64_t seen_ = 0;                      ///< rounds
  uint64_t baseline_ = 0;                  ///< bytes that the first marking after the last round has found alive
  std::optional<uint64_t> baselineAfter_;  ///< the marking before that one, while it has not ended
};

/// Thread-safe unless it says otherwise. Takes ControlKind::Collect of `control`.
class ClusterCollector {
 public:
  /// `moreRoots`: Participant. `isDue`: as DueRounds, on the I/O thread.
  ClusterCollector(ControlChannel& control, ClusterObjectSpace& space, BlockHost& blocks, rt::Traceable& heap,
                   std::function<void(rt::Trace&)> moreRoots, std::function<bool(uint64_t completed)> isDue);

  /// Rounds begin when they are due. `everyMillis`, if it is not 0 (zeal): and so long after the last one.
  void start(uint64_t everyMillis);
  bool isOn() const { return isOn_; }
  void stop();

  /// Asks for a round that begins from now on: soon, or at once although the last one has only just ended.
  void request(bool atOnce);
  /// Rounds that had come to their end here when the first one that request() may have begun has: completedRounds() of
  /// then.
  uint64_t completedRounds() const { return participant_.completedRounds(); }

  /// CollectCoordinator::leads().
  bool leads() const { return coordinator_.leads(); }
  void report(const StatSink& sink) const;
  /// One line for `inspect`; empty before the first round.
  std::string describe() const;

 private:
  void handle(NodeId from, const Bytes& payload, std::shared_ptr<Responder> responder);
  void look();

  ControlChannel& control_;
  const std::function<bool(uint64_t)> isDue_;
  Participant participant_;
  CollectCoordinator coordinator_;
  std::atomic<bool> isOn_{false};
  std::atomic<bool> stopped_{false};
};

}  // namespace jvmc::cluster
