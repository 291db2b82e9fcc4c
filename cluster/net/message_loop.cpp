#include "cluster/net/message_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>

#include "cluster/net/run_and_wait.h"
#include "ir/support/check.h"
#include "runtime/sched/short_turns.h"

namespace jvmc::cluster {

namespace {

constexpr int kEventsMax = 64;
constexpr int64_t kForever = -1;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void control(int epollFd, int operation, int fd, uint32_t events, void* tag) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = tag;
  JVMC_CHECK(epoll_ctl(epollFd, operation, fd, &event) == 0, fd, errno);
}

int waitForEvents(int epollFd, epoll_event* events, int64_t nanos) {
  if (nanos == 0) return epoll_wait(epollFd, events, kEventsMax, 0);
  timespec time{nanos / 1'000'000'000, nanos % 1'000'000'000};
  return epoll_pwait2(epollFd, events, kEventsMax, nanos == kForever ? nullptr : &time, nullptr);
}

}  // namespace

MessageLoop::MessageLoop(MessageLoopOptions options)
    : options_(std::move(options)),
      epollFd_(epoll_create1(EPOLL_CLOEXEC)),
      wakeFd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  JVMC_CHECK(epollFd_ >= 0 && wakeFd_ >= 0, errno);
  control(epollFd_, EPOLL_CTL_ADD, wakeFd_, EPOLLIN, nullptr);
}

MessageLoop::~MessageLoop() {
  stopping_ = true;
  wake();
  if (worker_.joinable()) worker_.join();
  close(wakeFd_);
  close(epollFd_);
}

void MessageLoop::start() {
  std::promise<void> started;
  worker_ = std::thread([this, &started] {
    pthread_setname_np(pthread_self(), options_.threadName.substr(0, 15).c_str());
    rt::takeShortTurns();
    thread_.store(std::this_thread::get_id(), std::memory_order_release);
    started.set_value();
    run();
  });
  started.get_future().wait();
}

// ---------------------------------------------------------------- from any thread

void MessageLoop::post(std::function<void()> task) {
  bool sleeps;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    somethingPosted_.store(true, std::memory_order_release);
    sleeps = asleep_;
    asleep_ = false;
  }
  if (sleeps) wake();
}

void MessageLoop::postAfter(int64_t nanos, std::function<void()> task) {
  const int64_t due = now() + std::max<int64_t>(nanos, 0);
  if (onLoop()) {
    timers_.emplace(due, std::move(task));
    return;
  }
  post([this, due, task = std::move(task)]() mutable { timers_.emplace(due, std::move(task)); });
}

void MessageLoop::runSync(const std::function<void()>& task) {
  runAndWait(*this, task);
}

void MessageLoop::watch(int fd, uint32_t events, Watched& watched) {
  control(epollFd_, EPOLL_CTL_ADD, fd, events, &watched);
}

void MessageLoop::change(int fd, uint32_t events, Watched& watched) {
  control(epollFd_, EPOLL_CTL_MOD, fd, events, &watched);
}

void MessageLoop::unwatch(int fd, Watched& watched) {
  control(epollFd_, EPOLL_CTL_DEL, fd, 0, nullptr);
  std::replace(dirty_.begin(), dirty_.end(), &watched, static_cast<Watched*>(nullptr));
  for (epoll_event& event : handled_)
    if (event.data.ptr == &watched) event = {};
}

void MessageLoop::wake() {
  const uint64_t one = 1;
  (void)!write(wakeFd_, &one, sizeof one);
}

// ---------------------------------------------------------------- the loop

void MessageLoop::run() {
  while (!stopping_.load(std::memory_order_relaxed)) {
    const bool ranTasks = runPosted();
    const bool ranTimers = runTimers();
    if (ranTasks || ranTimers) {
      look();
    } else if (!spin()) {
      sleep();
    }
  }
}

bool MessageLoop::runPosted() {
  if (!somethingPosted_.load(std::memory_order_acquire)) return false;
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    somethingPosted_.store(false, std::memory_order_relaxed);
  }
  for (auto& task : tasks) task();
  flushDirty();
  return true;
}

bool MessageLoop::runTimers() {
  if (timers_.empty()) return false;
  const int64_t time = now();
  bool ran = false;
  while (!timers_.empty() && timers_.begin()->first <= time) {
    auto task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
    ran = true;
  }
  flushDirty();
  return ran;
}

bool MessageLoop::look() {
  epoll_event events[kEventsMax];
  const int count = waitForEvents(epollFd_, events, 0);
  handle({events, size_t(std::max(count, 0))});
  return count > 0;
}

void MessageLoop::handle(std::span<epoll_event> events) {
  handled_ = events;
  for (epoll_event& event : events) {
    if (!event.data.ptr) {  // woken by a post, or unwatched in this round
      uint64_t ignored;
      if (event.events) (void)!read(wakeFd_, &ignored, sizeof ignored);
      continue;
    }
    static_cast<Watched*>(event.data.ptr)->onReady(event.events);
    flushDirty();
  }
  handled_ = {};
}

void MessageLoop::flushDirty() {
  for (size_t i = 0; i < dirty_.size(); ++i)
    if (dirty_[i]) dirty_[i]->flush();
  dirty_.clear();
}

int64_t MessageLoop::untilTimer() const {
  return timers_.empty() ? kForever : std::max<int64_t>(timers_.begin()->first - now(), 0);
}

void MessageLoop::sleep() {
  {
    std::lock_guard lock(mutex_);
    if (!posted_.empty() || stopping_.load(std::memory_order_relaxed)) return;
    asleep_ = true;
  }
  epoll_event events[kEventsMax];
  const int count = waitForEvents(epollFd_, events, untilTimer());
  {
    std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  handle({events, size_t(std::max(count, 0))});
}

/// True as soon as there is something to do.
bool MessageLoop::spin() {
  if (!options_.maySpin || !options_.maySpin()) return false;
  const int64_t end = now() + options_.spinNanos;
  do {
    if (look()) return true;
    if (somethingPosted_.load(std::memory_order_acquire) || stopping_.load(std::memory_order_relaxed)) return true;
  } while (now() < end);
  return false;
}

}  // namespace jvmc::cluster
