#include "jit/compile_queue.h"

#include <pthread.h>

namespace jvmc::jit {

CompileQueue::~CompileQueue() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void CompileQueue::submit(uint64_t priority, Job job) {
  {
    std::scoped_lock lock(mutex_);
    jobs_.push({priority, arrivals_++, std::move(job)});
    if (threads_.empty())
      for (uint32_t i = 0; i < threadCount_; ++i) threads_.emplace_back([this] { work(); });
  }
  ready_.notify_one();
}

void CompileQueue::work() {
  pthread_setname_np(pthread_self(), "jvmc-compiler");  // profiles know it by this name
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(const_cast<Entry&>(jobs_.top()).job);  // top() is const only to protect the order
    jobs_.pop();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace jvmc::jit
