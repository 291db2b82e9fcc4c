// Moves homes: a group of blocks (rt::BlockGroup) goes to another node while all nodes go on using the objects in it.
//
//     source                                                        target
//     world stopped: a window of groups that no thread
//     relies on is withdrawn from the heap, epochs := invalid
//       Leaving    local threads that need a block take it back
//                  or wait, requests of others are served
//     for each chunk of the window, several on their way at a time:
//       PREPARE ------------------------------------------------->  Incoming: new transactions wait,
//                  <------------------------------------- ready     those in flight have ended
//       Sent       whoever asks is sent on
//       BLOCKS  --- objects, locks, waiters --------------------->  merged into what threads here have written,
//                  <-------------------------------------- done     epochs := HOME, clock ticks, Settled
//     memory given back, Settled
//
// A thread that has passed a check may rely on it until its next poll. Threads that stand in a poll when the world
// stops rely on nothing; what others may rely on stays (BlockHost::heldBlocks). So no thread is waited for.
//
// Who needs a block that is Leaving may wait: what it waits for is nothing but messages. It need not before the block's
// chunk is under way: it takes the group back, once, and the group stays. So the world is stopped once a window, while
// nobody waits for more than some chunks.
//
// The mover thread withdraws windows and sends chunks off; what answers bring about happens on the I/O thread. So the
// next window is withdrawn while chunks of the last are on their way. The target's side: block_arrivals.h.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <set>

#include "cluster/objects/block_host.h"
#include "cluster/objects/flusher.h"
#include "cluster/objects/leases.h"
#include "cluster/objects/messages.h"
#include "cluster/objects/monitor_loans.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// How a request to move ended.
struct MoveResult {
  uint64_t bytes = 0;    ///< of blocks that have a new home
  uint64_t groups = 0;   ///< of these
  uint64_t revoked = 0;  ///< groups that stayed because a thread needed them
  Error refusal;         ///< no target had room; empty otherwise
};

/// Thread-safe.
class BlockMover {
 public:
  BlockMover(SpaceCore& core, Flusher& flusher, const MonitorLoans& loans, Leases& leases, BlockHost& host)
      : core_(core), flusher_(flusher), loans_(loans), leases_(leases), host_(host), thread_(host.makeThread()) {}
  ~BlockMover() { stop(); }

  /// A group is on its way: at the target who needs it waits for it. On the I/O thread.
  using OnItsWay = std::function<void(const rt::BlockGroup&, NodeId target)>;

  /// Moves at most `bytes` of groups homed here (at least one group, if there is any) to the targets, in turns: while
  /// one takes in what has come, the next receives. One that has no more room is left out. `done` runs on the mover
  /// thread; not at all if the program ends before. `only`, if it is not empty: addresses of the blocks that may move.
  void move(std::vector<NodeId> targets, uint64_t bytes, std::function<void(const MoveResult&)> done,
            std::set<uint64_t> only = {}, OnItsWay onItsWay = {});
  /// Runs `body` on the mover thread, the world stopped; with the blocks that threads rely on. Not at all if the
  /// program ends before.
  using InStop = std::function<void(const std::set<uint64_t>& held)>;
  void whileStopped(InStop body);
  /// Ends the mover thread. What it waits for is abandoned; the program is over.
  void stop();

  /// The thread, on its fiber, met a block that is not settled. True: the block stays. False: wait for the move.
  bool takeBack(ObjectRef object);

  /// From now on nothing is withdrawn, and what has been and is not under way stays: soon isStill(). Requests wait for
  /// resume().
  void hold();
  void resume();
  /// While held: no block is about to leave, or on its way from here without being confirmed.
  bool isStill() const;

 private:
  struct Request {
    std::vector<NodeId> targets;
    uint64_t bytes;
    std::function<void(const MoveResult&)> done;
    std::set<uint64_t> only;
    OnItsWay onItsWay;
    InStop inStop;  ///< then this is all that is asked for
  };
  struct Target {
    NodeId node;
    size_t chunksOnTheirWay = 0;
  };
  /// A group on its way out.
  struct Leaving {
    rt::BlockGroup group;
    uint32_t moves;  ///< of the block before this one
    uint64_t bytes;  ///< of its objects
  };
  /// Groups that travel together. Of the I/O thread alone once it is under way.
  struct Chunk {
    NodeId target;
    std::vector<Leaving> groups;
    OnItsWay onItsWay;  ///< of the request
    uint64_t bytes = 0;
    int64_t since = 0;  ///< when it was sent off; local threads that need its blocks wait from then on
  };

  // -- mover thread
  void run();
  void enqueueLocked(Request request);
  bool isHeldBack() const;
  MoveResult carryOut(const Request& request);
  bool sendWindows(const Request& request);
  uint64_t bytesWanted(const Request& request);
  std::set<uint64_t> reliedOn() const;
  bool withdraw(uint64_t bytes, const std::set<uint64_t>& only);
  void awaitDeferred();
  bool sendWindow(const Request& request);
  std::shared_ptr<Chunk> cutChunk(const Request& request);
  Target& nextTarget();
  void sendOff(const std::shared_ptr<Chunk>& chunk);
  void restoreWindow();
  // -- I/O thread
  void ship(const std::shared_ptr<Chunk>& chunk);
  void refuse(Chunk& chunk, Error why);
  void finish(Chunk& chunk, bool waitedFor);
  void noLongerOnItsWay(const Chunk& chunk);
  uint64_t invalidate(const rt::BlockGroup& group);
  void restore(const Leaving& leaving, BlockGates::Ready& ready);

  SpaceCore& core_;
  Flusher& flusher_;
  const MonitorLoans& loans_;
  Leases& leases_;
  BlockHost& host_;
  mutable std::mutex mutex_;
  std::deque<Request> requests_;
  const std::unique_ptr<HelperThread> thread_;
  bool started_ = false;
  bool stopping_ = false;
  bool held_ = false;
  // The request under way.
  MoveResult result_;
  std::vector<Target> targets_;   ///< that have not refused
  size_t mostOnTheirWay_ = 0;     ///< chunks
  std::vector<Leaving> window_;   ///< withdrawn and not under way yet; the last ones go first
  std::set<uint64_t> takenBack_;  ///< blocks that somebody preferred not to wait for; once each
  size_t chunksOnTheirWay_ = 0;
  uint64_t bytesOnTheirWay_ = 0;
  uint64_t chunkBytes_ = 0;  ///< of the next chunk, unless this node is about to leave
  // Of the mover thread.
  uint64_t windowBytes_ = 0;       ///< how much to withdraw at a time
  int64_t shortestStopNanos_ = 0;  ///< of the request under way
};

}  // namespace jvmc::cluster
