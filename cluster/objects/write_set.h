// What a thread has written since its last release, and the writer slots that make its writes cheap.
//
// A slot is leased at the first write to a cached copy and returned when all those writes are home. Compiled code
// compares it with the low bits of the object's epoch word: equal means "this thread has joined the object's writers
// already". A cached copy without such a mark holds kNoWriter there, never 0: a thread without a slot (0) must not
// match it.
#pragma once

#include <mutex>
#include <vector>

#include "cluster/objects/copy_unit.h"

namespace jvmc::cluster {

using WriterSlot = uint16_t;
inline constexpr WriterSlot kNoSlot = 0;
inline constexpr uint64_t kNoWriter = rt::kWriterMask;
/// ThreadContext::writerSlot of a thread that has writes to flush but found no slot: not 0, and equal to no header's.
inline constexpr uint64_t kDirtyWithoutSlot = rt::kWriterMask + 1;

/// Belongs to a thread (GuestThread::writeSet) until a release takes it.
struct WriteSet {
  std::vector<CopyUnit> units;
  WriterSlot slot = kNoSlot;  ///< kNoSlot if all were taken: then each write goes through the slow path
  uint64_t bytes = 0;         ///< of the copies and their twins
};

/// Thread-safe.
class SlotPool {
 public:
  /// kNoSlot if all are leased.
  WriterSlot lease() {
    std::lock_guard lock(mutex_);
    if (!returned_.empty()) {
      const WriterSlot slot = returned_.back();
      returned_.pop_back();
      return slot;
    }
    return next_ < kNoWriter ? next_++ : kNoSlot;
  }
  void giveBack(WriterSlot slot) {
    if (slot == kNoSlot) return;
    std::lock_guard lock(mutex_);
    returned_.push_back(slot);
  }

 private:
  std::mutex mutex_;
  std::vector<WriterSlot> returned_;
  WriterSlot next_ = 1;
};

}  // namespace jvmc::cluster
