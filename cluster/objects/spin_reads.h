// What threads have last read of the volatiles for which they wait (ir/passes/spin_waits.cpp), so that their next read
// can say so and be answered when there is something else.
//
// A thread that spins again, and finds at once what it waits for, must not wait for that to go. Whatever it has
// submitted in between shows that it has left its loop; what it has done without that shows nothing. So the home is
// asked for patience after some reads that have brought the same, and for more with each one that follows. Waits that
// are over soon are no longer than without all this.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>

#include "runtime/object_space.h"

namespace jvmc::cluster {

/// Thread-safe. What it forgets costs a round trip.
class SpinReads {
 public:
  /// The thread submits something.
  void submits(const rt::SyncRequest& request) {
    if (count_ == 0 || isSpinning(request)) return;
    std::lock_guard lock(mutex_);
    reads_.erase(request.thread.id);
    count_ = reads_.size();
  }
  /// The request as it goes to the home.
  rt::SyncRequest asked(rt::SyncRequest request) {
    if (!isSpinning(request)) return request;
    request.b = rt::kLoadNow;
    std::lock_guard lock(mutex_);
    const auto found = reads_.find(request.thread.id);
    if (found == reads_.end()) return request;
    Read& read = found->second;
    if (read.object != request.object || read.offset != request.offset) return request;
    if (read.quick > 0) {
      --read.quick;
      return request;
    }
    request.b = rt::kLoadUnlike;
    request.a = read.value;
    request.nanos = read.patience;
    read.patience = std::min(2 * read.patience, kPatienceMax);
    return request;
  }
  /// The home has answered the request (as it was before asked()) at once.
  void answered(const rt::SyncRequest& request, uint64_t value) {
    if (!isSpinning(request)) return;
    std::lock_guard lock(mutex_);
    const Read now{request.object, request.offset, value};
    Read& known = reads_.try_emplace(request.thread.id, now).first->second;
    if (!known.isLike(now)) known = now;
    if (reads_.size() > kThreadsMax) reads_.clear();
    count_ = reads_.size();
  }

 private:
  static constexpr size_t kThreadsMax = 1024;
  static constexpr int kQuickReads = 20;
  static constexpr int64_t kPatienceMin = 200'000, kPatienceMax = 10'000'000;  ///< nanoseconds
  struct Read {
    rt::ObjectRef object = rt::kNullRef;  ///< only compared: it may be dead
    uint32_t offset = 0;
    uint64_t value = 0;
    int quick = kQuickReads;
    int64_t patience = kPatienceMin;
    bool isLike(const Read& other) const {
      return object == other.object && offset == other.offset && value == other.value;
    }
  };

  static bool isSpinning(const rt::SyncRequest& request) {
    return request.op == rt::SyncOp::Atomic && request.atomicOp == rt::AtomicOp::Load &&
           request.b == rt::kLoadAwaitsChange;
  }

  std::mutex mutex_;
  std::unordered_map<rt::ThreadId, Read> reads_;
  std::atomic<size_t> count_{0};
};

}  // namespace jvmc::cluster
