// Work for a process's main thread, given by its I/O loop: what may block (building a VM, stopping its threads) must
// not stand in the loop's way.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "cluster/net/call_on.h"

namespace jvmc::cluster {

class MainThread {
 public:
  explicit MainThread(IoLoop& loop) : loop_(loop) {}

  /// Runs posted work until stop().
  void run();
  void stop();
  /// Any thread.
  void post(std::function<void()> work);

  /// On the loop: runs `work` (giving Result<T>) on the main thread; the promise belongs to the loop.
  template <class Work>
  auto call(Work work) {
    return callOn(*this, loop_, std::move(work));
  }

 private:
  IoLoop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;  // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
};

}  // namespace jvmc::cluster
