#include "cluster/memory_ahead.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>

#include "runtime/sched/short_turns.h"

namespace jvmc::cluster {

namespace {

/// Half the price of a fault for each page. Older systems refuse, and take the faults.
void populate(const MemoryAhead::Range& range) {
  madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_POPULATE_WRITE);
}

}  // namespace

MemoryAhead::~MemoryAhead() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void MemoryAhead::want(Range range) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wanted_.push_back(range);
  changed_.notify_one();
}

void MemoryAhead::need(Range range) {
  {
    std::lock_guard lock(mutex_);
    const auto found = std::find(wanted_.begin(), wanted_.end(), range);
    if (found == wanted_.end()) return;
    wanted_.erase(found);
  }
  populate(range);
}

void MemoryAhead::run() {
  pthread_setname_np(pthread_self(), "jvmc-memory");
  rt::takeShortTurns();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !wanted_.empty(); });
    if (stopping_) return;
    const Range range = wanted_.front();
    wanted_.pop_front();
    lock.unlock();
    populate(range);
    lock.lock();
  }
}

}  // namespace jvmc::cluster
