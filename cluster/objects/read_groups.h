// What was used together: the copies that a thread has used between two renewals of its epoch are a *group*. When a
// thread meets one of them as a stale copy, the whole group is asked for, because a program that repeats itself will
// need the rest too (Refresher).
//
// A copy is in one group, the one in which it was used last; the copy's own lock word says which, so that membership
// costs no look-up and goes with the copy. Groups are hints: nothing depends on what is in them, the oldest are
// forgotten, and a number that names nothing any more is as good as none.
//
// A group is asked for at most kAsksMax times: what is used moves on into younger groups, and what is not used any more
// is soon left alone. So a program that never reads the same objects twice pays for at most kAsksMax questions an
// object. One would not do: a thread that takes a lock, looks at a counter and waits on a condition renews its epoch
// twice before it reads again what it read the last time.
#pragma once

#include <deque>
#include <mutex>
#include <vector>

#include "cluster/objects/copy_unit.h"
#include "runtime/thread.h"

namespace jvmc::cluster {

/// Thread-safe.
class ReadGroups {
 public:
  using Number = uint32_t;  ///< 0: no group
  static constexpr size_t kMembersMax = 1024;
  static constexpr size_t kGroupsMax = 4096;
  static constexpr size_t kAllMembersMax = 1 << 17;  ///< 1 MiB a node
  static constexpr int kAsksMax = 3;

  /// Puts `unit`, which its thread uses now, into the group of this interval; begins one if the epoch is a new one or
  /// the group is full. Returns the group.
  Number add(rt::ReadInterval& interval, uint64_t epoch, const CopyUnit& unit);

  /// The members that the caller is to ask for, in the order of use; some may have gone over to younger groups. Counts
  /// as having asked. Empty if the group is forgotten or has been asked for often enough.
  std::vector<CopyUnit> ask(Number group);

 private:
  struct Group {
    int asks = 0;
    std::vector<CopyUnit> members;
  };
  Group* find(Number number);
  void forgetOldest();

  std::mutex mutex_;
  std::deque<Group> groups_;
  Number first_ = 1;  ///< number of groups_.front(); the others follow
  size_t members_ = 0;
};

}  // namespace jvmc::cluster
