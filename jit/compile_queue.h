// The compile threads: jobs by priority, hot ones first. Own threads, not the scheduler's workers: LLVM needs a deep
// stack and blocks for milliseconds.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace jvmc::jit {

class CompileQueue {
 public:
  using Job = std::function<void()>;

  /// No thread starts before the first job.
  explicit CompileQueue(uint32_t threads) : threadCount_(threads == 0 ? 1 : threads) {}
  /// Drops the jobs that have not begun and waits for those that have.
  ~CompileQueue();
  CompileQueue(const CompileQueue&) = delete;
  CompileQueue& operator=(const CompileQueue&) = delete;

  /// Higher priority first, equal ones in order of arrival. Any thread.
  void submit(uint64_t priority, Job job);

 private:
  struct Entry {
    uint64_t priority;
    uint64_t arrival;
    Job job;
    bool operator<(const Entry& other) const {
      return priority != other.priority ? priority < other.priority : arrival > other.arrival;
    }
  };
  void work();

  uint32_t threadCount_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::priority_queue<Entry> jobs_;
  uint64_t arrivals_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace jvmc::jit
