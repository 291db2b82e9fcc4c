// Keeps a node within its memory limit, together with the others.
//
//     guest thread     heap full after a collection -> awaitMemory: suspends
//     keeper thread    asks all nodes for room, moves blocks to those that have it   -> tries again
//                      nobody has any: the nodes collect together                    -> tries again
//                      that has not helped                                           -> OutOfMemoryError
//     balancer         "give so many bytes to that node": collects, then moves them
//     every 50 ms      heap and copies together beyond the limit: copies are evicted, written ones released first
//
// Blocks that move take all their objects along as exported, and exported garbage is collected only by all nodes
// together; so a collection always comes first.
//
// One keeper thread a node. It waits for other nodes' answers and for its own mover, and answers questions about room
// without waiting for either: while it is looking for room itself, it has none.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "cluster/balance/load.h"
#include "cluster/membership/control_channel.h"
#include "cluster/objects/cluster_object_space.h"
#include "runtime/vm.h"

namespace jvmc::cluster {

class ClusterCollector;

/// Thread-safe.
class MemoryKeeper final : public rt::MemoryRelief {
 public:
  /// `host` suspends and wakes threads of `vm`.
  MemoryKeeper(ControlChannel& control, SpaceHost& host, ClusterObjectSpace& space, rt::Vm& vm, bool evicts,
               ClusterCollector& collector);
  ~MemoryKeeper() override { stop(); }

  void start();
  /// Ends the keeper's thread. Threads that wait are left waiting; the program is over.
  void stop();

  bool awaitMemory(rt::ThreadContext& ctx, uint64_t bytes) override;
  /// The balancer wants blocks to go to another node. Returns at once.
  void give(const BlockGift& gift);
  MemoryLoad load();
  void report(const StatSink& sink) const;

 private:
  struct Waiter {
    rt::ThreadContext* ctx;
    WaitToken token;
    uint64_t bytes;
  };
  struct Question {
    uint64_t bytes;
    std::shared_ptr<Responder> responder;
  };
  struct Room {
    NodeId node;
    uint64_t bytes;
  };

  void run();
  bool hasWork() const { return !waiting_.empty() || !gifts_.empty() || !questions_.empty() || pressed_; }
  void relieve(std::vector<Waiter> waiters);
  bool collectTogether(uint64_t needed);
  uint64_t makeRoom(uint64_t needed, uint64_t wanted);
  std::vector<Room> askForRoom(uint64_t bytes);
  void awaitAnswering(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready);
  /// Waits for the mover; what moved.
  MoveResult move(NodeId to, uint64_t bytes, std::set<uint64_t> only = {});
  void carryOut(const BlockGift& gift);
  void answer(const Question& question);
  uint64_t roomFor(uint64_t bytes);
  void keepCopiesInBounds();

  ControlChannel& control_;
  SpaceHost& host_;
  ClusterObjectSpace& space_;
  rt::Vm& vm_;
  const bool evicts_;
  ClusterCollector& collector_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  bool stopping_ = false;
  bool relieving_ = false;  ///< threads here wait for memory
  bool pressed_ = false;    ///< copies have grown beyond their budget
  bool giving_ = false;
  std::vector<Waiter> waiting_;
  std::map<rt::ThreadContext*, bool> answers_;  ///< for threads that were woken
  std::deque<BlockGift> gifts_;
  std::vector<Question> questions_;
  Counter waits_{0}, collections_{0}, reliefs_{0}, failures_{0}, gives_{0};
};

}  // namespace jvmc::cluster
