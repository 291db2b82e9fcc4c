// The I/O thread of a node's messages: one epoll loop that reads sockets, runs handlers, timers and posted tasks, and
// sends what they have written. It knows nothing of KJ, whose loop (io_loop.h) serves launcher and agents.
//
//     round:  posted tasks, due timers, flush  ->  each socket that is ready: read, handle, flush  ->  wait
//
// What is written on this thread is collected and leaves with one system call for each socket: a hundred requests that
// arrive together are answered together. Other threads write to the sockets themselves (message_link.h) and need this
// thread only if a socket is full.
//
// Waking a sleeping core costs 35-50 us. So before it sleeps, the loop goes on looking for some tens of microseconds,
// but only while `maySpin` says so (cores are idle).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cluster/net/spare_bytes.h"

struct epoll_event;

namespace jvmc::cluster {

struct MessageLoopOptions {
  std::string threadName = "jvmc-net";
  int64_t spinNanos = 40'000;
  std::function<bool()> maySpin;  ///< asked on the loop before it would sleep; empty: never spins
};

/// A socket on the loop. Both are called on the loop.
class Watched {
 public:
  virtual ~Watched() = default;
  /// `events`: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR.
  virtual void onReady(uint32_t events) = 0;
  /// Sends what has been collected.
  virtual void flush() = 0;
};

class MessageLoop {
 public:
  explicit MessageLoop(MessageLoopOptions options = {});
  /// Stops the thread. Tasks and timers that have not run are dropped.
  ~MessageLoop();
  MessageLoop(const MessageLoop&) = delete;

  /// Starts the thread. Tasks may be posted before.
  void start();

  /// Any thread; never blocks. Tasks run in the order of posting. They must not throw.
  void post(std::function<void()> task);
  void postAfter(int64_t nanos, std::function<void()> task);
  /// Runs `task` on the loop and waits for it; at once if called there. The loop must have been started.
  void runSync(const std::function<void()>& task);
  bool onLoop() const { return thread_.load(std::memory_order_acquire) == std::this_thread::get_id(); }

  /// Any thread. Level-triggered; `events` of a socket that is watched already are replaced.
  void watch(int fd, uint32_t events, Watched& watched);
  void change(int fd, uint32_t events, Watched& watched);
  /// On the loop: neither method is called from now on.
  void unwatch(int fd, Watched& watched);
  /// On the loop: flush() is called once the present task or socket is done with.
  void flushSoon(Watched& watched) { dirty_.push_back(&watched); }
  /// On the loop.
  SpareBytes& spare() { return spare_; }

 private:
  void run();
  bool runPosted();
  bool runTimers();
  /// Handles what is ready now; false if nothing is.
  bool look();
  void handle(std::span<epoll_event> events);
  void flushDirty();
  bool spin();
  /// Until a socket is ready, a timer is due or a task is posted.
  void sleep();
  int64_t untilTimer() const;
  void wake();

  MessageLoopOptions options_;
  int epollFd_ = -1;
  int wakeFd_ = -1;
  std::thread worker_;
  std::atomic<std::thread::id> thread_{};

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool asleep_ = false;                        // guarded by mutex_: whoever posts must write wakeFd_
  std::atomic<bool> somethingPosted_{false};   // written under mutex_
  std::atomic<bool> stopping_{false};

  // On the loop only.
  std::multimap<int64_t, std::function<void()>> timers_;  // by time due
  std::vector<Watched*> dirty_;                           // null: unwatched since
  std::span<epoll_event> handled_;                        // the sockets of the present round
  SpareBytes spare_;
};

}  // namespace jvmc::cluster
