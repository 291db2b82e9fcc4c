// The port between a node and the global object space. A node alone uses LocalObjectSpace (every object is home); the
// cluster layer implements home-based lazy release consistency behind the same calls. Design:
// docs/internals/object_space.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "runtime/thread.h"

namespace jvmc::rt {

/// An operation that runs at the home of `object`, where it is atomic with all others on that object.
enum class SyncOp : uint8_t {
  MonitorEnter,
  MonitorExit,
  MonitorWait,
  MonitorNotify,
  MonitorNotifyAll,
  CancelWait,   ///< the waiter was interrupted: ticket in `a`
  Atomic,       ///< atomicOp, offset, sizeLog2, a, b
  ThreadStart,  ///< object = Thread: 0 new -> 1 alive, or Throw IllegalThread
  ThreadEnd,    ///< object = Thread: 1 -> 2, wakes joiners
  ThreadJoin,   ///< value 1 when ended
  ThreadIsAlive,
  ClassInitBegin,  ///< object = statics object, a = ClassId; value: see ClassInitAnswer
  ClassInitEnd,    ///< a = ClassId, b = 1 ok, 0 failed
  Unpark,
  Interrupt,
  IsInterrupted,  ///< object = Thread: mail to the thread, wherever it is
};

enum ClassInitAnswer : uint64_t { kClassInitDone = 0, kClassInitRunIt = 1, kClassInitRecursive = 2 };

struct SyncRequest {
  SyncOp op;
  ThreadRef thread;     ///< who asks
  uint64_t ticket = 0;  ///< the answer carries it back
  ObjectRef object = kNullRef;
  int64_t nanos = 0;  ///< timeout, 0 = none; decided at the home
  AtomicOp atomicOp = AtomicOp::Load;
  uint32_t offset = 0;
  uint32_t sizeLog2 = 0;
  bool isReference = false;  ///< Atomic: a and b are references
  bool isElement = false;    ///< Atomic: of an array, whose elements may be read plainly as well
  uint64_t a = 0, b = 0;

  bool isRelease() const;  ///< the thread's writes must be home and acknowledged before it is carried out
  bool isAcquire() const;
  /// The thread may have to wait for somebody else: its home keeps it in a queue then.
  bool mayWait() const;
  /// About the object's monitor, which may be away from home (sync/lending.cpp).
  bool isOnMonitor() const;
};

/// What goes to a thread wherever it is. Follows moves; order between two mails is not kept.
struct ThreadMail {
  enum class Kind : uint8_t { Answer, Interrupt, Unpark, QueryInterrupted, Migrate, Pin, Unpin } kind;
  uint64_t ticket = 0;  ///< Answer; Interrupt and QueryInterrupted: the asker's
  Resumption answer;    ///< Answer
  ThreadRef asker;      ///< Interrupt and QueryInterrupted
  NodeId target;        ///< Migrate; Pin: where to, if it is valid and not the thread's node

  /// Who gets it knows that something has happened before.
  bool isNews() const { return kind != Kind::Migrate && kind != Kind::Pin && kind != Kind::Unpin; }
  /// The asker waits until the mail has arrived: who has interrupted a thread finds it interrupted.
  bool isQuestion() const { return kind == Kind::Interrupt || kind == Kind::QueryInterrupted; }
  /// The answer to a question. Who learns that a thread is interrupted sees what the interrupter wrote before.
  ThreadMail reply(bool interrupted) const;
};

/// Mutator side. Called on the guest thread's own fiber, with its context; null never reaches it.
class ObjectSpace {
 public:
  virtual ~ObjectSpace() = default;

  // -- slow paths of coherence markers: may suspend the fiber, never unwind, never collect, hold no lock meanwhile.
  virtual void checkRead(ThreadContext&, ObjectRef) = 0;
  virtual void checkWrite(ThreadContext&, ObjectRef) = 0;
  /// The same of elements [low, high) of an array, 0 <= low < high <= length. Of one that is kept in chunks the two
  /// above make class and length valid only.
  virtual void checkElementsRead(ThreadContext&, ObjectRef array, uint32_t low, uint32_t high) = 0;
  virtual void checkElementsWrite(ThreadContext&, ObjectRef array, uint32_t low, uint32_t high) = 0;
  /// For ThreadContext::chunkStates; 0 if no array is ever kept in chunks.
  virtual uint64_t chunkStates() { return 0; }
  /// Returns when all that the thread has written is home (freeze). It stays a writer of what it has joined, so checks
  /// made before still hold.
  virtual void publish(ThreadContext&) = 0;
  /// True if writes that threads have released to others of this node are not home yet: then publish() brings them,
  /// too.
  virtual bool owesWrites() const = 0;

  /// Carries `request` out at its home: flushes the thread's writes first if it is a release. An answer at once, or
  /// nullopt: the caller parks the thread (Capture), and the answer comes as mail with request.ticket, perhaps before
  /// the thread has finished parking. The thread may move meanwhile.
  virtual std::optional<Resumption> submit(ThreadContext&, const SyncRequest& request) = 0;

  /// Carries out a request that releases nothing and awaits no answer at once (CancelWait), on behalf of a thread that
  /// does not run. Any thread; never blocks; answers come as mail.
  virtual void post(const SyncRequest& request) = 0;

  /// Makes the thread see what was released before: renews ctx.epoch (`remote`: ticks the node clock first).
  virtual void acquire(ThreadContext&, bool remote) = 0;

  /// Flushes the thread's writes: true if that is done at once (nothing dirty), else the thread must park, and an
  /// Answer mail (value ignored) comes with `ticket`. Used by fence, sleep, park, yield and before a move.
  virtual bool release(ThreadContext&, uint64_t ticket) = 0;

  /// The thread stands in a poll: it relies on no check. May suspend the fiber, as the slow paths of markers may.
  virtual void standsInPoll(ThreadContext&) = 0;

  /// True if this node is the home of `object` now (only a hint unless the caller stops moves).
  virtual bool isHome(ObjectRef object) const = 0;
  /// Called for every reference that leaves the node in any message.
  virtual void exportReference(ObjectRef object) = 0;
  /// Visits references in dirty cached copies: roots of the local collector. World stopped.
  virtual void visitRoots(const std::function<void(ObjectRef)>& visit) = 0;
  /// True if a program on this node needs coherence checks.
  virtual bool checked() const = 0;
};

/// Sends mail to threads. The local implementation knows this node's threads only.
class ThreadPost {
 public:
  virtual ~ThreadPost() = default;
  /// Any thread; never blocks.
  virtual void send(const ThreadRef& to, const ThreadMail& mail) = 0;
};

/// Takes threads that must leave. `thread` is Parked or captured, its writes flushed; ownership passes with the call.
class ThreadShipper {
 public:
  virtual ~ThreadShipper() = default;
  virtual void ship(std::unique_ptr<GuestThread> thread, NodeId target) = 0;
  /// Where a thread that starts now should run: this node (invalid) or another. `uses`: objects that it is given, null
  /// not among them. Called on the starting thread's fiber.
  virtual NodeId placeNewThread(std::span<const ObjectRef> uses) = 0;
  /// Going there again and again leads round all nodes that take threads. This node if there is no other.
  virtual NodeId nextNode() = 0;
};

/// Gives regions of the address plan to this node's heap.
class RegionSource {
 public:
  virtual ~RegionSource() = default;
  /// A region that this node is now home of; nullopt if the plan is exhausted. May block a worker for a round trip.
  virtual std::optional<uint32_t> lease() = 0;
};

}  // namespace jvmc::rt
