// Copies of objects that are homed elsewhere: what a home sends is checked and brought into them, and here is decided
// whether a copy serves a thread.
//
//     epoch word      stamp without kEpochUsed        nobody has used this content yet: every check takes the slow path
//                     stamp                           threads whose epoch is not younger use it without asking
//                     IMMUTABLE                       all do, for ever
//                     CHUNKED                         class and length of an array: its chunks have words of their own
#pragma once

#include "cluster/objects/messages.h"
#include "cluster/objects/read_groups.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// Thread-safe. Callers are in guest code or inside accessGuest().
class Copies {
 public:
  explicit Copies(SpaceCore& core) : core_(core) {}

  /// True if the copy is fresh enough for the thread, which uses it from now on (or if it is no copy but at home).
  /// Remembers that, and with what else.
  bool use(rt::ThreadContext& ctx, const CopyUnit& unit);
  /// What was used together with it.
  std::vector<CopyUnit> usedWith(ReadGroups::Number group) { return groups_.ask(group); }

  /// The image can be that of `unit`, and what it refers to is acceptable. Nothing is changed before this is known.
  bool isSound(const CopyUnit& unit, const ObjectImage& image);

  // -- under the lock of the unit's shard
  /// Brings the image in, around what threads here have written. `stamp` as it goes into the header, but into that of a
  /// head, which needs none. `entry`: the unit's, or null if it has none. True if there was no copy of use before, and
  /// this one may age.
  bool store(const CopyUnit& unit, const ObjectImage& image, uint64_t stamp, Entry* entry);
  /// The copy is as fresh as `stamp` says, if it was not fresher already and is not given up.
  void freshen(const CopyUnit& unit, uint64_t stamp, const Entry* entry);

  /// Under the lock too. What an answer that says `holds` makes of the copy: IMMUTABLE; LEASED, if no recall has
  /// overtaken it and nobody writes the copy, which then is none that holds what the home has; else `stamp`.
  uint64_t stampFor(Holds holds, uint64_t stamp, const Entry* entry) const;

  /// The object's home calls its lease back: no copy of it, and of none of its chunks, is a lease when this returns, or
  /// becomes one by an answer that is on its way.
  void endLease(ObjectRef object);

  /// Nobody uses the copy from now on without having asked for it again; what is on its way is too old already. Not if
  /// it is frozen, or somebody writes it.
  void giveUp(const CopyUnit& unit);

  /// The unit's fetch is over: whoever waits for it goes on.
  void endTransaction(const CopyUnit& unit);

 private:
  static bool hasHead(const CopyUnit& chunk);
  void endLeaseOf(const CopyUnit& unit);
  void note(const CopyUnit& unit, const ObjectShape& shape);
  bool agreesWithCopy(ObjectRef object, const ObjectImage& image) const;
  bool referencesAcceptable(const ObjectShape& shape, std::span<const uint8_t> data);

  SpaceCore& core_;
  ReadGroups groups_;
};

}  // namespace jvmc::cluster
