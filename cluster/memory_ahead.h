// Has the system give memory for blocks that are about to arrive, while they are on their way: new pages take longer
// than the bytes that are put into them, and who receives those need not do that too.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>

namespace jvmc::cluster {

/// Thread-safe.
class MemoryAhead {
 public:
  struct Range {
    uint64_t begin = 0, end = 0;
    bool operator==(const Range&) const = default;
  };

  ~MemoryAhead();

  /// Never blocks.
  void want(Range range);
  /// What was wanted is needed now: done here, unless it has been begun. (Pages that are not there yet come when they
  /// are written. Two threads that ask for the same ones hinder each other.)
  void need(Range range);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Range> wanted_;  // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_
  std::thread thread_;        // started when it is needed
};

}  // namespace jvmc::cluster
