// Leases of objects that hardly ever change: the side of the home.
//
// A copy goes stale with each acquire, and is asked for again by hash, which mostly tells that nothing has changed. So
// a home that has answered "the same" often enough makes the object *shared*: whoever asks for it from then on gets a
// lease, a copy that stays fresh over acquires until the home calls it back.
//
//     HOME   --- the world stopped, no thread relies on a check of it --->  SHARED    reads pass, writes come here
//     SHARED --- UNLEASE to each lessee, all have answered ------------>  HOME
//
// Invariant: while another node has a copy that says LEASED, the header at home says SHARED, and the fields do not
// change. So a lease has the content that the home has. What is needed for it:
//   - who asks is entered among the lessees before the image is taken, under the lock under which a recall begins
//   - whoever would change a field waits for the recall: a thread in its slow path, a FLUSH and an operation on a field
//     before anything of them is carried out (the I/O thread puts them aside)
//   - an UNLEASE that comes before the answer that it is about is remembered at the asker (Entry::recalled)
//   - blocks with shared objects do not move; their objects are recalled when a move meets them
// Monitors have nothing to do with it: their state is in no copy. Which check a thread relies on is found as for blocks
// that move (BlockHost::heldBlocks). The header is the truth: an entry here whose object says HOME, or is none any
// more, is forgotten some day. docs/adr/0026.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "cluster/objects/messages.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// Thread-safe. Unless it says otherwise, callers are in guest code, inside accessGuest(), or have stopped the world.
class Leases {
 public:
  explicit Leases(SpaceCore& core) : core_(core) {}

  /// Runs what it is given soon, on a thread of its own, the world stopped; with the blocks that threads rely on.
  using Stopper = std::function<void(std::function<void(const std::set<uint64_t>& held)>)>;
  /// Without it nothing is ever shared.
  void open(Stopper stopper) { stopper_ = std::move(stopper); }

  // -- a node asks; I/O thread
  /// Before the unit's image or hash is taken: whether the answer makes the asker's copy a lease.
  bool grant(NodeId to, const CopyUnit& unit);
  /// It was asked for and not leased. `same`: by REFRESH, and had not changed.
  void noteAsked(const CopyUnit& unit, bool same);
  void noteChanged(ObjectRef object);

  // -- somebody is about to change a field
  /// False: no object here is shared.
  bool any() const { return count_ > 0; }
  static bool isShared(ObjectRef object) {
    const uint64_t word = rt::header(object)->epochWord.load(std::memory_order_acquire);
    return rt::isHomeEpoch(word) && !rt::isWritableHomeEpoch(word);
  }
  /// The same of what a message names, which need not be an object, nor here.
  bool isSharedHere(ObjectRef object);
  /// Calls the leases of the object back. True: `then`, if it is not empty, will run on the I/O thread, inside guest
  /// access, when all are back. False: nobody has any, and it may be written until the world is stopped next.
  bool recall(ObjectRef object, std::function<void()> then);

  /// World stopped: the objects that are shared.
  std::set<ObjectRef> shared();

 private:
  struct Lease {
    std::vector<NodeId> lessees;
    bool recalling = false;
    size_t unanswered = 0;
    std::vector<std::function<void()>> waiters;
  };
  /// What is known of an object that was asked for again and again.
  struct Seen {
    CopyUnit witness;      ///< the unit of it that is counted: a large array is asked for in many
    uint32_t same = 0;     ///< answers since it last changed
    uint32_t recalls = 0;  ///< each doubles how many are needed
  };
  static constexpr size_t kSharedMax = 1 << 14, kSeenMax = 1 << 15;
  static constexpr uint32_t kSameNeeded = 4, kRecallsMax = 10;
  /// Candidates mostly come together.
  static constexpr int64_t kGatherNanos = 2'000'000;

  bool enabled() const { return stopper_ && core_.options.leases && !core_.options.noCache; }
  Seen& seenLocked(ObjectRef object);
  void schedule();
  void share(const std::set<uint64_t>& held);
  bool mayShare(ObjectRef object, const std::set<uint64_t>& held);
  void forgetStaleLocked();
  void acknowledged(ObjectRef object);

  SpaceCore& core_;
  Stopper stopper_;
  std::mutex mutex_;
  std::unordered_map<ObjectRef, Lease> shared_;
  std::atomic<size_t> count_{0};  ///< of shared_
  std::unordered_map<ObjectRef, Seen> seen_;
  std::deque<ObjectRef> seenInOrder_;  ///< its keys, the oldest first
  std::vector<ObjectRef> candidates_;
  bool scheduled_ = false;
  int64_t lastStop_ = 0;
};

}  // namespace jvmc::cluster
