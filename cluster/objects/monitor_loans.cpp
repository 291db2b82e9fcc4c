#include "cluster/objects/monitor_loans.h"

#include <algorithm>
#include <utility>

#include "ir/support/check.h"

namespace jvmc::cluster {

rt::SyncHome::Borrowed MonitorLoans::carryOut(const rt::SyncRequest& request) {
  if (!request.isOnMonitor() || !hasBorrowed(request.object)) return {};
  rt::SyncHome::Borrowed result = home_->handleBorrowed(request);
  if (result.isHere) core_.stats.borrowedOperations++;
  if (result.answer && request.isAcquire()) result.answer->acquire = true;
  return result;
}

bool MonitorLoans::isLentTo(NodeId from, const rt::SyncRequest& request) const {
  return home_ && request.isOnMonitor() && home_->lentTo(request.object) == from;
}

std::vector<ObjectRef> MonitorLoans::lent() const {
  std::vector<ObjectRef> objects;
  if (!home_) return objects;
  for (const auto& [object, node] : home_->lent()) objects.push_back(object);
  return objects;
}

// ---------------------------------------------------------------- at the home

void MonitorLoans::shouldLend(ObjectRef object, NodeId node) {
  core_.net.post([this, object, node] { core_.host.accessGuest([&] { lend(object, node); }); });
}

void MonitorLoans::lend(ObjectRef object, NodeId node) {
  if (!core_.homedHere(object) || !core_.net.isPlace(node) || !core_.net.isPlace(core_.self)) return;
  const std::optional<rt::SyncState> state = home_->lend(object, node);
  if (!state) return;
  core_.stats.monitorsLent++;
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Lend));
  out.put(object);
  out.put(lent_[object] = ++loans_);
  putState(out, *state);
  send(node, out.take(), [] {});
}

/// When all is home that threads here have released.
void MonitorLoans::send(NodeId to, Bytes message, std::function<void()> done) {
  flusher_.afterDeferred([this, to, message = std::move(message), done = std::move(done)] {
    core_.net.request(to, Channel::Objects, message, [this, to, done](Result<Bytes> reply) {
      if (!reply.ok())
        return core_.host.fatal(
            std::move(reply).error().withContext(fmt::format("a monitor was on its way to node {}", to.value)));
      done();
    });
  });
}

void MonitorLoans::recall(ObjectRef object, NodeId node, bool urgent) {
  core_.net.post([this, object, node, urgent] { sendRecall(object, node, urgent); });
}

void MonitorLoans::sendRecall(ObjectRef object, NodeId node, bool urgent) {
  const auto loan = lent_.find(object);
  if (loan == lent_.end()) return;  // it is back
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Recall));
  out.put(object);
  out.put(loan->second);
  out.put(urgent);
  core_.net.notify(node, Channel::Objects, out.take());
}

// ---------------------------------------------------------------- at the borrower

void MonitorLoans::shouldGiveBack(ObjectRef object) {
  core_.net.post([this, object] { core_.host.accessGuest([&] { giveBack(object); }); });
}

void MonitorLoans::giveBack(ObjectRef object) {
  const auto loan = borrowed_.find(object);
  if (loan == borrowed_.end()) return;
  const std::optional<rt::SyncHome::GivenBack> given = home_->giveBack(object);
  JVMC_CHECK(given, object);
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Return));
  out.put(object);
  out.put(loan->second.number);
  out.put(given->served);
  putState(out, given->state);
  core_.host.trace({rt::TraceKind::Loan, loan->second.home.value, 0, loan->second.since, core_.net.now(), object});
  ++returning_;
  send(loan->second.home, out.take(), [this] { --returning_; });
  borrowed_.erase(loan);
}

/// The monitor goes when its turn is over. It may not wait longer for its owner to leave it: that thread may have moved
/// meanwhile, and be the very one who asks at home, to enter it once more.
void MonitorLoans::callBack(ObjectRef object, uint64_t number) {
  home_->callBack(object);
  if (core_.options.fault == Fault::LoanAwaitsOwner) return;
  core_.net.postAfter(kPatienceNanos, [this, object, number] {
    const auto loan = borrowed_.find(object);
    if (loan == borrowed_.end() || loan->second.number != number) return;
    core_.host.accessGuest([&] { giveBack(object); });
  });
}

