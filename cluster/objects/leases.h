// Leases of objects that hardly ever change, and loans of objects that one node alone changes: the side of the home.
//
// A copy goes stale with each acquire, and is asked for again by hash, which mostly tells that nothing has changed. So
// a home that has answered "the same" often enough makes the object *shared*: whoever asks for it from then on gets a
// lease, a copy that stays fresh over acquires until the home calls it back. And a home to which one node has brought
// changes often enough, and nobody else, *lends* the object: what that node gets next it reads and writes as if it were
// the home (object_loans.h).
//
//     HOME   --- the world stopped, no thread relies on a check of it --->  SHARED    reads pass, writes come here
//     SHARED --- UNLEASE to each lessee, all have answered ------------>  HOME
//
//     HOME   --- likewise --------------------------------------------->  LENT      reserved: nothing passes here
//     LENT   --- all is home that is owed here: OFFER; it asks -------->  LENT      lent: the content is there
//     LENT   --- UNLEASE, the content is back; SETTLE, all is known ---->  HOME
//
// Invariant: while another node has a copy that says LEASED, the header at home says SHARED, and the fields do not
// change. So a lease has the content that the home has. While one says BORROWED, the header says LENT, and the fields
// here are not used. What is needed for it:
//   - who asks is entered among the lessees before the image is taken, under the lock under which a recall begins
//   - whoever would change a field waits for the recall: a thread in its slow path, a FLUSH and an operation on a field
//     before anything of them is carried out (the I/O thread puts them aside). With a loan so does who would read one:
//     threads, FETCH; REFRESH leaves the object out
//   - an UNLEASE that comes before the answer that it is about is remembered at the asker (Entry::recalled)
//   - blocks with such objects do not move; they are recalled when a move meets them
// Monitors have nothing to do with it: their state is in no copy. Which check a thread relies on is found as for blocks
// that move (BlockHost::heldBlocks). The header is the truth: an entry here whose object says HOME, or is none any
// more, is forgotten some day. docs/adr/0026, 0027.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "cluster/objects/flusher.h"
#include "cluster/objects/lease_candidates.h"
#include "cluster/objects/messages.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// Thread-safe. Unless it says otherwise, callers are in guest code, inside accessGuest(), or have stopped the world.
class Leases {
 public:
  Leases(SpaceCore& core, Flusher& flusher) : core_(core), flusher_(flusher), candidates_(core.options) {}

  /// Runs what it is given soon, on a thread of its own, the world stopped; with the blocks that threads rely on.
  using Stopper = std::function<void(std::function<void(const std::set<uint64_t>& held)>)>;
  /// Applies the diff that follows in the message. False if it makes no sense.
  using ApplyDiff = std::function<bool(const CopyUnit& unit, ByteReader& diff)>;
  /// Without it nothing is ever shared or lent.
  void open(Stopper stopper, ApplyDiff applyDiff) {
    stopper_ = std::move(stopper);
    applyDiff_ = std::move(applyDiff);
  }

  // -- a node asks; I/O thread
  /// Before the unit's image or hash is taken: what the answer makes of the asker's copy, a lease, a loan or neither.
  Holds grant(NodeId to, const CopyUnit& unit);
  /// It was asked for, and neither leased nor lent. `same`: by REFRESH, and had not changed.
  void noteAsked(NodeId from, const CopyUnit& unit, bool same);
  void noteDiffers(ObjectRef object);
  /// A field was changed on behalf of `from`.
  void noteChanged(NodeId from, ObjectRef object);

