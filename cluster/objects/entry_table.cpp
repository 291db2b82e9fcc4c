#include "cluster/objects/entry_table.h"

#include <algorithm>

namespace jvmc::cluster {

bool Entry::hasWriter(const WriteSet* set) const {
  return std::find(writers.begin(), writers.end(), set) != writers.end();
}

void Entry::removeWriter(const WriteSet* set) {
  std::erase(writers, set);
}

void Entry::endTransaction(std::vector<std::function<void()>>& ready) {
  busy = flushing = givenUp = recalled = false;
  if (writers.empty() && !borrowed) {
    hasTwin = false;
    twin = {};
  }
  ready.insert(ready.end(), std::make_move_iterator(waiters.begin()), std::make_move_iterator(waiters.end()));
  waiters.clear();
}

void EntryTable::Shard::dropIfIdle(const CopyUnit& unit) {
  const auto found = entries.find(unit);
  if (found != entries.end() && found->second.idle()) entries.erase(found);
}

void EntryTable::forEach(const std::function<void(const CopyUnit&, Entry&)>& visit) {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    for (auto& [unit, entry] : shard.entries) visit(unit, entry);
  }
}

}  // namespace jvmc::cluster