void MonitorLoans::lookForIdle() {
  std::vector<ObjectRef> idle;
  for (auto& [object, loan] : borrowed_) {
    const std::optional<uint32_t> served = home_->servedIfUnused(object);
    if (served && loan.idleAt == served) idle.push_back(object);
    loan.idleAt = served;
  }
  core_.host.accessGuest([&] {
    for (ObjectRef object : idle) giveBack(object);
  });
  looksForIdle_ = !borrowed_.empty();
  if (looksForIdle_) core_.net.postAfter(kIdleNanos, [this] { lookForIdle(); });
}

// ---------------------------------------------------------------- messages

void MonitorLoans::handle(NodeId from, ObjectMessage kind, ByteReader& in, Responder& responder) {
  bool isSound = home_ != nullptr;
  core_.host.accessGuest([&] { isSound = isSound && take(from, kind, in); });
  if (kind != ObjectMessage::Recall) responder.reply({uint8_t(isSound ? ReplyStatus::Done : ReplyStatus::Refused)});
  if (!isSound)
    core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} sent a monitor that makes no sense", from.value)});
}

bool MonitorLoans::take(NodeId from, ObjectMessage kind, ByteReader& in) {
  const ObjectRef object = in.get<uint64_t>();
  const uint64_t number = in.get<uint64_t>();
  if (!in.ok() || !core_.homes.valid(object)) return false;
  switch (kind) {
    case ObjectMessage::Lend: {
      const rt::SyncState state = getSyncState(in);
      if (!in.finished() || borrowed_.contains(object) || core_.servedHere(object)) return false;
      if (core_.options.fault != Fault::LoanDoesNotTick) core_.tick();
      borrowed_[object] = {from, number, core_.net.now()};
      core_.host.trace({rt::TraceKind::Loan, from.value, 0, borrowed_[object].since, 0, object});
      home_->borrow(object, state);
      if (!std::exchange(looksForIdle_, true)) core_.net.postAfter(kIdleNanos, [this] { lookForIdle(); });
      const auto early = recalledEarly_.find({object, from.value});
      const bool isRecalled = early != recalledEarly_.end() && early->second == number;
      if (early != recalledEarly_.end() && early->second <= number) recalledEarly_.erase(early);
      if (isRecalled || !core_.net.isPlace(core_.self)) giveBack(object);
      return true;
    }
    case ObjectMessage::Recall: {
      const bool urgent = in.getBool();
      if (!in.finished()) return false;
      const auto loan = borrowed_.find(object);
      const bool isHere = loan != borrowed_.end() && loan->second.home == from;
      if (!isHere || loan->second.number < number) {
        uint64_t& early = recalledEarly_[{object, from.value}];
        early = std::max(early, number);
      } else if (loan->second.number == number) {
        urgent ? giveBack(object) : callBack(object, number);
      }
      return true;
    }
    case ObjectMessage::Return: {
      const uint32_t served = in.get<uint32_t>();
      const rt::SyncState state = getSyncState(in);
      const auto loan = lent_.find(object);
      if (!in.finished() || loan == lent_.end() || loan->second != number || home_->lentTo(object) != from)
        return false;
      lent_.erase(loan);
      if (core_.options.fault != Fault::LoanDoesNotTick) core_.tick();
      home_->takeBack(object, state, served);
      return true;
    }
    default:
      return false;
  }
}

void MonitorLoans::putState(ByteWriter& out, const rt::SyncState& state) {
  for (const auto* queue : {&state.entering, &state.waiting})
    for (const auto& each : *queue) core_.exportOut(each.thread.object);
  putSyncState(out, state);
}

size_t MonitorLoans::end() {
  if (!home_) return 0;
  const std::vector<ObjectRef> borrowed = home_->borrowed();
  for (ObjectRef object : borrowed) shouldGiveBack(object);
  const auto lent = home_->lent();
  for (const auto& [object, node] : lent) recall(object, node, true);
  return lent.size() + borrowed.size() + returning_;
}

}  // namespace jvmc::cluster
