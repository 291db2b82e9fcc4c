#include "runtime/gc/background.h"

#include <pthread.h>

namespace jvmc::rt {

void Background::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "jvmc-collector");  // profiles know it by this name
    run();
  });
}

void Background::wake() {
  std::scoped_lock lock(mutex_);
  hasWork_ = true;
  changed_.notify_one();
}

void Background::stop() {
  {
    std::scoped_lock lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Background::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return hasWork_ || stopped_; });
    if (stopped_) return;
    hasWork_ = false;
    lock.unlock();
    bool more = work_();
    std::this_thread::yield();  // others may want the lock that a slice held
    lock.lock();
    hasWork_ |= more;
  }
}

}  // namespace jvmc::rt
