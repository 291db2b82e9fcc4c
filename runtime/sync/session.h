// One operation of SyncHome: holds the shard's mutex, works on its tables, and collects mail that goes out after the
// mutex is released.
#pragma once

#include <functional>
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
  /// Any operation on a monitor. `from`: as of SyncHome::handle().
  Answer monitor(const SyncRequest& request, NodeId from);
  Answer monitorEnter(const SyncRequest& request, NodeId from);
  Answer monitorExit(const SyncRequest& request, NodeId from);
  Answer monitorWait(const SyncRequest& request, NodeId from);
  Answer monitorNotify(const SyncRequest& request, bool all);
  /// The thread was interrupted while it waits on a monitor or joins.
  Answer cancelWait(const SyncRequest& request);
  void timeout(ThreadId thread, uint64_t ticket);

  // -- lending.cpp
  std::optional<SyncState> lend(ObjectRef object, NodeId node);
  void takeBack(ObjectRef object, const SyncState& state, uint32_t served);
  void borrow(ObjectRef object, const SyncState& state);
  bool hasBorrowed(ObjectRef object) const;
  std::optional<GivenBack> giveBack(ObjectRef object);
  void callBack(ObjectRef object);
  /// A monitor that nobody owned has been left alone for a while, or not.
  void endLinger(ObjectRef object);

  // -- spinning.cpp
  Answer awaitChange(const SyncRequest& request);
  void lookForChange(ObjectRef object, bool isTimer, bool isLeaving = false);

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
  uint32_t lockWord(ObjectRef object) const;
  void release(ObjectRef object, Monitor& monitor, NodeId from);
  void grant(ObjectRef object, Monitor& monitor, Waiter& waiter);
  void stopWaiting(Monitor& monitor, Waiter& waiter);

  Monitor* findAt(ObjectRef object, Place place) const;
  bool isHere(const Waiter& waiter) const { return waiter.node == ports_.self; }
  void noteEntry(Monitor& monitor);
  void noteInterest(ObjectRef object, NodeId node);
  bool mayLend(Interest& interest) const;
  void own(Monitor& monitor, ThreadId thread, NodeId node);
  void passOn(ObjectRef object, Monitor& monitor, bool isIdle);
  void linger(ObjectRef object, Monitor& monitor);
  void tell(std::function<void(Lender&)> what);
  void lookLater(ObjectRef object, Spinning& spinning);

  Waiter& enqueue(WaiterQueue& queue, const SyncRequest& request, NodeId from = {});
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
  std::vector<std::function<void(Lender&)>> told_;
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
