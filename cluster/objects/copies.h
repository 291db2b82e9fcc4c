// Copies of objects that are homed elsewhere: what a home sends is checked and brought into them, and here is decided
// whether a copy serves a thread.
//
//     epoch word      stamp without kEpochUsed        nobody has used this content yet: every check takes the slow path
//                     stamp                           threads whose epoch is not younger use it without asking
//                     IMMUTABLE                       all do, for ever
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
  bool use(rt::ThreadContext& ctx, ObjectRef object);
  /// What was used together with it.
  std::vector<ObjectRef> usedWith(ReadGroups::Number group) { return groups_.ask(group); }

  /// The image can be that of `object`, and what it refers to is acceptable. Nothing is changed before this is known.
  bool isSound(ObjectRef object, const ObjectImage& image);

  // -- under the lock of the object's shard
  /// Brings the image in, around what threads here have written. `stamp` as it goes into the header. `entry`: the
  /// object's, or null if it has none. True if there was no copy of use before.
  bool store(ObjectRef object, const ObjectImage& image, uint64_t stamp, Entry* entry);
  /// The copy is as fresh as `stamp` says, if it was not fresher already and is not given up.
  void freshen(ObjectRef object, uint64_t stamp, const Entry* entry);

  /// Nobody uses the copy from now on without having asked for it again; what is on its way is too old already. Not if
  /// it is frozen, or somebody writes it.
  void giveUp(ObjectRef object);

  /// The object's fetch is over: whoever waits for it goes on.
  void endTransaction(ObjectRef object);

 private:
  bool agreesWithCopy(ObjectRef object, const ObjectImage& image) const;
  bool referencesAcceptable(const ObjectShape& shape, std::span<const uint8_t> data);

  SpaceCore& core_;
  ReadGroups groups_;
};

}  // namespace jvmc::cluster
