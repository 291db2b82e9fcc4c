// Moves threads between nodes. Protocol and commit point: docs/internals/migration.md.
//
//   source                                        target
//   Settling   waits until no flush and no request of the thread is on its way
//   Queued     waits for a credit of the target
//   Sent       ---- SHIP(thread, incarnation, image) ---->   decodes, checks, adopts: the thread runs
//              <--- accepted | refused, credits ----------
//   gone       (accepted)   or   back here with incarnation + 1 (refused)   or   lost with the target (no answer)
//
// The commit point is the sending: from then on the source never runs the thread again unless the target has refused it
// in so many words. The scheduler has given the thread a new incarnation before ship(). A thread therefore runs at one
// place at every moment; (thread, incarnation) tells duplicates.
#pragma once

#include <array>
#include <deque>
#include <map>

#include "cluster/migration/thread_placer.h"
#include "cluster/migration/thread_router.h"

namespace jvmc::cluster {

struct MigrationStats {
  static constexpr size_t kWaits = size_t(rt::WaitKind::Yield) + 1;

  Counter movesOut{0}, movesIn{0}, refusals{0}, duplicates{0}, bytesOut{0}, bytesIn{0};
  std::array<Counter, kWaits> outByWait{};  ///< by WaitKind: what the threads sent from here waited for meanwhile
  LatencyHistogram settleNanos;             ///< from ship() to sending
  LatencyHistogram wireNanos;               ///< from sending to arrival; only where both nodes share a machine's clock
  LatencyHistogram resumeNanos;             ///< from arrival to the scheduler
  LatencyHistogram ackNanos;                ///< from sending to the answer

  void report(const StatSink& sink) const;
};

/// Thread-safe.
class ThreadMigrator final : public rt::ThreadShipper {
 public:
  ThreadMigrator(ThreadHost& host, NodeNet& net, ThreadRouter& router, const HomeMap& homes);

  /// A new thread may begin at this node: then its home learns so.
  void ship(std::unique_ptr<rt::GuestThread> thread, NodeId target) override;
  NodeId placeNewThread(std::span<const ObjectRef> uses) override;
  NodeId nextNode() override { return net_.nextPlace(); }

  /// From now on arriving threads are refused and none is sent away: the node is about to end.
  void close() { closed_ = true; }

  /// A message on Channel::Threads; the router's too.
  void handleMessage(const Bytes& payload, Responder& responder);

  /// Visits threads that ship() has taken and that have not been sent, or may come back: their references are roots of
  /// the local collector. World stopped.
  void forEachLeaving(const std::function<void(const rt::GuestThread&)>& visit) const;
  const MigrationStats& stats() const { return stats_; }
  /// Decides where new threads begin.
  ThreadPlacer& placer() { return placer_; }
  /// The last move that did not come about, and why; empty if there was none.
  std::string lastRefusal() const;
  /// Threads that are on their way from here: "name -> node", for errors and `inspect`.
  std::vector<std::string> inTransit() const;
  /// How many they are.
  size_t onTheirWay() const;

 private:
  /// How many threads a target lets each source have on its way, granted once at the start.
  static constexpr uint32_t kCredits = 64;

  struct Transfer {
    std::unique_ptr<rt::GuestThread> thread;
    NodeId target;
    int64_t begun = 0;
  };
  struct Lane {
    uint32_t credits = kCredits;
    std::deque<Transfer> queued;
  };
  struct Sent {
    std::unique_ptr<rt::GuestThread> thread;  ///< a copy that runs again only after a refusal
    NodeId target;
    int64_t sentNanos = 0;
  };

  /// A thread and its incarnation. It may have come back and left again before the answer to its first move is here.
  using Departure = std::pair<rt::ThreadId, uint32_t>;

  void begin(std::unique_ptr<rt::GuestThread> thread);
  void handleShip(ByteReader& in, Responder& responder);
  void pump(NodeId target);
  void commit(Transfer transfer);
  void answered(Departure departure, Result<Bytes> reply);
  void takeBack(Sent sent, const std::string& reason);
  MoveOutcome receive(const ShipHead& head, std::span<const uint8_t> image, std::string& reason);

  ThreadHost& host_;
  NodeNet& net_;
  ThreadRouter& router_;
  const NodeId self_;
  const HomeMap& homes_;
  ThreadPlacer placer_;
  std::atomic<bool> closed_{false};
  std::map<NodeId, Lane> lanes_;  ///< I/O thread only
  mutable std::mutex mutex_;
  std::unordered_map<rt::ThreadId, const rt::GuestThread*> leaving_;  ///< from ship() until sent
  std::string lastRefusal_;
  std::map<Departure, Sent> sent_;  ///< not answered yet
  MigrationStats stats_;
};

}  // namespace jvmc::cluster
