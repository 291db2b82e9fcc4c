// Synchronisation at the home of an object: monitors, volatile and atomic access, the life of Thread objects, class
// initialisation. A state machine without threads or I/O of its own: a request goes in, an answer comes out at once or,
// when the thread must wait, later as mail with the request's ticket. Design: docs/internals/monitors.md.
//
// A monitor is a lock word (abi/object.h) until two threads meet:
//
//     free --CAS--> thin(owner, count) --CAS--> inflated --store--> free
//       ^______________|                           owner, entry queue, wait set live in the table here
//
// Free and thin words are changed by compiled code on other cores at any time, so every change here is a CAS as well;
// an inflated word is changed under the shard's mutex only. An inflated monitor is handed over: whoever exits makes one
// in the entry queue the owner. It deflates when nobody owns it, enters or waits.
//
// The monitor alone may be *lent* to another node whose threads enter it again and again: its queues go there, and what
// others ask of it here waits until it has been called back (lending.cpp).
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/object_space.h"
#include "runtime/sync/sync_state.h"
#include "runtime/sync/waiters.h"
#include "runtime/timers.h"

namespace jvmc::rt {

/// Thread-safe. No call reaches a safepoint, allocates guest memory or blocks for longer than a table look-up.
class SyncHome final : private Timers::Sink {
 public:
  /// Carries monitors to other nodes and back. Called without locks, from any thread; what it is told may be out of
  /// date when it acts, so it asks again (lend(), giveBack()).
  class Lender {
   public:
    virtual ~Lender() = default;
    /// `node` would enter the monitor, homed here, many times.
    virtual void shouldLend(ObjectRef object, NodeId node) = 0;
    /// Somebody else needs the monitor that is lent to `node`. `urgent`: as it is.
    virtual void recall(ObjectRef object, NodeId node, bool urgent) = 0;
    /// The borrowed monitor has served its turn here.
    virtual void shouldGiveBack(ObjectRef object) = 0;
  };

  struct Ports {
    ThreadPost& post;
    Timers& timers;                ///< stopped (Scheduler::stopAll) before the SyncHome goes
    std::atomic<uint64_t>& clock;  ///< the node's; ticked before a remote release takes effect
    uint32_t threadStateOffset;    ///< of Thread's field builtin::kThreadState
    /// Runs before a reference is stored into `object`; may be empty.
    std::function<void(ObjectRef object, uint32_t offset, ObjectRef value)> storeBarrier;
    NodeId self{0};
  };
  explicit SyncHome(Ports ports) : ports_(std::move(ports)) {}
  /// Monitors may be lent from now on. Called before anything else.
  void lendBy(Lender& lender) { lender_ = &lender; }

  /// Carries out `request` on an object whose home this node is; the caller keeps it from moving meanwhile. `from`: the
  /// other node that asks, whose writes have arrived; invalid: this one. Every operation but Unpark, Interrupt and
  /// IsInterrupted, which are mail to a thread. nullopt: the thread waits, the answer is mailed to it.
  std::optional<Resumption> handle(const SyncRequest& request, NodeId from = {});

  /// Takes the state of an object whose home moves away (its timers stop), or puts that of one that has arrived.
  /// Between the two nobody calls handle() for the object. The lock word moves with the object's bytes.
  SyncState take(ObjectRef object);
  void put(ObjectRef object, const SyncState& state);

  // -- monitors away from home; the Lender's. `served`: how often threads of the borrower have entered it.
  /// The monitor of an object homed here goes to `node`; nullopt if it should rather stay.
  std::optional<SyncState> lend(ObjectRef object, NodeId node);
  /// It has come back.
  void takeBack(ObjectRef object, const SyncState& state, uint32_t served);
  /// The node that has it; invalid: it is at home, which is here.
  NodeId lentTo(ObjectRef object) const;
  /// All that are lent.
  std::vector<std::pair<ObjectRef, NodeId>> lent() const;

