// Asks homes whether copies that have become stale still hold what is there: many in one message, with a hash of what
// the copy holds instead of a version. A home keeps no version of an object: its own threads store with plain
// instructions that leave no trace. So it hashes the object as it is now, and sends it only if the hash differs
// (docs/adr/0014).
//
// Each object asked for is in a transaction like that of a fetch (I1), so whatever comes back may be installed. All are
// stamped with the clock before the first message left (I2).
//
//   thread meets stale X, used with A B C ...
//     [X A B]     -> home 1     X and the first few go ahead: the thread waits for X alone
//     [C ...]     -> home 2     the others follow, in messages of some 16 KiB of answer
//   answer: each  same           the copy becomes as fresh as the stamp
//                 same, leased   stays fresh until it is recalled (leases.h)
//                 same, lent     is ours until it is recalled (object_loans.h)
//                 changed        likewise, with new content
//                 unanswered     stays stale: whoever needs it asks for it alone, and is told where it has gone
#pragma once

#include <span>

#include "cluster/objects/copies.h"
#include "cluster/objects/object_loans.h"

namespace jvmc::cluster {

class Refresher {
 public:
  Refresher(SpaceCore& core, Copies& copies, ObjectLoans& loans);

  /// The copy that a thread waits for.
  struct Wanted {
    rt::ThreadId thread;
    CopyUnit unit;
    uint64_t stamp;
  };
  /// What may be wanted with it.
  struct Others {
    ReadGroups::Number group = 0;
    std::vector<CopyUnit> together;  ///< asked for if they are in the group still
    uint32_t lastChunk = 0;  ///< chunks of the wanted one's array up to this one are asked for, also for the first time
  };
  /// Asks for `wanted.unit`, which the caller has made busy at `wanted.stamp` and waits for, and for those of `others`
  /// that are idle and too old for `epoch`. Returns when the questions are on their way.
  /// Caller: a thread in guest code, which has hold of the wanted one's array.
  void refresh(const Wanted& wanted, uint64_t epoch, const Others& others);

 private:
  struct Batch {
    ByteWriter asked;
    std::vector<CopyUnit> units;
    size_t answerBytes = 0;  ///< if all have changed
  };
  struct Question {
    uint64_t stamp;
    uint64_t seed;
    CopyUnit wanted;  ///< `thread` waits for it
    rt::ThreadId thread;
  };

  bool beginMember(const CopyUnit& unit, uint64_t epoch, ReadGroups::Number group);
  bool beginAhead(const CopyUnit& chunk, uint64_t epoch);
  void add(Batch& batch, const CopyUnit& unit, const Question& question);
  void send(NodeId home, Batch&& batch, const Question& question);
  bool onReply(std::span<const CopyUnit> units, const Question& question, std::span<const uint8_t> reply);
  bool install(const CopyUnit& unit, const Question& question, ByteReader& in);

  SpaceCore& core_;
  Copies& copies_;
  ObjectLoans& loans_;
  const uint64_t secret_;  ///< in each seed
};

}  // namespace jvmc::cluster
