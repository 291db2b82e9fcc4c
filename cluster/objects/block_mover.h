// Moves homes: a group of blocks (rt::BlockGroup) goes to another node while all nodes go on using the objects in it.
//
//     source                                                        target
//     world stopped: withdraw from the heap, epochs := invalid
//       Leaving    local threads that need a block wait, requests of others are served
//       until no thread relies on a check from before  ("quiet")
//       PREPARE ------------------------------------------------->  Incoming: new transactions wait,
//                  <------------------------------------- ready     those in flight have ended
//       Sent       whoever asks is sent on
//       BLOCKS  --- objects, locks, waiters --------------------->  merged into what threads here have written,
//                  <-------------------------------------- done     epochs := HOME, clock ticks, Settled
//     memory given back, Settled
//
// *Quiet.* A thread that has passed a check may rely on it until its next poll. Threads that stood in a poll when the
// world stopped rely on nothing; all others must reach one, or give up their fiber, before the blocks may leave. Such a
// thread may meet a withdrawn block before it polls, and must not wait for a move that waits for it: it *revokes* the
// group, which then stays. Every other thread waits for the move; by then nothing but messages is outstanding.
//
// One mover thread a node; one batch at a time. The target never waits for its own threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <set>
#include <thread>

#include "cluster/objects/messages.h"
#include "cluster/objects/space_core.h"
#include "runtime/heap/heap.h"

namespace jvmc::cluster {

/// What moving needs of the node besides SpaceHost. Unless it says otherwise, callers are inside accessGuest().
class BlockHost {
 public:
  virtual ~BlockHost() = default;

  /// Any runtime thread, outside accessGuest().
  virtual void stopWorld(const std::function<void()>& body) = 0;
  /// World stopped: ThreadContext::interval of each thread that may rely on a check.
  virtual std::set<uint64_t> unquietIntervals() = 0;
  /// World stopped: addresses of the blocks that the stacks of threads that await memory refer to. Such a thread counts
  /// as quiet, and goes on relying on checks of what it refers to (rt::MemoryRelief).
  virtual std::set<uint64_t> heldBlocks() = 0;
  /// Makes every thread poll soon. Any thread.
  virtual void pollAll() = 0;

  /// World stopped. See rt::Heap.
  virtual std::vector<rt::BlockGroup> withdraw(uint64_t bytes) = 0;
  virtual void restore(const rt::BlockGroup& group) = 0;
  virtual void forEachObject(const rt::BlockGroup& group, const std::function<void(ObjectRef)>& visit) = 0;
  virtual void giveAway(const rt::BlockGroup& group) = 0;
  virtual void adopt(const rt::BlockGroup& group, const std::vector<ObjectRef>& objects) = 0;
  virtual bool hasRoomFor(uint64_t bytes) = 0;

  /// What the home knows about an object besides its bytes (inflated monitors, waiters, whereabouts of a thread), taken
  /// away from here; empty if there is nothing.
  virtual Bytes takeHomeState(ObjectRef object) = 0;
  virtual bool putHomeState(ObjectRef object, std::span<const uint8_t> state) = 0;
};

/// How a request to move ended.
struct MoveResult {
  uint64_t bytes = 0;    ///< of blocks that have a new home
  uint64_t groups = 0;   ///< of these
  uint64_t revoked = 0;  ///< groups that stayed because a thread needed them at once
  Error refusal;         ///< the target had no room; empty otherwise
};

/// Thread-safe.
class BlockMover {
 public:
  static constexpr uint64_t kBatchBytes = 512 << 10;

  BlockMover(SpaceCore& core, BlockHost& host) : core_(core), host_(host) {}
  ~BlockMover() { stop(); }

  /// Moves at most `bytes` of groups homed here to `target` (at least one group, if there is any). `done` runs on the
  /// mover thread; not at all if the program ends before.
  void move(NodeId target, uint64_t bytes, std::function<void(const MoveResult&)> done);
  /// Ends the mover thread. What it waits for is abandoned; the program is over.
  void stop();

  // -- guest threads, on their fiber
  /// The thread met a block that is Leaving, and the move may be waiting for it.
  bool mustRevoke(const rt::ThreadContext& ctx, ObjectRef object);
  void revoke(ObjectRef object);

  // -- messages, on the I/O thread
  void handlePrepare(NodeId from, std::span<const uint8_t> payload, std::shared_ptr<Responder> responder);
  void handleBlocks(NodeId from, std::span<const uint8_t> payload, Responder& responder);

 private:
  struct Request {
    NodeId target;
    uint64_t bytes;
    std::function<void(const MoveResult&)> done;
  };
  /// A group on its way out.
  struct Leaving {
    rt::BlockGroup group;
    uint32_t moves;  ///< of the block before this one
  };
  struct Drain;

  void run();
  MoveResult carryOut(const Request& request);
  bool withdraw(uint64_t bytes);
  bool awaitQuiet();
  bool prepare(NodeId target, MoveResult& result);
  bool ship(NodeId target);
  void finish(NodeId target, MoveResult& result);
  void restoreAll();
  void restore(const Leaving& leaving);
  void encodeGroup(ByteWriter& out, const Leaving& leaving);
  const char* install(NodeId from, ByteReader& in);
  const char* installObject(const rt::BlockGroup& group, uint64_t& end, ByteReader& in,
                            std::vector<ObjectRef>& objects);
  /// Waits on the mover thread for a reply; nullopt if the mover stops.
  std::optional<Result<Bytes>> ask(NodeId target, Bytes message);

  SpaceCore& core_;
  BlockHost& host_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> requests_;
  std::thread thread_;
  bool stopping_ = false;
  // The batch under way.
  std::vector<Leaving> batch_;
  std::set<uint64_t> unquiet_;  ///< intervals that must end; revoking is over when it is empty
  uint64_t revoked_ = 0;
};

}  // namespace jvmc::cluster
