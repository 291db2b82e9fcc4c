#include "cluster/migration/thread_migrator.h"

#include <algorithm>

#include "cluster/objects/space_core.h"
#include "ir/support/fault.h"

namespace jvmc::cluster {

using rt::GuestThread;
using rt::ThreadId;

void MigrationStats::report(const StatSink& sink) const {
  static constexpr std::array<const char*, kWaits> kWaitNames = {
      "none", "sleep", "monitorEnter", "monitorWait", "join", "park", "classInit", "outside", "access", "yield"};
  sink("moves.out", movesOut);
  sink("moves.in", movesIn);
  sink("moves.refused", refusals);
  sink("moves.duplicates", duplicates);
  sink("moves.bytes_out", bytesOut);
  sink("moves.bytes_in", bytesIn);
  for (size_t kind = 0; kind < kWaits; ++kind)
    sink(std::string("moves.out_by_wait.") + kWaitNames[kind], outByWait[kind]);
  reportHistogram(sink, "moves.settle", settleNanos);
  reportHistogram(sink, "moves.wire", wireNanos);
  reportHistogram(sink, "moves.resume", resumeNanos);
  reportHistogram(sink, "moves.ack", ackNanos);
}

ThreadMigrator::ThreadMigrator(ThreadHost& host, NodeNet& net, ThreadRouter& router, const HomeMap& homes)
    : host_(host), net_(net), router_(router), self_(net.self()), homes_(homes), placer_(net.self()) {}

NodeId ThreadMigrator::placeNewThread(std::span<const ObjectRef> uses) {
  std::vector<NodeId> used;
  for (ObjectRef object : uses)
    if (homes_.valid(object)) used.push_back(homes_.homeOf(object));
  return placer_.place(net_.places(), used);
}

// ---------------------------------------------------------------- source

void ThreadMigrator::ship(std::unique_ptr<GuestThread> thread, NodeId target) {
  if (target == self_ && thread->incarnation == 0) return begin(std::move(thread));
  const bool possible = target != self_ && net_.isPlace(target) && !closed_;
  const ThreadId id = thread->ref.id;
  // Shared, because std::function copies; one call takes the thread.
  auto transfer = std::make_shared<Transfer>(Transfer{std::move(thread), target, net_.now()});
  if (!possible) return takeBack({std::move(transfer->thread), target}, "no such node");
  {
    std::lock_guard lock(mutex_);
    leaving_[id] = transfer->thread.get();
  }
  const ThreadId waitsFor = JVMC_FAULT("thread-leaves-before-its-writes") ? ThreadId(0) : id;
  host_.leave(waitsFor, [this, transfer] {
    // The I/O thread does the rest: it is never inside guest code, so it may wait for access to it.
    net_.post([this, transfer] {
      const NodeId target = transfer->target;
      lanes_[target].queued.push_back(std::move(*transfer));
      host_.accessGuest([&] { pump(target); });
    });
  });
}

void ThreadMigrator::begin(std::unique_ptr<GuestThread> thread) {
  const rt::ThreadRef ref = thread->ref;
  if (host_.adopt(std::move(thread))) router_.arrived(ref, 0);
}

/// Sends queued threads as far as the target's credits reach. In accessGuest(), because some may come back.
void ThreadMigrator::pump(NodeId target) {
  Lane& lane = lanes_[target];
  while (!lane.queued.empty() && lane.credits > 0) {
    --lane.credits;
    Transfer next = std::move(lane.queued.front());
    lane.queued.pop_front();
    if (net_.isPlace(target)) {
      commit(std::move(next));
      continue;
    }
    ++lane.credits;
    {
      std::lock_guard lock(mutex_);
      leaving_.erase(next.thread->ref.id);
    }
    takeBack({std::move(next.thread), target}, "the node is about to leave");
  }
}

void ThreadMigrator::commit(Transfer transfer) {
  GuestThread& thread = *transfer.thread;
  const ThreadId id = thread.ref.id;
  host_.exportReferences(thread);
  ByteWriter out;
  const int64_t now = net_.now();
  putShipHead(out, {thread.ref, thread.incarnation, now});
  out.append(host_.encode(thread));
  stats_.movesOut++;
  stats_.outByWait[size_t(thread.wait.kind)]++;
  stats_.bytesOut += out.size();
  stats_.settleNanos.add(now - transfer.begun);
  router_.departed(id, thread.incarnation, transfer.target);
  const NodeId target = transfer.target;
  const Departure departure{id, thread.incarnation};
  {
    std::lock_guard lock(mutex_);
    leaving_.erase(id);
    const bool isNew = sent_.emplace(departure, Sent{std::move(transfer.thread), target, now}).second;
    JVMC_CHECK(isNew, id, departure.second);
  }
  net_.request(target, Channel::Threads, out.take(), [this, departure](Result<Bytes> reply) {
    host_.accessGuest([&] { answered(departure, std::move(reply)); });
  });
}

void ThreadMigrator::answered(Departure departure, Result<Bytes> reply) {
  const ThreadId thread = departure.first;
  Sent sent;
  {
    std::lock_guard lock(mutex_);
    const auto found = sent_.find(departure);
    JVMC_CHECK(found != sent_.end(), thread, departure.second);
    sent = std::move(found->second);
    sent_.erase(found);
  }
  stats_.ackNanos.add(net_.now() - sent.sentNanos);
  if (!reply.ok() && JVMC_FAULT("lost-thread-runs-on-here")) return takeBack(std::move(sent), "");
  if (!reply.ok()) {  // whether it runs there is unknown: it must never run here
    return host_.fatal(
        {reply.error().code, fmt::format("thread {} ({}) was lost on its way to node {}: {}", sent.thread->name, thread,
                                         sent.target.value, reply.error().message)});
  }
  ByteReader in(*reply);
  const MoveOutcome outcome = in.getEnum(MoveOutcome::BadImage);
  const uint32_t credits = in.get<uint32_t>();
  const auto words = in.take(in.left());
  if (!in.ok())
    return host_.fatal({ErrorCode::kCorrupt, fmt::format("node {} gave no valid answer to a move", sent.target.value)});
  const NodeId target = sent.target;
  lanes_[target].credits = std::min(lanes_[target].credits + credits, kCredits);
  if (outcome != MoveOutcome::Accepted) {
    stats_.refusals++;
    takeBack(std::move(sent), std::string(words.begin(), words.end()));
  } else if (JVMC_FAULT("run-accepted-thread-twice")) {
    takeBack(std::move(sent), "");
  }
  pump(target);
}

/// The thread goes on here: it was refused, or could not be sent.
void ThreadMigrator::takeBack(Sent sent, const std::string& reason) {
  GuestThread& thread = *sent.thread;
  {
    std::lock_guard lock(mutex_);
    lastRefusal_ = fmt::format("{} -> node {}: {}", thread.name, sent.target.value, reason);
  }
  const rt::ThreadRef ref = thread.ref;
  const uint32_t incarnation = thread.incarnation += !JVMC_FAULT("incarnation-is-not-raised");
  thread.epoch = host_.arrivalEpoch();
  if (host_.adopt(std::move(sent.thread))) router_.arrived(ref, incarnation);
}

void ThreadMigrator::forEachLeaving(const std::function<void(const GuestThread&)>& visit) const {
  std::lock_guard lock(mutex_);
  for (const auto& [id, thread] : leaving_) visit(*thread);
  for (const auto& [departure, sent] : sent_) visit(*sent.thread);
}

size_t ThreadMigrator::onTheirWay() const {
  std::lock_guard lock(mutex_);
  return leaving_.size() + sent_.size();
}

std::string ThreadMigrator::lastRefusal() const {
  std::lock_guard lock(mutex_);
  return lastRefusal_;
}

std::vector<std::string> ThreadMigrator::inTransit() const {
  std::vector<std::string> names;
  std::lock_guard lock(mutex_);
  for (const auto& [departure, sent] : sent_)
    names.push_back(fmt::format("{} -> node {}", sent.thread->name, sent.target.value));
  std::sort(names.begin(), names.end());
  return names;
}

// ---------------------------------------------------------------- target

void ThreadMigrator::handleMessage(const Bytes& payload, Responder& responder) {
  ByteReader in(payload);
  switch (ThreadMessage(in.get<uint8_t>())) {
    case ThreadMessage::Ship:
      return handleShip(in, responder);
    case ThreadMessage::Mail:
      router_.handleMail(in);
      return responder.reply({});
    case ThreadMessage::Location:
      return router_.handleLocation(in);
  }
  responder.fail({ErrorCode::kCorrupt, "unknown message about threads"});
}

void ThreadMigrator::handleShip(ByteReader& in, Responder& responder) {
  const int64_t arrival = net_.now();
  const ShipHead head = getShipHead(in);
  const auto image = in.take(in.left());
  std::string reason;
  MoveOutcome outcome = MoveOutcome::BadImage;
  // A stop of the world finds the thread here, or its references have come after it.
  if (in.ok()) host_.accessGuest([&] { outcome = receive(head, image, reason); });
  if (outcome == MoveOutcome::Accepted) {
    stats_.movesIn++;
    stats_.bytesIn += image.size();
    stats_.resumeNanos.add(net_.now() - arrival);
    const int64_t wire = arrival - head.sentNanos;
    if (wire >= 0 && wire < 10'000'000'000) stats_.wireNanos.add(wire);
  } else if (reason.empty()) {
    reason = describe(outcome);
  }
  ByteWriter reply;
  reply.put(uint8_t(outcome));
  reply.put(uint32_t(JVMC_FAULT("credit-is-not-given-back") ? 0 : 1));
  reply.append({reinterpret_cast<const uint8_t*>(reason.data()), reason.size()});
  responder.reply(reply.take());
}

MoveOutcome ThreadMigrator::receive(const ShipHead& head, std::span<const uint8_t> image, std::string& reason) {
  if (closed_) return MoveOutcome::Leaving;
  Result<std::unique_ptr<GuestThread>> decoded = host_.decode(image);
  if (!decoded.ok()) {
    reason = decoded.error().message;
    return MoveOutcome::BadImage;
  }
  std::unique_ptr<GuestThread> thread = std::move(*decoded);
  if (thread->ref != head.thread) return MoveOutcome::BadImage;
  thread->incarnation = head.incarnation;
  thread->epoch = JVMC_FAULT("moved-thread-keeps-no-epoch") ? 0 : host_.arrivalEpoch();
  thread->writerSlot = 0;
  thread->writeSet = nullptr;
  if (host_.adopt(std::move(thread))) {
    router_.arrived(head.thread, head.incarnation);
  } else {
    stats_.duplicates++;  // it runs here already, or has moved on since
  }
  return MoveOutcome::Accepted;
}

}  // namespace jvmc::cluster
