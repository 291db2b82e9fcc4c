// Which threads have a flush or a request on its way from this node. Messages keep no order, so whatever must come
// after them waits here: a thread is not shipped, and a request on its behalf is not sent, before the home has answered
// the earlier ones.
#pragma once

#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/ids.h"

namespace jvmc::cluster {

/// Thread-safe.
class ThreadTraffic {
 public:
  void begin(rt::ThreadId thread);
  /// Runs, without locks, what has waited for the last one.
  void end(rt::ThreadId thread);
  /// Runs `action` now or when the thread has nothing on its way.
  void whenQuiet(rt::ThreadId thread, std::function<void()> action);

 private:
  struct State {
    uint32_t inFlight = 0;
    std::vector<std::function<void()>> waiting;
  };
  std::mutex mutex_;
  std::unordered_map<rt::ThreadId, State> busy_;
};

}  // namespace jvmc::cluster
