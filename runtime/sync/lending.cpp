// Turns of nodes. A monitor that threads of several nodes want goes from thread to thread of one node for a while
// before it goes on to the next: within a node that costs a fraction of a microsecond, between nodes round trips, and
// whoever gets it there has to read again what it protects.
//
// At home: exits prefer waiters of the node that has had it, until that node's turn ends. If nobody of that node waits
// but its threads keep coming back quickly, the monitor *lingers*: nobody owns it, and threads here may overtake those
// who wait, until the turn ends or nobody has come for a while.
//
// Elsewhere: a monitor that another node's threads enter again and again is lent to that node, with its queues; here
// only the inflated word stays. What is asked for here meanwhile waits in `awaiting`, and the borrower is told. It
// gives the monitor back when its turn is over. A loan that served few entries makes the next ones rarer.
//
//     Home --shouldLend, lend--> Lent ==== SyncState ====> Borrowed --shouldGiveBack, giveBack--> gone
//       ^------------------------------ takeBack <======== SyncState ==================='
#include <algorithm>

#include "ir/support/check.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/sync/session.h"

namespace jvmc::rt {
namespace {

constexpr int64_t kTurnNanos = 1'000'000;
/// Who comes back within this time after an exit comes back quickly; a monitor lingers for as long.
constexpr int64_t kLingerNanos = 30'000;
constexpr uint32_t kQuickEntriesMin = 2;
/// How far down the queue a waiter of the same node is looked for.
constexpr int kLookMax = 16;
/// Entries of one node in succession after which it borrows the monitor.
constexpr uint32_t kRunMin = 4;
/// A loan that has served fewer was in vain.
constexpr uint32_t kServedMin = 4;
constexpr uint32_t kBackoffMax = 1023;
constexpr size_t kInterestsMax = 1024;

}  // namespace

// ---------------------------------------------------------------- turns

void SyncHome::Session::own(Monitor& monitor, ThreadId thread, NodeId node) {
  monitor.owner = thread;
  monitor.lingers = false;
  if (monitor.holder == node) return;
  monitor.holder = node;
  monitor.turnEnds = ports_.timers.now() + kTurnNanos;
}

void SyncHome::Session::noteEntry(Monitor& monitor) {
  ++monitor.served;
  if (monitor.lastExit == 0) return;
  const bool isQuick = ports_.timers.now() - monitor.lastExit < kLingerNanos;
  monitor.quickEntries = isQuick ? monitor.quickEntries + 1 : 0;
}

/// Nobody owns the monitor: it goes to the next one. `isIdle`: it has lingered in vain, or must not linger.
void SyncHome::Session::passOn(ObjectRef object, Monitor& monitor, bool isIdle) {
  const bool isBorrowed = monitor.place == Place::Borrowed;
  if (monitor.entering.empty() && !isBorrowed) {
    if (!monitor.waiting.empty()) return;
    // Once the word is free, others lock it without asking here: the table entry goes first.
    shard_.monitors.erase(object);
    header(object)->lockWord.store(0, std::memory_order_release);
    return;
  }
  if (monitor.entering.empty() && !monitor.recalled) return;  // it stays
  Waiter* ofHolder = nullptr;
  Waiter* ofOthers = nullptr;
  int looks = 0;
  for (Waiter* each = monitor.entering.first(); each && looks < kLookMax; each = each->next, ++looks) {
    Waiter*& found = each->node == monitor.holder ? ofHolder : ofOthers;
    if (!found) found = each;
  }
  const bool othersWant = ofOthers || monitor.recalled;
  const int64_t now = othersWant ? ports_.timers.now() : 0;
  if (monitor.holder == ports_.self) monitor.lastExit = now;
  const bool isTurnOver = othersWant && now >= monitor.turnEnds;
  if (ofHolder && !isTurnOver) return grant(object, monitor, *ofHolder);
  const bool comesBack = monitor.holder == ports_.self && monitor.quickEntries >= kQuickEntriesMin;
  if (!ofHolder && comesBack && !isTurnOver && !isIdle) return linger(object, monitor);
  monitor.lingers = false;
  if (isBorrowed) return tell([object](Lender& lender) { lender.shouldGiveBack(object); });
  grant(object, monitor, ofOthers ? *ofOthers : *ofHolder);
}

void SyncHome::Session::linger(ObjectRef object, Monitor& monitor) {
  monitor.lingers = true;
  if (std::exchange(monitor.timerRuns, true)) return;
  ports_.timers.arm(kLingerNanos, static_cast<Timers::Sink&>(home_), object, 0, 0);
}

void SyncHome::Session::endLinger(ObjectRef object) {
  const auto found = shard_.monitors.find(object);
  if (found == shard_.monitors.end() || !std::exchange(found->second.timerRuns, false)) return;
  Monitor& monitor = found->second;
  if (!monitor.lingers) return;
  const bool isIdle = ports_.timers.now() - monitor.lastExit >= kLingerNanos;
  if (!isIdle) return linger(object, monitor);
  monitor.quickEntries = 0;
  passOn(object, monitor, true);
}

// ---------------------------------------------------------------- who may borrow

/// A thread of `node`, or of this one (invalid), enters.
void SyncHome::Session::noteInterest(ObjectRef object, NodeId node) {
  if (!home_.lender_ || findAt(object, Place::Borrowed)) return;
  const auto found = shard_.interests.find(object);
  if (!node.valid()) {
    if (found != shard_.interests.end()) found->second.run = 0;
    return;
  }
  if (found == shard_.interests.end() && shard_.interests.size() >= kInterestsMax) shard_.interests.clear();
  Interest& interest = shard_.interests[object];
  if (interest.node != node) interest.run = 0;
  interest.node = node;
  if (++interest.run < kRunMin) return;
  interest.run = 0;
  if (mayLend(interest)) tell([object, node](Lender& lender) { lender.shouldLend(object, node); });
}

bool SyncHome::Session::mayLend(Interest& interest) const {
  if (interest.skip == 0) return true;
  --interest.skip;
  return false;
}

// ---------------------------------------------------------------- away and back

SyncHome::Monitor* SyncHome::Session::findAt(ObjectRef object, Place place) const {
  if ((place == Place::Lent ? shard_.lent : shard_.borrowed) == 0) return nullptr;
  const auto found = shard_.monitors.find(object);
  return found != shard_.monitors.end() && found->second.place == place ? &found->second : nullptr;
}

std::optional<SyncState> SyncHome::Session::lend(ObjectRef object, NodeId node) {
  if (findAt(object, Place::Lent)) return std::nullopt;
  Monitor* monitor = nullptr;
  while (!monitor) {
    const uint32_t word = header(object)->lockWord.load(std::memory_order_acquire);
    monitor = word & kLockInflated ? &inflated(object) : tryInflate(object, word);
  }
  // A thread of this node is in it, or may come back.
  if (monitor->holder == ports_.self && (monitor->owner != 0 || monitor->lingers)) return std::nullopt;
  SyncState state;
  state.inflated = true;
  state.owner = std::exchange(monitor->owner, 0);
  state.count = std::exchange(monitor->count, 0);
  state.entering = takeQueue(monitor->entering);
  state.waiting = takeQueue(monitor->waiting);
  monitor->place = Place::Lent;
  monitor->lentTo = node;
  monitor->recalled = monitor->lingers = false;
  ++shard_.lent;
  return state;
}

void SyncHome::Session::takeBack(ObjectRef object, const SyncState& state, uint32_t served) {
  Monitor* monitor = findAt(object, Place::Lent);
  JVMC_CHECK(monitor, object);
  --shard_.lent;
  const std::vector<Awaiting> awaiting = std::move(monitor->awaiting);
  Interest& interest = shard_.interests[object];
  interest.backoff = served >= kServedMin ? 0 : std::min(2 * interest.backoff + 1, kBackoffMax);
  interest.skip = interest.backoff;
  // As if it had just been inflated.
  shard_.monitors.erase(object);
  monitor = &shard_.monitors[object];
  monitor->owner = state.owner;
  monitor->count = state.count;
  putQueue(monitor->entering, object, state.entering);
  putQueue(monitor->waiting, object, state.waiting);
  for (const auto& [request, from] : awaiting) {
    Answer answer = this->monitor(request, from);
    if (!answer || request.op == SyncOp::CancelWait) continue;
    answer->acquire = answer->acquire || request.isAcquire();
    answer->remote = from.valid();
    mail_.emplace_back(request.thread, ThreadMail{ThreadMail::Kind::Answer, request.ticket, *answer, {}, {}});
  }
  const auto found = shard_.monitors.find(object);
  if (found != shard_.monitors.end() && found->second.place == Place::Home && found->second.owner == 0)
    passOn(object, found->second, true);
}

void SyncHome::Session::borrow(ObjectRef object, const SyncState& state) {
  Monitor& monitor = shard_.monitors[object];
  JVMC_CHECK(monitor.place == Place::Home && monitor.entering.empty(), object);
  monitor.place = Place::Borrowed;
  monitor.owner = state.owner;
  monitor.count = state.count;
  monitor.holder = ports_.self;
  monitor.turnEnds = ports_.timers.now() + kTurnNanos;
  monitor.quickEntries = kQuickEntriesMin;  // it has come because they come back
  putQueue(monitor.entering, object, state.entering);
  putQueue(monitor.waiting, object, state.waiting);
  ++shard_.borrowed;
  ++home_.borrowedCount_;
  if (monitor.owner == 0) passOn(object, monitor, false);
}

bool SyncHome::Session::hasBorrowed(ObjectRef object) const {
  return findAt(object, Place::Borrowed);
}

void SyncHome::Session::callBack(ObjectRef object) {
  Monitor* monitor = findAt(object, Place::Borrowed);
  if (!monitor) return;
  monitor->recalled = true;
  if (monitor->owner == 0 && !monitor->lingers) passOn(object, *monitor, false);
}

std::optional<SyncHome::GivenBack> SyncHome::Session::giveBack(ObjectRef object) {
  Monitor* monitor = findAt(object, Place::Borrowed);
  if (!monitor) return std::nullopt;
  GivenBack given;
  given.served = monitor->served;
  given.state.inflated = true;
  given.state.owner = monitor->owner;
  given.state.count = monitor->count;
  given.state.entering = takeQueue(monitor->entering);
  given.state.waiting = takeQueue(monitor->waiting);
  shard_.monitors.erase(object);
  --shard_.borrowed;
  --home_.borrowedCount_;
  return given;
}

void SyncHome::Session::tell(std::function<void(Lender&)> what) {
  told_.push_back(std::move(what));
}

// ---------------------------------------------------------------- SyncHome

std::optional<SyncState> SyncHome::lend(ObjectRef object, NodeId node) {
  return Session(*this, object).lend(object, node);
}

void SyncHome::takeBack(ObjectRef object, const SyncState& state, uint32_t served) {
  Session(*this, object).takeBack(object, state, served);
}

void SyncHome::borrow(ObjectRef object, const SyncState& state) {
  Session(*this, object).borrow(object, state);
}

std::optional<SyncHome::GivenBack> SyncHome::giveBack(ObjectRef object) {
  return Session(*this, object).giveBack(object);
}

void SyncHome::callBack(ObjectRef object) {
  Session(*this, object).callBack(object);
}

bool SyncHome::hasBorrowed(ObjectRef object) const {
  if (borrowedCount_ == 0) return false;
  const Shard& shard = shardOf(object);
  std::scoped_lock lock(shard.mutex);
  const auto found = shard.monitors.find(object);
  return found != shard.monitors.end() && found->second.place == Place::Borrowed;
}

std::optional<uint32_t> SyncHome::servedIfUnused(ObjectRef object) const {
  const Shard& shard = shardOf(object);
  std::scoped_lock lock(shard.mutex);
  const auto found = shard.monitors.find(object);
  if (found == shard.monitors.end()) return std::nullopt;
  const Monitor& monitor = found->second;
  if (monitor.owner != 0 || !monitor.entering.empty() || !monitor.waiting.empty()) return std::nullopt;
  return monitor.served;
}

SyncHome::Borrowed SyncHome::handleBorrowed(const SyncRequest& request) {
  Borrowed result;
  Session session(*this, request.object);
  if (!session.hasBorrowed(request.object)) return result;
  result.answer = session.monitor(request, {});
  result.isHere = true;
  return result;
}

NodeId SyncHome::lentTo(ObjectRef object) const {
  const Shard& shard = shardOf(object);
  std::scoped_lock lock(shard.mutex);
  const auto found = shard.lent > 0 ? shard.monitors.find(object) : shard.monitors.end();
  return found != shard.monitors.end() && found->second.place == Place::Lent ? found->second.lentTo : NodeId();
}

std::vector<std::pair<ObjectRef, NodeId>> SyncHome::lent() const {
  std::vector<std::pair<ObjectRef, NodeId>> all;
  for (const Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    if (shard.lent == 0) continue;
    for (const auto& [object, monitor] : shard.monitors)
      if (monitor.place == Place::Lent) all.emplace_back(object, monitor.lentTo);
  }
  return all;
}

std::vector<ObjectRef> SyncHome::borrowed() const {
  std::vector<ObjectRef> all;
  for (const Shard& shard : shards_) {
    std::scoped_lock lock(shard.mutex);
    if (shard.borrowed == 0) continue;
    for (const auto& [object, monitor] : shard.monitors)
      if (monitor.place == Place::Borrowed) all.push_back(object);
  }
  return all;
}

}  // namespace jvmc::rt
