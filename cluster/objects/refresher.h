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
//                 changed        likewise, with new content
//                 unanswered     stays stale: whoever needs it asks for it alone, and is told where it has gone
#pragma once

#include <span>

#include "cluster/objects/copies.h"

namespace jvmc::cluster {

class Refresher {
 public:
  Refresher(SpaceCore& core, Copies& copies);

  /// The copy that a thread waits for.
  struct Wanted {
    rt::ThreadId thread;
    ObjectRef object;
    uint64_t stamp;
  };
  /// Asks for `wanted.object`, which the caller has made busy at `wanted.stamp` and waits for, and for those of
  /// `others` that are in the group still, idle, and too old for `epoch`. Returns when the questions are on their way.
  /// Caller: a thread in guest code.
  void refresh(const Wanted& wanted, uint64_t epoch, ReadGroups::Number group, std::span<const ObjectRef> others);

 private:
  struct Batch {
    ByteWriter asked;
    std::vector<ObjectRef> objects;
    size_t answerBytes = 0;  ///< if all have changed
  };
  struct Question {
    uint64_t stamp;
    uint64_t seed;
    ObjectRef wanted;  ///< `thread` waits for it
    rt::ThreadId thread;
  };

  bool begin(ObjectRef object, uint64_t epoch, ReadGroups::Number group);
  void add(Batch& batch, ObjectRef object, const Question& question);
  void send(NodeId home, Batch&& batch, const Question& question);
  bool onReply(std::span<const ObjectRef> objects, const Question& question, std::span<const uint8_t> reply);
  bool install(ObjectRef object, const Question& question, ByteReader& in);

  SpaceCore& core_;
  Copies& copies_;
  const uint64_t secret_;  ///< in each seed
};

}  // namespace jvmc::cluster
