#include "cluster/objects/read_groups.h"

#include <utility>

namespace jvmc::cluster {

ReadGroups::Group* ReadGroups::find(Number number) {
  const Number index = number - first_;  // numbers may wrap around
  return index < groups_.size() ? &groups_[index] : nullptr;
}

void ReadGroups::forgetOldest() {
  members_ -= groups_.front().members.size();
  groups_.pop_front();
  ++first_;
}

ReadGroups::Number ReadGroups::add(rt::ReadInterval& interval, uint64_t epoch, const CopyUnit& unit) {
  std::lock_guard lock(mutex_);
  Group* group = interval.epoch == epoch ? find(interval.group) : nullptr;
  if (!group || group->asks > 0 || group->members.size() >= kMembersMax) {
    if (groups_.size() >= kGroupsMax) forgetOldest();
    group = &groups_.emplace_back();
    interval = {epoch, first_ + Number(groups_.size()) - 1};
  }
  group->members.push_back(unit);
  if (++members_ > kAllMembersMax) forgetOldest();  // not this group, which holds but a small part of them
  return interval.group;
}

std::vector<CopyUnit> ReadGroups::ask(Number number) {
  std::lock_guard lock(mutex_);
  Group* group = find(number);
  if (!group) return {};
  if (++group->asks < kAsksMax) return group->members;
  members_ -= group->members.size();
  return std::exchange(group->members, {});
}

}  // namespace jvmc::cluster
