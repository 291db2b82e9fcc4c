#include "cluster/launch/freezer.h"

namespace jvmc::cluster {

Freezer::~Freezer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    wanted_ = false;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Freezer::set(bool frozen) {
  std::lock_guard lock(mutex_);
  wanted_ = frozen;
  if (frozen && !thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

void Freezer::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return wanted_ || stopping_; });
      if (stopping_) return;
    }
    world_.stop(nullptr, [&] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !wanted_; });
    });
  }
}

}  // namespace jvmc::cluster
