// Threads that wait at an object's home, in FIFO queues. A waiter is found in O(1) by (thread, ticket), wherever it
// queues: by timeouts, interrupts and moves of the object.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "runtime/ids.h"
#include "runtime/timers.h"

namespace jvmc::rt {

class WaiterQueue;

struct Waiter {
  ThreadRef thread;
  uint64_t ticket = 0;
  ObjectRef object = kNullRef;
  NodeId node;               ///< that has asked; the thread may have moved since
  uint32_t count = 0;        ///< monitor recursion to restore
  bool interrupted = false;  ///< MonitorWait that ends with InterruptedException
  Timers::Id timer = 0;
  int64_t deadline = 0;

  // Links of the queue it stands in.
  WaiterQueue* queue = nullptr;
  Waiter* previous = nullptr;
  Waiter* next = nullptr;
};

/// Intrusive: owns nothing, never allocates, and must not move while it has members.
class WaiterQueue {
 public:
  WaiterQueue() = default;
  WaiterQueue(const WaiterQueue&) = delete;
  WaiterQueue& operator=(const WaiterQueue&) = delete;

  bool empty() const { return !first_; }
  Waiter* first() const { return first_; }

  void pushBack(Waiter& waiter) {
    waiter.queue = this;
    waiter.previous = last_;
    waiter.next = nullptr;
    (last_ ? last_->next : first_) = &waiter;
    last_ = &waiter;
  }

  void remove(Waiter& waiter) {
    (waiter.previous ? waiter.previous->next : first_) = waiter.next;
    (waiter.next ? waiter.next->previous : last_) = waiter.previous;
    waiter.queue = nullptr;
  }

 private:
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

/// Owns the waiters of one shard. Addresses are stable.
class WaiterTable {
 public:
  Waiter& add(const ThreadRef& thread, uint64_t ticket, ObjectRef object) {
    Waiter& waiter = waiters_[Key{thread.id, ticket}];
    waiter.thread = thread;
    waiter.ticket = ticket;
    waiter.object = object;
    return waiter;
  }
  Waiter* find(ThreadId thread, uint64_t ticket) {
    auto found = waiters_.find(Key{thread, ticket});
    return found == waiters_.end() ? nullptr : &found->second;
  }
  /// The waiter must have left its queue.
  void erase(Waiter& waiter) { waiters_.erase(Key{waiter.thread.id, waiter.ticket}); }
  size_t size() const { return waiters_.size(); }

  template <class Visit>
  void forEach(Visit visit) const {
    for (const auto& [key, waiter] : waiters_) visit(waiter);
  }

 private:
  struct Key {
    ThreadId thread;
    uint64_t ticket;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return (key.thread * 0x9E37'79B9'7F4A'7C15 + key.ticket) * 0xBF58'476D'1CE4'E5B9;
    }
  };
  std::unordered_map<Key, Waiter, Hash> waiters_;
};

}  // namespace jvmc::rt
