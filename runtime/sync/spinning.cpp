// Threads of other nodes that do nothing but read a volatile of an object here until it holds something else (the
// compiler knows: ir/passes/spin_waits.cpp). Each read is a round trip, and nearly all bring the same news. So a read
// that says what it has brought before is answered when there is another value, or after a while.
//
// Stores that come here as requests are noticed at once. Threads of this node store with a machine instruction that
// tells nobody: the field is looked at, at first often and then ever more rarely, so that a change is noticed late by
// an eighth of the time waited at most.
#include <algorithm>

#include "runtime/sync/atomic_access.h"
#include "runtime/sync/session.h"

namespace jvmc::rt {
namespace {

constexpr int64_t kLookNanosMin = 20'000, kLookNanosMax = 1'000'000;
/// A read is answered after so long in any case, whatever patience it says it has.
constexpr int64_t kSpinNanosMax = 10'000'000;

uint64_t valueOf(ObjectRef object, uint32_t offset, uint32_t sizeLog2) {
  return accessAtomically(AtomicOp::Load, object + offset, sizeLog2, 0, 0);
}

}  // namespace

SyncHome::Answer SyncHome::Session::awaitChange(const SyncRequest& request) {
  // Before the field is read: whoever stores to it looks here after that.
  ++home_.spinners_;
  const uint64_t value = valueOf(request.object, request.offset, request.sizeLog2);
  if (value != request.a) {
    --home_.spinners_;
    return valueAnswer(value, true);
  }
  const int64_t now = ports_.timers.now();
  Spinning& spinning = shard_.spinning[request.object];
  spinning.threads.push_back({request.thread, request.ticket, request.offset, request.sizeLog2, request.a, now,
                              now + std::clamp<int64_t>(request.nanos, 0, kSpinNanosMax)});
  lookLater(request.object, spinning);
  return std::nullopt;
}

void SyncHome::Session::lookLater(ObjectRef object, Spinning& spinning) {
  if (std::exchange(spinning.timerRuns, true)) return;
  const int64_t waited = ports_.timers.now() - spinning.threads.front().since;
  ports_.timers.arm(std::clamp(waited / 8, kLookNanosMin, kLookNanosMax), static_cast<Timers::Sink&>(home_), object, 0,
                    kLooksForChange);
}

/// The object may have changed. `isLeaving`: all are answered.
void SyncHome::Session::lookForChange(ObjectRef object, bool isTimer, bool isLeaving) {
  const auto found = shard_.spinning.find(object);
  if (found == shard_.spinning.end()) return;
  Spinning& spinning = found->second;
  if (isTimer) spinning.timerRuns = false;
  const int64_t now = ports_.timers.now();
  std::erase_if(spinning.threads, [&](const Spinner& each) {
    const uint64_t value = valueOf(object, each.offset, each.sizeLog2);
    if (value == each.value && now < each.until && !isLeaving) return false;
    Resumption answer = valueAnswer(value, true);
    answer.remote = true;
    mail_.emplace_back(each.thread, ThreadMail{ThreadMail::Kind::Answer, each.ticket, answer, {}, {}});
    --home_.spinners_;
    return true;
  });
  if (spinning.threads.empty())
    shard_.spinning.erase(found);
  else
    lookLater(object, spinning);
}

}  // namespace jvmc::rt
