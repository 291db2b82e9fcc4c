// A thread of the node that does one job in the background and waits now and then: the real one is an OS thread; the
// simulator runs the same code on a fiber (tests/simulator).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace jvmc::cluster {

class HelperThread {
 public:
  virtual ~HelperThread() = default;

  /// Once. `body` runs on the thread.
  virtual void start(std::function<void()> body) = 0;
  /// On the thread, with `lock` held: returns when `ready()` is true, which is asked with the lock held, at first and
  /// after each notify(). The lock is free meanwhile.
  virtual void wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready) = 0;
  /// Any thread.
  virtual void notify() = 0;
  /// Any other thread: returns when `body` has; at once if there was no start().
  virtual void join() = 0;
};

class OsHelperThread final : public HelperThread {
 public:
  void start(std::function<void()> body) override { thread_ = std::thread(std::move(body)); }
  void wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready) override {
    changed_.wait(lock, ready);
  }
  void notify() override { changed_.notify_all(); }
  void join() override {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace jvmc::cluster