  /// Another node's monitor is here.
  void borrow(ObjectRef object, const SyncState& state);
  bool hasBorrowed(ObjectRef object) const;
  /// An operation on a borrowed monitor by a thread of this node. Nothing if it is not here any more.
  struct Borrowed {
    bool isHere = false;
    std::optional<Resumption> answer{};  ///< as of handle()
  };
  Borrowed handleBorrowed(const SyncRequest& request);
  /// Somebody else needs it: it goes when its turn is over.
  void callBack(ObjectRef object);
  struct GivenBack {
    SyncState state;
    uint32_t served = 0;
  };
  std::optional<GivenBack> giveBack(ObjectRef object);
  /// How often a borrowed monitor has been entered here; nullopt if somebody owns it, enters or waits.
  std::optional<uint32_t> servedIfUnused(ObjectRef object) const;
  /// All that are here.
  std::vector<ObjectRef> borrowed() const;

  /// Objects that monitors, joins and initialisations are about, and the Thread objects of those who wait.
  void visitRoots(const std::function<void(ObjectRef)>& visit) const;

  /// The state of every object that somebody waits for or whose monitor is inflated, as it is now; nothing is taken.
  std::vector<std::pair<ObjectRef, SyncState>> states() const;
  /// One line: how many monitors are inflated, how many threads wait.
  std::string describe() const;

 private:
  struct Awaiting {
    SyncRequest request;
    NodeId from;
  };
  enum class Place : uint8_t { Home, Lent, Borrowed };
  struct Monitor {
    ThreadId owner = 0;
    uint32_t count = 0;  // recursion beyond the first entry
    WaiterQueue entering, waiting;

    // -- turns of nodes (lending.cpp)
    NodeId holder;              // of whose threads the last owner was
    int64_t turnEnds = 0;       // the holder's
    int64_t lastExit = 0;       // of a thread here, while others waited
    uint32_t quickEntries = 0;  // in succession, by threads here soon after an exit here
    bool lingers = false;       // nobody owns it, and others wait
    bool timerRuns = false;     // of lingering
    Place place = Place::Home;
    bool recalled = false;  // Lent: it has been called back; Borrowed: somebody else needs it
    uint32_t served = 0;    // Borrowed: entries
    NodeId lentTo;
    std::vector<Awaiting> awaiting;  // Lent: what has been asked for here meanwhile
  };
  /// How a remote node uses a monitor.
  struct Interest {
    NodeId node;
    uint32_t run = 0;                // entries in succession
    uint32_t skip = 0, backoff = 0;  // of occasions to lend, since loans were in vain
  };
  /// A thread elsewhere that waits for a volatile to change (spinning.cpp).
  struct Spinner {
    ThreadRef thread;
    uint64_t ticket;
    uint32_t offset, sizeLog2;
    uint64_t value;        // that it has seen
    int64_t since, until;  // when it is answered in any case
  };
  struct Spinning {
    std::vector<Spinner> threads;  // those that came first in front
    bool timerRuns = false;
  };
  struct ClassInit {
    ClassInitState state = ClassInitState::None;
    ThreadId runner = 0;
    WaiterQueue waiting;
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    WaiterTable waiters;
    std::unordered_map<ObjectRef, Monitor> monitors;  // of inflated lock words
    std::unordered_map<ObjectRef, WaiterQueue> joins;
    std::unordered_map<ObjectRef, ClassInit> classInits;
    std::unordered_map<ObjectRef, Interest> interests;
    std::unordered_map<ObjectRef, Spinning> spinning;
    uint32_t lent = 0, borrowed = 0;  // of `monitors`
  };
  using Answer = std::optional<Resumption>;
  class Session;  // one operation under a shard's mutex, and the mail it leaves behind

  static constexpr int kShardBits = 6;
  Shard& shardOf(ObjectRef object) const { return shards_[(object >> 3) * 0x9E37'79B9'7F4A'7C15 >> (64 - kShardBits)]; }
  Resumption accessField(const SyncRequest& request);
  /// What a timer without a thread is for: the end of lingering, or this.
  static constexpr uint64_t kLooksForChange = 1;
  void onTimer(uint64_t object, uint64_t thread, uint64_t ticket) override;

  Ports ports_;
  Lender* lender_ = nullptr;  ///< null: monitors stay at home
  mutable std::array<Shard, 1 << kShardBits> shards_;
  std::atomic<uint32_t> borrowedCount_{0};
  std::atomic<uint32_t> spinners_{0};
};

}  // namespace jvmc::rt
