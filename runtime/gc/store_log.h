// What reference stores leave for the collector. Two kinds of entries:
//
//   overwritten   while marking: an old object that was referred to by the place that is stored to (the snapshot at the
//                 beginning: whatever was reachable when marking began is kept; Yuasa 1990)
//   slots         always, when the heap is large enough for young collections: a place in an old object that refers to
//                 a young one from now on. Each place once (Region::logged)
//
// A context collects entries in a buffer of its own and hands it over when it is full; runtime threads, which have no
// context, share one.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/abi/context.h"

namespace jvmc::rt {

class StoreLog {
 public:
  /// `full`: called, by a thread that logs, when so many places wait that going through them takes a pause of its own.
  /// It may not use the log.
  explicit StoreLog(std::function<void()> full);
  ~StoreLog();

  /// `ctx`: the caller's context, or null for a runtime thread with GuestAccess. Both never reach a safepoint.
  void addOverwritten(ThreadContext* ctx, ObjectRef object);
  void addSlot(ThreadContext* ctx, uint64_t address);

  /// Hands over what the context has and takes its buffer away. By its own thread, or while the world is stopped.
  void flush(ThreadContext& ctx);

  /// What was handed over so far. Slots: complete only while the world is stopped and all contexts are flushed.
  std::vector<ObjectRef> takeOverwritten();
  bool isFull() const { return slotCount_.load(std::memory_order_relaxed) >= kSlotsPerPause; }
  std::vector<uint64_t> takeSlots();

 private:
  static constexpr size_t kSlotsPerPause = 48 << 10;  ///< a few milliseconds: two cache misses each
  struct Buffer;
  void add(ThreadContext* ctx, uint64_t entry);
  void handOverLocked(Buffer& buffer);
  Buffer* takeBufferLocked();

  const std::function<void()> full_;
  std::atomic<size_t> slotCount_{0};  // of slots_, for who does not hold the lock
  std::mutex mutex_;                  // guards all below
  std::vector<ObjectRef> overwritten_;
  std::vector<uint64_t> slots_;
  std::vector<std::unique_ptr<Buffer>> buffers_;  // all there are
  std::vector<Buffer*> idle_;
  Buffer* shared_;
};

}  // namespace jvmc::rt
