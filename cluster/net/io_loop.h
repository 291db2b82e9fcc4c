// The one KJ event loop of a process, and the way into it from other threads.
//
// Other threads post closures: a locked queue, and an eventfd that is written only if the loop sleeps. Capabilities and
// promises belong to the loop and die on it. Messages between nodes have a loop of their own (message_loop.h).
#pragma once

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace jvmc::cluster {

struct IoLoopOptions {
  std::string threadName = "jvmc-io";
};

class IoLoop final : private kj::TaskSet::ErrorHandler {
 public:
  explicit IoLoop(IoLoopOptions options);
  /// Stops the loop and joins its thread. What still hangs on the loop is destroyed there.
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;

  /// Runs the loop on a new thread; returns once it accepts work.
  void startThread();
  /// Runs the loop on the calling thread until stop().
  void runHere();
  /// Any thread. Work posted before is done first.
  void stop();

  /// Any thread; never blocks. Tasks run in the order of posting. They must not throw.
  void post(std::function<void()> task);
  void postAfter(int64_t nanos, std::function<void()> task);
  /// Runs `task` on the loop and waits for it. From the loop itself: at once.
  void runSync(const std::function<void()>& task);
  bool onLoop() const { return loopThread_.load(std::memory_order_acquire) == std::this_thread::get_id(); }
  /// Must be empty before the loop starts; called at its end, on the loop, newest first: owners of capabilities let go.
  void atStop(std::function<void()> task) { atStop_.push_back(std::move(task)); }

  // -- on the loop only
  kj::AsyncIoContext& io() { return *io_; }
  kj::Timer& timer() { return io_->provider->getTimer(); }
  /// Keeps a promise running; a failure is logged at level debug.
  void detach(kj::Promise<void> promise) { tasks_->add(kj::mv(promise)); }

 private:
  void taskFailed(kj::Exception&& exception) override;
  void runPosted();
  bool somethingPosted();
  void sleep();

  IoLoopOptions options_;
  int eventFd_ = -1;
  std::thread thread_;
  std::atomic<std::thread::id> loopThread_{};

  std::mutex mutex_;
  std::condition_variable started_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool asleep_ = false;                        // guarded by mutex_: whoever posts must write eventFd_
  bool stopping_ = false;                      // guarded by mutex_
  bool running_ = false;                       // guarded by mutex_

  // On the loop only.
  kj::AsyncIoContext* io_ = nullptr;
  kj::TaskSet* tasks_ = nullptr;
  kj::UnixEventPort::FdObserver* observer_ = nullptr;
  std::vector<std::function<void()>> atStop_;
};

}  // namespace jvmc::cluster
