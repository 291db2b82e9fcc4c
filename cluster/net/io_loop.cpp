#include "cluster/net/io_loop.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cluster/net/error_bridge.h"
#include "cluster/net/run_and_wait.h"
#include "ir/support/check.h"

namespace jvmc::cluster {

IoLoop::IoLoop(IoLoopOptions options) : options_(std::move(options)) {
  eventFd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  JVMC_CHECK(eventFd_ >= 0, errno);
}

IoLoop::~IoLoop() {
  stop();
  if (thread_.joinable()) thread_.join();
  close(eventFd_);
}

void IoLoop::startThread() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), options_.threadName.substr(0, 15).c_str());
    runHere();
  });
  std::unique_lock lock(mutex_);
  started_.wait(lock, [this] { return running_; });
}

void IoLoop::runHere() {
  auto io = kj::setupAsyncIo();
  kj::UnixEventPort::FdObserver observer(io.unixEventPort, eventFd_, kj::UnixEventPort::FdObserver::OBSERVE_READ);
  kj::TaskSet tasks(*this);
  io_ = &io;
  observer_ = &observer;
  tasks_ = &tasks;
  loopThread_.store(std::this_thread::get_id(), std::memory_order_release);
  {
    std::lock_guard lock(mutex_);
    running_ = true;
  }
  started_.notify_all();

  for (;;) {
    runPosted();
    io.waitScope.poll();
    if (somethingPosted()) continue;
    {
      std::lock_guard lock(mutex_);
      if (stopping_ && posted_.empty()) break;
    }
    sleep();
  }
  while (!atStop_.empty()) {
    auto task = std::move(atStop_.back());
    atStop_.pop_back();
    task();
  }
}

void IoLoop::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  uint64_t one = 1;
  (void)!::write(eventFd_, &one, sizeof one);
}

void IoLoop::post(std::function<void()> task) {
  bool wake;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    wake = asleep_;
    asleep_ = false;
  }
  if (!wake) return;
  uint64_t one = 1;
  (void)!::write(eventFd_, &one, sizeof one);
}

void IoLoop::postAfter(int64_t nanos, std::function<void()> task) {
  post([this, nanos, task = std::move(task)]() mutable {
    detach(timer().afterDelay(nanos * kj::NANOSECONDS).then([task = std::move(task)] { task(); }));
  });
}

void IoLoop::runSync(const std::function<void()>& task) {
  runAndWait(*this, task);
}

void IoLoop::taskFailed(kj::Exception&& exception) {
  spdlog::debug("a background task of the I/O loop failed: {}", plainText(exception));
}

void IoLoop::runPosted() {
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    asleep_ = false;
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

bool IoLoop::somethingPosted() {
  std::lock_guard lock(mutex_);
  return !posted_.empty();
}

void IoLoop::sleep() {
  auto posted = observer_->whenBecomesReadable();
  {
    std::lock_guard lock(mutex_);
    if (!posted_.empty() || stopping_) return;
    asleep_ = true;
  }
  posted.wait(io_->waitScope);
  uint64_t count;
  (void)!::read(eventFd_, &count, sizeof count);
}

}  // namespace jvmc::cluster
