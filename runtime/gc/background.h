// The collector's own thread: sleeps until woken, then works in slices until there is nothing left to do.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace jvmc::rt {

class Background {
 public:
  /// `work` does a slice, on the thread; false: nothing is left until the next wake().
  explicit Background(std::function<bool()> work) : work_(std::move(work)) {}
  ~Background() { stop(); }
  Background(const Background&) = delete;

  void start();
  /// Any thread. Does nothing before start() and after stop().
  void wake();
  /// Waits for the slice under way. The caller must not hold what a slice may wait for.
  void stop();

 private:
  void run();

  const std::function<bool()> work_;
  std::mutex mutex_;  // guards the two below
  std::condition_variable changed_;
  bool hasWork_ = false, stopped_ = false;
  std::thread thread_;
};

}  // namespace jvmc::rt
