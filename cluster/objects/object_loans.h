// Objects of other nodes that are here on loan: the side of the borrower. Why and when: leases.h, docs/adr/0027.
//
// Leases let many nodes read what hardly changes. A loan lets one node read and write an object that no other uses, as
// if its home were here: a hot object goes alone, its block stays where it is. Nothing of it is flushed or asked for
// again. When anybody else needs it, its home calls it back, and it goes home as the difference from what came.
//
//     home                                                        borrower
//     LENT     what it answers to FETCH, REFRESH  --- on loan -->  BORROWED   read, written, volatile fields too
//              somebody needs it                  -- UNLEASE -->   world stopped: stale; who may have checked it
//                                                                  becomes a writer
//              content applied                    <-- diff ------
//              whoever asks for it is answered
//              its writes are known               -- SETTLE --->   waits for what the node owes
//     HOME     threads here, volatile access      <-------------
//
// Two answers, because an answer to FETCH may not wait for flushes, which wait for such answers: content goes home at
// once. But volatile fields in it may tell of releases whose writes this node owes, so nobody acquires by it before
// these are home. A thread that has checked the object before the recall may store to it until its next poll: it goes
// on as a writer of an ordinary copy, and its next release takes that along.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "cluster/objects/block_host.h"
#include "cluster/objects/copies.h"
#include "cluster/objects/flusher.h"
#include "cluster/objects/writers.h"

namespace jvmc::cluster {

/// Thread-safe.
class ObjectLoans {
 public:
  ObjectLoans(SpaceCore& core, Copies& copies, Writers& writers, Flusher& flusher, BlockHost& host)
      : core_(core), copies_(copies), writers_(writers), flusher_(flusher), host_(host), thread_(host.makeThread()) {}
  ~ObjectLoans() { stop(); }

  /// Under the lock of the unit's shard: an answer that has just been brought in lends the object, unless a recall has
  /// overtaken it. The copy holds what its home has, and what threads here have written to it.
  void borrow(const CopyUnit& unit, Entry& entry);

  // -- I/O thread
  /// The object's home calls its leases or its loan back.
  void handleUnlease(ObjectRef object, std::shared_ptr<Responder> responder);
  /// Answered when all is home that the node owes.
  void handleSettle(std::shared_ptr<Responder> responder);

  /// Asks to be called back for all that is here, and gives how much that is. Any thread.
  size_t giveUp();
  size_t count() const;

  /// Ends the thread; the program is over.
  void stop();

 private:
  struct Recall {
    ObjectRef object;
    std::shared_ptr<Responder> responder;
    bool wasHere = false;
    bool owes = false;  ///< this node, of what it released before
    Bytes diff{};
  };

  void run();
  void giveBack(std::vector<Recall>& recalls);
  void giveBack(Recall& recall);
  void enterWhoMayWrite(const std::vector<Recall>& recalls);
  static void answer(const Recall& recall);

  SpaceCore& core_;
  Copies& copies_;
  Writers& writers_;
  Flusher& flusher_;
  BlockHost& host_;
  mutable std::mutex mutex_;  ///< after a shard's
  std::set<ObjectRef> borrowed_;
  std::vector<Recall> recalls_;
  bool started_ = false, stopping_ = false;
  const std::unique_ptr<HelperThread> thread_;
};

}  // namespace jvmc::cluster
