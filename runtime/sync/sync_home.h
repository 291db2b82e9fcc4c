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
// an inflated word is changed under the shard's mutex only. An inflated monitor is handed over: whoever exits makes the
// first in the entry queue the owner, so an unowned monitor has an empty entry queue and nobody overtakes. It deflates
// when nobody owns it, enters or waits.
#pragma once

#include <array>
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
  struct Ports {
    ThreadPost& post;
    Timers& timers;                ///< stopped (Scheduler::stopAll) before the SyncHome goes
    std::atomic<uint64_t>& clock;  ///< the node's; ticked before a remote release takes effect
    uint32_t threadStateOffset;    ///< of Thread's field builtin::kThreadState
    /// Runs before a reference is stored into `object`; may be empty.
    std::function<void(ObjectRef object, uint32_t offset, ObjectRef value)> storeBarrier;
  };
  explicit SyncHome(Ports ports) : ports_(std::move(ports)) {}

  /// Carries out `request` on an object whose home this node is; the caller keeps it from moving meanwhile. `remote`:
  /// the request came from another node; its writes have arrived. Every operation but Unpark, Interrupt and
  /// IsInterrupted, which are mail to a thread. nullopt: the thread waits, the answer is mailed to it.
  std::optional<Resumption> handle(const SyncRequest& request, bool remote);

  /// Takes the state of an object whose home moves away (its timers stop), or puts that of one that has arrived.
  /// Between the two nobody calls handle() for the object. The lock word moves with the object's bytes.
  SyncState take(ObjectRef object);
  void put(ObjectRef object, const SyncState& state);

  /// Objects that monitors, joins and initialisations are about, and the Thread objects of those who wait.
  void visitRoots(const std::function<void(ObjectRef)>& visit) const;

  /// The state of every object that somebody waits for or whose monitor is inflated, as it is now; nothing is taken.
  std::vector<std::pair<ObjectRef, SyncState>> states() const;
  /// One line: how many monitors are inflated, how many threads wait.
  std::string describe() const;

 private:
  struct Monitor {
    ThreadId owner = 0;
    uint32_t count = 0;  // recursion beyond the first entry
    WaiterQueue entering, waiting;
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
  };
  using Answer = std::optional<Resumption>;
  class Session;  // one operation under a shard's mutex, and the mail it leaves behind

  static constexpr int kShardBits = 6;
  Shard& shardOf(ObjectRef object) const { return shards_[(object >> 3) * 0x9E37'79B9'7F4A'7C15 >> (64 - kShardBits)]; }
  Resumption accessField(const SyncRequest& request);
  void onTimer(uint64_t object, uint64_t thread, uint64_t ticket) override;

  Ports ports_;
  mutable std::array<Shard, 1 << kShardBits> shards_;
};

}  // namespace jvmc::rt
