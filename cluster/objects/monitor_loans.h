// Carries monitors to the nodes whose threads use them, and back (runtime/sync/lending.cpp says when).
//
//   LEND    u8 7 | ref u64 | loan u64 | the monitor (putSyncState)                 home -> borrower
//   RECALL  u8 8 | ref u64 | loan u64 | u8 urgent                                  home -> borrower
//   RETURN  u8 9 | ref u64 | loan u64 | u32 entries served | the monitor           borrower -> home
//
// LEND and RETURN are answered with a status (done), so that a node that is about to leave knows that nothing is on its
// way; RECALL is not. Loans of a node are numbered, since messages keep no order: a RECALL may arrive before its LEND.
// LEND and RETURN are releases and acquires at once: they leave when what their node owes is home
// (Flusher::afterDeferred), and the clock ticks where they arrive. While a monitor is on its way, requests of the
// borrower's threads are refused at the home (ReplyStatus::Lent) and tried again.
#pragma once

#include <atomic>
#include <map>
#include <unordered_map>

#include "cluster/objects/flusher.h"
#include "cluster/objects/messages.h"
#include "cluster/objects/space_core.h"
#include "runtime/sync/sync_home.h"

namespace jvmc::cluster {

/// Thread-safe; messages are handled on the I/O thread, where everything happens.
class MonitorLoans final : public rt::SyncHome::Lender {
 public:
  MonitorLoans(SpaceCore& core, Flusher& flusher) : core_(core), flusher_(flusher) {}

  /// Monitors can be lent from now on. `home` is the node's, which tells this object.
  void open(rt::SyncHome& home) {
    home_ = &home;
    home.lendBy(*this);
  }

  // -- mutator side
  /// The monitor is here on loan.
  bool hasBorrowed(ObjectRef object) const { return home_ && home_->hasBorrowed(object); }
  rt::SyncHome::Borrowed carryOut(const rt::SyncRequest& request);

  // -- home side
  /// The request, which `from` sends, is about a monitor that is there or on its way there.
  bool isLentTo(NodeId from, const rt::SyncRequest& request) const;

  /// Objects homed here whose monitors are elsewhere: they must not move.
  std::vector<ObjectRef> lent() const;

  void handle(NodeId from, ObjectMessage kind, ByteReader& in, Responder& responder);

  /// This node is about to leave, and is no place any more: gives back what it has and calls for what it has lent.
  /// Gives how many are not where they belong yet. Any thread.
  size_t end();

  // -- rt::SyncHome::Lender
  void shouldLend(ObjectRef object, NodeId node) override;
  void recall(ObjectRef object, NodeId node, bool urgent) override;
  void shouldGiveBack(ObjectRef object) override;

 private:
  struct Loan {
    NodeId home;
    uint64_t number = 0;
    int64_t since = 0;
    std::optional<uint32_t> idleAt{};  ///< entries served when it was last seen idle
  };
  /// A loan that has not been used for as long goes back: it keeps its object alive.
  static constexpr int64_t kIdleNanos = 1'000'000'000;
  /// How long after it was called for a monitor goes back though somebody is in it.
  static constexpr int64_t kPatienceNanos = 1'000'000;

  void lend(ObjectRef object, NodeId node);
  void sendRecall(ObjectRef object, NodeId node, bool urgent);
  void giveBack(ObjectRef object);
  void callBack(ObjectRef object, uint64_t number);
  void lookForIdle();
  /// False if the message makes no sense.
  bool take(NodeId from, ObjectMessage kind, ByteReader& in);
  void send(NodeId to, Bytes message, std::function<void()> done);
  void putState(ByteWriter& out, const rt::SyncState& state);

  SpaceCore& core_;
  Flusher& flusher_;
  rt::SyncHome* home_ = nullptr;
  std::atomic<size_t> returning_{0};  ///< RETURNs that wait or are not answered
  // -- I/O thread only
  uint64_t loans_ = 0;
  std::unordered_map<ObjectRef, uint64_t> lent_;  ///< by home: the number of the present loan
  std::unordered_map<ObjectRef, Loan> borrowed_;  ///< monitors that are here
  bool looksForIdle_ = false;                     ///< a timer runs
  /// Numbers of loans that have not arrived yet, by object and home; the latest, for older ones may still be called
  /// for.
  std::map<std::pair<ObjectRef, uint32_t>, uint64_t> recalledEarly_;
};

}  // namespace jvmc::cluster
