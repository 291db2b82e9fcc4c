// One operation of SyncHome: holds the shard's mutex, works on its tables, and collects mail that goes out after the
// mutex is released.
#pragma once

#include <utility>
#include <vector>

#include "runtime/sync/sync_home.h"

namespace jvmc::rt {

class SyncHome::Session {
 public:
  Session(SyncHome& home, ObjectRef object)
      : home_(home), ports_(home.ports_), shard_(home.shardOf(object)), lock_(shard_.mutex) {}
  ~Session();
  Session(const Session&) = delete;

  // -- monitors.cpp
  Answer monitorEnter(const SyncRequest& request);
  Answer monitorExit(const SyncRequest& request);
  Answer monitorWait(const SyncRequest& request);
  Answer monitorNotify(const SyncRequest& request, bool all);
  /// The thread was interrupted while it waits on a monitor or joins.
  Answer cancelWait(const SyncRequest& request);
  void timeout(ThreadId thread, uint64_t ticket);

  // -- thread_life.cpp
  Answer threadEnd(const SyncRequest& request, std::atomic<int32_t>& state);
  Answer threadJoin(const SyncRequest& request, const std::atomic<int32_t>& state);
  Answer classInitBegin(const SyncRequest& request);
  Answer classInitEnd(const SyncRequest& request);

  // -- sync_home.cpp
  SyncState take(ObjectRef object);
  void put(ObjectRef object, const SyncState& state);

 private:
  Monitor& inflated(ObjectRef object);
  Monitor* ownedMonitor(ObjectRef object, ThreadId thread);
  Monitor* tryInflate(ObjectRef object, uint32_t lockWord);
  void release(ObjectRef object, Monitor& monitor);
  void grant(Monitor& monitor, Waiter& waiter);
  void stopWaiting(Monitor& monitor, Waiter& waiter);

  Waiter& enqueue(WaiterQueue& queue, const SyncRequest& request);
  void startTimer(Waiter& waiter, int64_t nanos);
  void stopTimer(Waiter& waiter);
  /// Takes the waiter from its queue and mails it the end of its wait.
  void answer(Waiter& waiter, Resumption resumption);
  std::vector<SyncState::Waiting> takeQueue(WaiterQueue& queue);
  void putQueue(WaiterQueue& queue, ObjectRef object, const std::vector<SyncState::Waiting>& waiting);

  SyncHome& home_;
  Ports& ports_;
  Shard& shard_;
  std::unique_lock<std::mutex> lock_;
  std::vector<std::pair<ThreadRef, ThreadMail>> mail_;
};

/// Answers of operations that succeed.
inline Resumption valueAnswer(uint64_t value, bool acquire = false) {
  Resumption r;
  r.value = value;
  r.acquire = acquire;
  return r;
}

inline Resumption throwAnswer(BuiltinThrow what, int32_t detail = 0) {
  Resumption r;
  r.kind = Resumption::Kind::Throw;
  r.builtin = what;
  r.detail = detail;
  return r;
}

}  // namespace jvmc::rt