  // -- somebody is about to change a field, or needs an object that is lent
  /// False: no object here is shared or lent.
  bool any() const { return count_ > 0; }
  static bool isShared(ObjectRef object) {
    const uint64_t word = rt::header(object)->epochWord.load(std::memory_order_acquire);
    return rt::isHomeEpoch(word) && !rt::isWritableHomeEpoch(word);
  }
  static bool isLent(ObjectRef object) {
    return rt::isLentEpoch(rt::header(object)->epochWord.load(std::memory_order_acquire));
  }
  /// The same of what a message names, which need not be an object, nor here.
  bool isSharedHere(ObjectRef object) { return isHere(object) && isShared(object); }
  bool isLentHere(ObjectRef object) { return isHere(object) && isLent(object); }
  /// What is waited for.
  enum class Until : uint8_t {
    ContentIsHere,  ///< plain accesses of messages: fields may be read and written
    ItIsHome,       ///< threads of this node, and whoever acquires or releases by a field
  };
  /// Calls the leases or the loan of the object back. True: `then`, if it is not empty, will run on the I/O thread,
  /// inside guest access, when that has come about. False: it has; nobody has any lease or loan until the world is
  /// stopped next.
  bool recall(ObjectRef object, std::function<void()> then, Until until = Until::ItIsHome);
  /// For messages, I/O thread: what is lent need not be called back for them before the borrower has it.
  bool isAway(ObjectRef object);
  /// The borrower asks for it.
  void takeBack(ObjectRef object, NodeId from);

  /// World stopped: the objects that are shared or lent.
  std::set<ObjectRef> shared();

 private:
  enum class Loan : uint8_t {
    None,      ///< the object is shared
    Closing,   ///< reserved for the borrower; this node owes writes that threads have released by the object
    Reserved,  ///< the borrower's next question gets it, and it has been told so
    Lent,      ///< the content is there
    Returned,  ///< and here again, but what the borrower owed may not be home
  };
  struct Lease {
    std::vector<NodeId> lessees{};  ///< or the borrower, when it has the object
    Loan loan = Loan::None;
    NodeId borrower{};
    uint64_t number = 0;  ///< of the loan
    int64_t since = 0;    ///< when it was lent
    bool recalling = false;
    size_t unanswered = 0;
    std::vector<std::function<void()>> contentWaiters{};  ///< of a loan
    std::vector<std::function<void()>> waiters{};

    bool isLoan() const { return loan != Loan::None; }
    void await(std::function<void()> then, Until until) {
      if (!then) return;
      (isLoan() && until == Until::ContentIsHere ? contentWaiters : waiters).push_back(std::move(then));
    }
  };
  static constexpr size_t kSharedMax = 1 << 14;
  static constexpr size_t kLoansMax = 1 << 10;
  /// What is larger is hardly one hot object.
  static constexpr uint64_t kLentBytesMax = 4096;
  /// Candidates mostly come together.
  static constexpr int64_t kGatherNanos = 2'000'000;

  bool enabled() const { return stopper_ && core_.options.leases && !core_.options.noCache; }
  bool isHere(ObjectRef object) {
    return count_ > 0 && object != rt::kNullRef && core_.homes.valid(object) && core_.homedHere(object) &&
           core_.host.plausible(object);
  }
  void schedule();
  void share(const std::set<uint64_t>& held);
  bool mayShare(ObjectRef object, const std::set<uint64_t>& held);
  bool mayLend(ObjectRef object, NodeId to);
  void forgetStaleLocked();
  void openLoans(const std::vector<std::pair<ObjectRef, uint64_t>>& loans);
  std::optional<NodeId> reserve(ObjectRef object, uint64_t number);
  void offer(ObjectRef object, NodeId borrower);
  void sendRecall(ObjectRef object, NodeId lessee);
  bool onAnswer(ObjectRef object, NodeId lessee, std::span<const uint8_t> answer);
  void contentIsBack(ObjectRef object);
  void acknowledged(ObjectRef object);

  SpaceCore& core_;
  Flusher& flusher_;
  Stopper stopper_;
  ApplyDiff applyDiff_;
  std::mutex mutex_;
  std::unordered_map<ObjectRef, Lease> shared_;
  std::atomic<size_t> count_{0};  ///< of shared_
  size_t loans_ = 0;              ///< of these
  uint64_t numbers_ = 0;          ///< of loans, so far
  LeaseCandidates candidates_;
  bool scheduled_ = false;
  int64_t lastStop_ = 0;
};

}  // namespace jvmc::cluster
