// Makes all guest threads of a node stand still for as long as somebody wants: a node that has lost touch with its
// launcher must not go on, because the others may be about to go on without it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/gc/world.h"

namespace jvmc::cluster {

/// Thread-safe. While it is frozen, nobody gets at guest memory: messages about objects wait too.
class Freezer {
 public:
  explicit Freezer(rt::World& world) : world_(world) {}
  ~Freezer();
  Freezer(const Freezer&) = delete;

  /// Returns at once; threads stand still at their next polls.
  void set(bool frozen);

 private:
  void run();

  rt::World& world_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;  // made when it is needed first
  bool wanted_ = false;
  bool stopping_ = false;
};

}  // namespace jvmc::cluster
