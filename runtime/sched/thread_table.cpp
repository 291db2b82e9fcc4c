#include "runtime/sched/thread_table.h"

#include "ir/support/check.h"

namespace jvmc::rt {

ThreadEntry* ThreadTable::insert(std::unique_ptr<ThreadEntry> entry) {
  ThreadId id = entry->thread->ref.id;
  Shard& shard = shardOf(id);
  std::scoped_lock lock(shard.mutex);
  auto [at, isNew] = shard.entries.try_emplace(id, std::move(entry));
  if (!isNew) return nullptr;
  ++size_;
  return at->second.get();
}

ThreadTable::Locked ThreadTable::find(ThreadId id) {
  Shard& shard = shardOf(id);
  std::scoped_lock lock(shard.mutex);
  auto found = shard.entries.find(id);
  if (found == shard.entries.end()) return {};
  return {found->second.get(), std::unique_lock(found->second->thread->mutex)};
}

std::unique_ptr<ThreadEntry> ThreadTable::remove(ThreadId id) {
  Shard& shard = shardOf(id);
  std::scoped_lock lock(shard.mutex);
  auto found = shard.entries.find(id);
  JVMC_CHECK(found != shard.entries.end(), id);
  std::unique_ptr<ThreadEntry> entry = std::move(found->second);
  shard.entries.erase(found);
  --size_;
  // Whoever had found it earlier holds its mutex by now; nobody can come after.
  entry->thread->mutex.lock();
  entry->thread->mutex.unlock();
  return entry;
}

void ThreadTable::forEach(const std::function<void(ThreadEntry&)>& visit) {
  for (Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    for (auto& [id, entry] : shard.entries) {
      std::scoped_lock threadLock(entry->thread->mutex);
      visit(*entry);
    }
  }
}

}  // namespace jvmc::rt
