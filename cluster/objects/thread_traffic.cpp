#include "cluster/objects/thread_traffic.h"

#include "ir/support/check.h"

namespace jvmc::cluster {

void ThreadTraffic::begin(rt::ThreadId thread) {
  std::lock_guard lock(mutex_);
  ++busy_[thread].inFlight;
}

void ThreadTraffic::end(rt::ThreadId thread) {
  std::vector<std::function<void()>> ready;
  {
    std::lock_guard lock(mutex_);
    const auto found = busy_.find(thread);
    JVMC_CHECK(found != busy_.end(), thread);
    if (--found->second.inFlight > 0) return;
    ready = std::move(found->second.waiting);
    busy_.erase(found);
  }
  for (const auto& action : ready) action();
}

void ThreadTraffic::whenQuiet(rt::ThreadId thread, std::function<void()> action) {
  {
    std::lock_guard lock(mutex_);
    const auto found = busy_.find(thread);
    if (found != busy_.end()) return found->second.waiting.push_back(std::move(action));
  }
  action();
}

}  // namespace jvmc::cluster
