// The mutator side: checks that miss, acquire, release, requests to homes. See flusher.cpp for what a release does and
// home_side.cpp for the other end of every message.
#include "cluster/objects/cluster_object_space.h"

#include "ir/support/check.h"
#include "runtime/vm.h"

namespace jvmc::cluster {

using rt::Resumption;
using rt::SyncRequest;
using rt::ThreadContext;

namespace {

/// After that a monitor that is on its way here is asked for again.
constexpr int64_t kLentRetryNanos = 20'000;
/// What is asked for at a time; and at least, if a thread goes through an array.
constexpr uint32_t kChunksAtOnce = 64, kChunksAhead = 4;
/// Copies that were valid so many ticks of the clock ago are those that a thread has just come from.
constexpr uint64_t kJustNow = 16 * rt::kEpochStep;

/// In guest code or access: it cannot be called back meanwhile.
bool isBorrowed(ObjectRef object) {
  return rt::isBorrowedEpoch(rt::header(object)->epochWord.load(std::memory_order_acquire));
}

}  // namespace

ClusterObjectSpace::ClusterObjectSpace(SpaceHost& host, BlockHost& blocks, NodeNet& net, HomeMap& homes,
                                       std::atomic<uint64_t>& clock, SpaceOptions options)
    : core_(host, net, homes, clock, options),
      copies_(core_),
      writers_(core_),
      flusher_(core_),
      objectLoans_(core_, copies_, writers_, flusher_, blocks),
      refresher_(core_, copies_, objectLoans_),
      loans_(core_, flusher_),
      leases_(core_, flusher_),
      homeSide_(core_, flusher_, loans_, leases_),
      mover_(core_, flusher_, loans_, leases_, blocks),
      arrivals_(core_, blocks),
      evictor_(core_, blocks) {
  leases_.open([this](auto body) { mover_.whileStopped(std::move(body)); },
               [this](const CopyUnit& unit, ByteReader& diff) { return homeSide_.applyDiff(unit, diff); });
  net.setHandler(Channel::Objects, [this](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
    const auto kind = ObjectMessage(payload.empty() ? 0 : payload[0]);
    if (kind == ObjectMessage::Prepare) return arrivals_.handlePrepare(from, payload, std::move(responder));
    if (kind == ObjectMessage::Blocks) {
      arrivals_.handleBlocks(from, payload, *responder);
      return core_.net.reuse(std::move(payload));
    }
    if (kind >= ObjectMessage::Lend) {
      ByteReader in(payload);
      in.get<uint8_t>();
      if (kind >= ObjectMessage::Unlease) return handleLeaseMessage(from, kind, in, std::move(responder));
      return loans_.handle(from, kind, in, *responder);
    }
    homeSide_.handle(from, std::move(payload), std::move(responder));
  });
}

// ---------------------------------------------------------------- checks

void ClusterObjectSpace::checkRead(ThreadContext& ctx, ObjectRef object) {
  core_.stats.slowReads++;
  validate(ctx, object);
}

void ClusterObjectSpace::checkWrite(ThreadContext& ctx, ObjectRef object) {
  core_.stats.slowWrites++;
  makeWritable(ctx, object);
}

void ClusterObjectSpace::checkElementsRead(ThreadContext& ctx, ObjectRef array, uint32_t low, uint32_t high) {
  const ObjectShape shape = core_.shapeOf(array);
  if (shape.chunksOf(array) == 0) return;  // it is a unit, and has been checked
  core_.stats.slowReads++;
  const uint32_t last = shape.chunkOfElement(high - 1);
  for (uint32_t chunk = shape.chunkOfElement(low); chunk <= last; ++chunk) validate(ctx, CopyUnit(array, chunk), last);
}

void ClusterObjectSpace::checkElementsWrite(ThreadContext& ctx, ObjectRef array, uint32_t low, uint32_t high) {
  const ObjectShape shape = core_.shapeOf(array);
  if (shape.chunksOf(array) == 0) return checkWrite(ctx, array);
  core_.stats.slowWrites++;
  const uint32_t last = shape.chunkOfElement(high - 1);
  for (uint32_t chunk = shape.chunkOfElement(low); chunk <= last; ++chunk)
    makeWritable(ctx, CopyUnit(array, chunk), last);
}

/// At home: before a field is written nobody has a lease. True if somebody had; the thread has waited.
bool ClusterObjectSpace::awaitLeases(ThreadContext& ctx, ObjectRef object) {
  if (!Leases::isShared(object) || core_.options.fault == Fault::SharedIsWritten) return false;
  WaitToken token = core_.host.prepareWait(ctx);
  if (leases_.recall(object, [this, token] { core_.host.wake(token); })) core_.host.wait(ctx, std::move(token));
  return true;
}

/// At home: before a field is read or written no other node has it on loan. The same.
bool ClusterObjectSpace::awaitLoan(ThreadContext& ctx, ObjectRef object) {
  if (!Leases::isLent(object)) return false;
  WaitToken token = core_.host.prepareWait(ctx);
  if (leases_.recall(object, [this, token] { core_.host.wake(token); })) core_.host.wait(ctx, std::move(token));
  return true;
}

/// Makes the thread a writer of the unit. Nobody is one of a head.
void ClusterObjectSpace::makeWritable(ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk) {
  for (;;) {
    validate(ctx, unit, lastChunk);
    if (awaitLeases(ctx, unit.object)) continue;
    if (writers_.join(ctx, unit)) return;
    // Nobody becomes a writer of a copy whose home is on its way here.
    if (core_.homes.at(unit.object).state != HomeState::Settled)
      awaitBlock(ctx, unit.object, core_.host.prepareWait(ctx));
  }
}

bool ClusterObjectSpace::isReadable(const ThreadContext& ctx, const CopyUnit& unit) {
  const uint64_t word = core_.epochWord(unit).load(std::memory_order_acquire);
  if (word >= ctx.epoch || rt::isChunkedEpoch(word)) return true;
  // At home chunks have no states.
  return unit.chunk != 0 && rt::isHomeEpoch(rt::header(unit.object)->epochWord.load(std::memory_order_acquire));
}

/// Returns when the copy may be used by the thread (or is no copy: the object is homed here). Of a chunk's array the
/// head has been checked; chunks up to `lastChunk` are about to be validated as well.
void ClusterObjectSpace::validate(ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk) {
  if (isReadable(ctx, unit)) {
    core_.stats.slowHits++;
    return;
  }
  if (core_.options.noCache) {
    // A fetch leaves an invalid stamp behind: every check comes here, and one's own fetch is enough.
    while (!fetch(ctx, unit, 0)) {
    }
    return;
  }
  // A home that has been asked for several units leaves those unanswered that have moved, and does not say where to:
  // who asks again asks for this one alone.
  for (uint32_t last = lastChunk; !copies_.use(ctx, unit) && !isReadable(ctx, unit); last = 0) fetch(ctx, unit, last);
}

/// Asks the home for the unit, or waits for what is going on with it. Either way the copy may be too old again
/// afterwards. True unless it only waited.
bool ClusterObjectSpace::fetch(ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk) {
  EntryTable::Shard& shard = core_.table.shard(unit);
  WaitToken token = core_.host.prepareWait(ctx);
  const bool overlap = core_.options.fault == Fault::FetchOverlapsFlush;
  uint64_t stamp = 0;
  Refresher::Others others;
  enum class Found { Free, Busy, Moving, Here } found = Found::Free;
  {
    std::lock_guard lock(shard.mutex);
    const BlockHome home = core_.homes.at(unit.object);
    if (home.state != HomeState::Settled) {
      found = Found::Moving;
    } else if (home.node == core_.self || isBorrowed(unit.object)) {
      found = Found::Here;  // since a moment ago, or on loan to another node
    } else {
      Entry& entry = shard.entries[unit];
      if (entry.busy && !(overlap && entry.flushing)) {
        found = Found::Busy;
        entry.waiters.push_back([this, token] { core_.host.wake(token); });
      } else {
        entry.busy = true;
        stamp = core_.clock.load();  // I2: before the request leaves
        if (rt::stampOf(core_.epochWord(unit).load(std::memory_order_relaxed)) != rt::kEpochInvalid)
          others.group = core_.groupWord(unit).load(std::memory_order_relaxed);
      }
    }
  }
  switch (found) {
    case Found::Here:
      return !awaitLoan(ctx, unit.object);
    case Found::Moving:
      awaitBlock(ctx, unit.object, std::move(token));
      return false;
    case Found::Busy:
      core_.stats.busyWaits++;
      core_.host.wait(ctx, std::move(token));
      return false;
    case Found::Free: {
      const bool isWatched = ctx.vm && (ctx.vm->profiler().wants(rt::SampleKind::Fetch) || ctx.vm->tracer().isOn());
      const NodeId home = isWatched ? core_.homes.homeOf(unit.object) : core_.self;
      const int64_t asked = isWatched ? core_.net.now() : 0;
      others.together = copies_.usedWith(others.group);
      others.lastChunk = readAhead(ctx, unit, lastChunk);
      ask(ctx, unit, stamp, others, token);
      core_.host.wait(ctx, std::move(token));
      if (isWatched) noteFetch(ctx, unit, home, asked);
      break;
    }
  }
  return true;
}

/// Up to which chunk of the array to ask for with this one: all that the thread is about to use, or, if it seems to go
/// through the array from chunk to chunk, as many as it has come through. `lastChunk` 0: for this one alone.
uint32_t ClusterObjectSpace::readAhead(const ThreadContext& ctx, const CopyUnit& unit, uint32_t lastChunk) {
  if (unit.chunk == 0 || lastChunk == 0 || core_.options.noCache) return 0;
  const uint64_t oldest = std::max(ctx.epoch - kJustNow, rt::kEpochUsed);
  const auto justUsed = [&](uint32_t chunk) {
    return core_.epochWord(CopyUnit(unit.object, chunk)).load(std::memory_order_relaxed) >= oldest;
  };
  uint32_t run = 0;
  while (run < kChunksAtOnce && run + 1 < unit.chunk && justUsed(unit.chunk - run - 1)) ++run;
  const uint32_t ahead = run == 0 ? 0 : std::max(run, kChunksAhead);
  const uint32_t chunks = core_.shapeOf(unit.object).chunksOf(unit.object);
  return std::min({std::max(lastChunk, unit.chunk + ahead), unit.chunk + kChunksAtOnce - 1, chunks});
}

/// For profile and timeline: the thread asked for the unit then, and has got it.
void ClusterObjectSpace::noteFetch(ThreadContext& ctx, const CopyUnit& unit, NodeId home, int64_t asked) {
  const int64_t now = core_.net.now();
  if (ctx.vm->profiler().wants(rt::SampleKind::Fetch))
    ctx.vm->profiler().noteFetch(ctx, unit.object, home.value, core_.shapeOf(unit).dataBytes(), uint64_t(now - asked));
  if (ctx.vm->tracer().isOn())
    ctx.vm->tracer().add({rt::TraceKind::Fetch, home.value, ctx.thread->ref.id, asked, now, unit.object});
}

/// The object's block is changing its home.
void ClusterObjectSpace::awaitBlock(ThreadContext& ctx, ObjectRef object, WaitToken token) {
  if (mover_.takeBack(object)) return;
  core_.stats.blockWaits++;
  if (core_.gates.wait(object, [this, token] { core_.host.wake(token); })) core_.host.wait(ctx, std::move(token));
}

void ClusterObjectSpace::ask(const ThreadContext& ctx, const CopyUnit& unit, uint64_t stamp,
                             const Refresher::Others& others, const WaitToken& token) {
  core_.stats.fetches++;
  if (others.together.empty() && others.lastChunk <= unit.chunk) {
    // The thread may not leave before the neighbours are here, which it does not wait for.
    core_.traffic.begin(ctx.thread->ref.id);
    return sendFetch({ctx.thread->ref.id, unit, stamp, token});
  }
  {
    EntryTable::Shard& shard = core_.table.shard(unit);
    std::lock_guard lock(shard.mutex);
    shard.entries[unit].waiters.push_back([this, token] { core_.host.wake(token); });
  }
  refresher_.refresh({ctx.thread->ref.id, unit, stamp}, ctx.epoch, others);
}

void ClusterObjectSpace::sendFetch(const Fetch& fetch) {
  const BlockHome home = core_.homes.at(fetch.unit.object);
  const Moment now{core_.recentFlushes.now(), core_.stats.adoptedGroups.load()};
  const int64_t sent = core_.net.now();
  core_.net.request(home.node, Channel::Objects, encodeFetch(fetch.unit, !core_.options.noCache),
                    [this, fetch, home, now, sent](Result<Bytes> reply) {
                      const int64_t waited = core_.net.now() - sent;
                      core_.stats.fetchNanos.add(waited);
                      core_.remoteUse.note(fetch.thread, home.node, reply.ok() ? reply->size() : 0, waited);
                      onFetched(fetch, home, now, std::move(reply));
                    });
}

/// I/O thread. A fetch that failed ends the program; its fiber is never woken.
void ClusterObjectSpace::onFetched(const Fetch& fetch, BlockHome home, const Moment& asked, Result<Bytes> reply) {
  if (!reply.ok())
    return core_.host.fatal(std::move(reply).error().withContext(fmt::format("reading from node {}", home.node.value)));
  ByteReader in(*reply);
  const ReplyStatus status = in.getEnum(ReplyStatus::Moved);
  if (status == ReplyStatus::Moved) {
    const BlockHome whereabouts = getWhereabouts(in);
    if (in.finished() && core_.homes.learn(fetch.unit.object, whereabouts, home)) return sendFetch(fetch);
  }
  bool installed = false;
  core_.host.accessGuest([&] {
    installed = status == ReplyStatus::Done && in.ok() && installImage(fetch, in);
    if (!installed) return;
    copies_.endTransaction(fetch.unit);
    if (fetch.token) {
      core_.host.wake(fetch.token);  // the neighbours need not hold it up
      installed = installNeighbours(fetch, asked, in) && in.finished();
    }
    core_.traffic.end(fetch.thread);
  });
  if (!installed) core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} sent no valid object", home.node.value)});
}

bool ClusterObjectSpace::installImage(const Fetch& fetch, ByteReader& in) {
  const ObjectImage image = getImage(in);
  if (!in.ok() || !copies_.isSound(fetch.unit, image)) return false;
  if (image.holds == Holds::OnLoan && (fetch.unit.chunk != 0 || core_.options.noCache)) return false;
  uint64_t stamp = core_.options.fault == Fault::StampAtReply ? core_.clock.load() : fetch.stamp;
  if (core_.options.noCache) stamp = rt::kEpochInvalid;
  core_.stats.fetchBytes += image.data.size();

  bool isNew = false;
  {
    EntryTable::Shard& shard = core_.table.shard(fetch.unit);
    std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[fetch.unit];
    if (!core_.options.noCache) stamp = copies_.stampFor(image.holds, stamp, &entry);
    isNew = copies_.store(fetch.unit, image, stamp, &entry);
    if (image.holds == Holds::OnLoan) objectLoans_.borrow(fetch.unit, entry);
  }
  if (isNew && fetch.token && !image.isFrozen() && !core_.options.noCache)
    core_.fetched.note(fetch.thread, {&fetch.unit, 1});
  return true;
}

/// Objects that came along unasked. One is installed only if nothing can have happened to it here that its image does
/// not know of: it is no younger copy, nobody writes it, no flush of it has ended meanwhile, and it was not at home
/// here in between. False if the message makes no sense.
bool ClusterObjectSpace::installNeighbours(const Fetch& fetch, const Moment& asked, ByteReader& in) {
  std::vector<CopyUnit> fresh;
  for (uint32_t left = in.getCount(25); left > 0; --left) {
    const ObjectRef object = in.get<uint64_t>();
    const ObjectImage image = getImage(in);
    if (!in.ok() || !core_.homes.valid(object) || !copies_.isSound(object, image)) return false;
    EntryTable::Shard& shard = core_.table.shard(object);
    std::lock_guard lock(shard.mutex);
    const BlockHome home = core_.homes.at(object);
    const uint64_t present = rt::stampOf(rt::header(object)->epochWord.load(std::memory_order_relaxed));
    const bool unknown = home.state == HomeState::Settled && home.node != core_.self && present < fetch.stamp &&
                         !shard.entries.contains(object) && core_.stats.adoptedGroups == asked.adoptions &&
                         !core_.recentFlushes.maybeSince(asked.flushes, object);
    if (!unknown && core_.options.fault != Fault::NeighboursUnchecked) continue;
    const uint64_t stamp = image.isFrozen() ? rt::kEpochImmutable : fetch.stamp & ~rt::kEpochUsed;
    if (copies_.store(object, image, stamp, nullptr) && !image.isFrozen()) fresh.push_back(object);
    core_.stats.neighbours++;
    core_.stats.fetchBytes += image.data.size();
  }
  if (!fresh.empty()) core_.fetched.note(fetch.thread, fresh);
  return true;
}

// ---------------------------------------------------------------- acquire, release, requests

void ClusterObjectSpace::acquire(ThreadContext& ctx, bool remote) {
  if (remote) core_.stats.acquiresRemote++;  // local ones are too frequent to be counted
  ctx.epoch = remote ? core_.tick() : core_.clock.load();
}

uint64_t ClusterObjectSpace::arrivalEpoch() {
  core_.stats.acquiresRemote++;
  return core_.tick();
}

bool ClusterObjectSpace::release(ThreadContext& ctx, uint64_t ticket) {
  return flusher_.release(ctx, noted(ctx, [this, to = ctx.thread->ref, ticket] {
                            rt::ThreadMail mail{};
                            mail.kind = rt::ThreadMail::Kind::Answer;
                            mail.ticket = ticket;
                            core_.host.post(to, mail);
                          }));
}

/// For the timeline: `done`, called when the thread's writes are home, also says how long they were on their way.
std::function<void()> ClusterObjectSpace::noted(ThreadContext& ctx, std::function<void()> done) {
  if (!ctx.vm || !ctx.vm->tracer().isOn()) return done;
  const auto* writes = static_cast<const WriteSet*>(ctx.thread->writeSet);
  rt::TraceEvent flush{rt::TraceKind::Flush, writes ? uint32_t(writes->units.size()) : 0, ctx.thread->ref.id,
                       steadyNanos()};
  return [vm = ctx.vm, flush, done = std::move(done)]() mutable {
    flush.end = steadyNanos();
    vm->tracer().add(flush);
    done();
  };
}

/// A release that the program has not asked for. It is always allowed: what it writes home, others see a little sooner.
void ClusterObjectSpace::standsInPoll(ThreadContext& ctx) {
  if (!releaseEarly_.load(std::memory_order_relaxed) || !ctx.thread->writeSet) return;
  core_.stats.earlyReleases++;
  WaitToken token = core_.host.prepareWait(ctx);
  if (!flusher_.release(ctx, noted(ctx, [this, token] { core_.host.wake(token); })))
    core_.host.wait(ctx, std::move(token));
}

void ClusterObjectSpace::publish(ThreadContext& ctx) {
  if (core_.options.fault == Fault::FreezeWithoutFlush) return;
  WaitToken token = core_.host.prepareWait(ctx);
  if (!flusher_.publish(ctx, noted(ctx, [this, token] { core_.host.wake(token); })))
    core_.host.wait(ctx, std::move(token));
}

std::optional<Resumption> ClusterObjectSpace::submit(ThreadContext& ctx, const SyncRequest& request) {
  if (request.op == rt::SyncOp::ThreadEnd) core_.fetched.take(request.thread.id);
  spinReads_.submits(request);
  if (loans_.hasBorrowed(request.object)) {
    core_.exportOut(request.thread.object);
    if (request.isRelease()) flusher_.defer(ctx);
    const auto [isHere, answer] = loans_.carryOut(request);
    if (answer && answer->acquire) acquire(ctx, false);
    if (isHere) return answer;  // else it has just gone back
  }
  if (request.op == rt::SyncOp::Atomic && isBorrowed(request.object)) {
    if (request.isRelease()) flusher_.defer(ctx);
    const std::optional<Resumption> answer = carryOutHere(request);
    if (answer && answer->acquire) acquire(ctx, false);
    return answer;
  }
  const bool isHere = core_.homedHere(request.object);
  if (!isHere || request.mayWait()) core_.exportOut(request.thread.object);
  Hold hold = holdArguments(request);
  if (request.isRelease() && isHere) {
    flusher_.defer(ctx);
  } else if (request.isRelease()) {
    const auto companion = std::make_shared<Flusher::Companion>(Flusher::Companion{request, hold});
    const auto written = [this, companion] { submitReleased(*companion); };
    if (!flusher_.release(ctx, noted(ctx, written), companion)) return std::nullopt;
    // The answer was faster than we.
    if (companion->carriedOut) return submitReleased(*companion), std::nullopt;
  }
  if (!isHere) {
    sendToHome(request, std::move(hold));
    return std::nullopt;
  }
  std::optional<Resumption> answer = carryOutHere(request);
  if (answer && answer->acquire) acquire(ctx, false);
  return answer;
}

void ClusterObjectSpace::post(const SyncRequest& request) {
  // Must not overtake the request that it is about.
  core_.traffic.whenQuiet(request.thread.id, [this, request] {
    if (loans_.carryOut(request).isHere) return;
    if (!core_.homedHere(request.object)) return sendToHome(request, nullptr);
    if (const auto answer = carryOutHere(request)) answerByMail(request, *answer);
  });
}

/// What the request releases is home, and the request perhaps carried out there.
void ClusterObjectSpace::submitReleased(const Flusher::Companion& released) {
  const SyncRequest& request = released.request;
  if (released.carriedOut) {
    core_.stats.syncRemote++;
    core_.stats.syncsWithWrites++;
    if (request.op == rt::SyncOp::ThreadEnd) core_.remoteUse.forget(request.thread.id);
    if (!released.answer) return;
    Resumption answer = *released.answer;
    answer.acquire = answer.acquire || request.isAcquire();
    core_.answerArrived(answer);
    return answerByMail(request, answer);
  }
  submitParked(request, released.hold);
}

/// Its thread waits for the answer as mail.
void ClusterObjectSpace::submitParked(const SyncRequest& request, const Hold& hold) {
  if (const auto [isHere, answer] = loans_.carryOut(request); isHere) {
    if (answer) answerByMail(request, *answer);
    return;
  }
  if (!core_.homedHere(request.object)) return sendToHome(request, hold);
  if (const auto answer = carryOutHere(request)) answerByMail(request, *answer);
}

std::optional<Resumption> ClusterObjectSpace::carryOutHere(const SyncRequest& request) {
  // A thread that stores to a shared object, or needs one that is on loan, waits parked, as for a monitor.
  const bool stores = request.op == rt::SyncOp::Atomic && request.atomicOp != rt::AtomicOp::Load;
  if ((stores && Leases::isShared(request.object)) ||
      (request.op == rt::SyncOp::Atomic && Leases::isLent(request.object))) {
    core_.exportOut(request.thread.object);
    core_.traffic.begin(request.thread.id);
    const auto again = [this, request, hold = core_.held.hold({request.a, request.b})] {
      submitParked(request, hold);
      core_.traffic.end(request.thread.id);
    };
    if (leases_.recall(request.object, again)) return std::nullopt;
    core_.traffic.end(request.thread.id);
  }
  core_.stats.syncLocal++;
  if (request.op == rt::SyncOp::ThreadEnd) core_.remoteUse.forget(request.thread.id);
  std::optional<Resumption> answer = core_.host.carryOut(request, core_.self);
  if (answer && request.isAcquire()) answer->acquire = true;
  return answer;
}

/// The thread that waits has hold of the object, but perhaps of nothing else any more. (A reference that is stored
/// here, and at once, need not be held.)
ClusterObjectSpace::Hold ClusterObjectSpace::holdArguments(const SyncRequest& request) {
  if (!request.isReference || (!request.isRelease() && core_.homedHere(request.object))) return nullptr;
  return core_.held.hold({request.a, request.b});
}

void ClusterObjectSpace::sendToHome(const SyncRequest& request, Hold hold) {
  core_.exportArguments(request);
  core_.stats.syncRemote++;
  core_.traffic.begin(request.thread.id);
  const int64_t sent = core_.net.now();
  const BlockHome home = core_.homes.at(request.object);
  core_.net.request(home.node, Channel::Objects, encodeSync(spinReads_.asked(request)),
                    [this, request, hold = std::move(hold), home, sent](Result<Bytes> reply) {
                      const int64_t waited = core_.net.now() - sent;
                      core_.stats.syncNanos.add(waited);
                      if (request.op == rt::SyncOp::ThreadEnd)
                        core_.remoteUse.forget(request.thread.id);
                      else
                        core_.remoteUse.note(request.thread.id, home.node, reply.ok() ? reply->size() : 0, waited);
                      onHomeReply(request, hold, home, std::move(reply));
                    });
}

void ClusterObjectSpace::onHomeReply(const SyncRequest& request, const Hold& hold, BlockHome home,
                                     Result<Bytes> reply) {
  if (!reply.ok())
    return core_.host.fatal(std::move(reply).error().withContext(fmt::format("asking node {}", home.node.value)));
  ByteReader in(*reply);
  const ReplyStatus status = in.getEnum(ReplyStatus::Lent);
  if (status == ReplyStatus::Lent && in.finished()) {
    core_.net.postAfter(kLentRetryNanos, [this, request, hold] {
      core_.host.accessGuest([&] {
        submitParked(request, hold);
        core_.traffic.end(request.thread.id);
      });
    });
    return;
  }
  if (status == ReplyStatus::Moved) {
    const BlockHome whereabouts = getWhereabouts(in);
    const bool sensible = in.finished() && core_.homes.learn(request.object, whereabouts, home);
    const auto again = [this, request, hold] {
      core_.host.accessGuest([&] {
        sendToHome(request, hold);
        core_.traffic.end(request.thread.id);
      });
    };
    // It may be on its way to this very node.
    if (sensible && core_.gates.wait(request.object, again)) return;
    if (sensible) return again();
  }
  std::optional<Resumption> answer;
  if (status == ReplyStatus::Done && in.getBool()) answer = getResumption(in);
  if (status != ReplyStatus::Done || !in.finished())
    return core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} refused a request", home.node.value)});
  if (answer) {
    answer->acquire = answer->acquire || request.isAcquire();
    spinReads_.answered(request, answer->value);
    core_.host.accessGuest([&] {
      core_.answerArrived(*answer);
      answerByMail(request, *answer);
    });
  }
  core_.host.accessGuest([&] { core_.traffic.end(request.thread.id); });
}

/// On behalf of nobody: if the answer does not lend it, it is given up at once, and so is what comes along.
void ClusterObjectSpace::askForOffered(ObjectRef object) {
  constexpr rt::ThreadId kNobody = 0;
  uint64_t stamp = 0;
  {
    EntryTable::Shard& shard = core_.table.shard(object);
    std::lock_guard lock(shard.mutex);
    const BlockHome home = core_.homes.at(object);
    if (home.state != HomeState::Settled || home.node == core_.self || core_.options.noCache) return;
    Entry& entry = shard.entries[object];
    if (entry.busy || entry.borrowed) return;
    entry.busy = entry.givenUp = true;
    stamp = core_.clock.load();
  }
  if (core_.isTracing()) core_.trace->grey(object);
  core_.stats.fetches++;
  core_.traffic.begin(kNobody);
  sendFetch({kNobody, object, stamp, nullptr});
}

/// Leases and loans that this node has are called back, or it is asked to call one back.
void ClusterObjectSpace::handleLeaseMessage(NodeId from, ObjectMessage kind, ByteReader& in,
                                            std::shared_ptr<Responder> responder) {
  const ObjectRef object = in.get<uint64_t>();
  if (!in.finished() || !core_.homes.valid(object)) return homeSide_.refuse(*responder);
  switch (kind) {
    case ObjectMessage::Unlease:
      return objectLoans_.handleUnlease(object, std::move(responder));
    case ObjectMessage::Settle:
      return objectLoans_.handleSettle(std::move(responder));
    case ObjectMessage::Offer:
      core_.host.accessGuest([&] { askForOffered(object); });
      return responder->reply({uint8_t(ReplyStatus::Done)});
    case ObjectMessage::GiveUp:
      return core_.host.accessGuest([&] { leases_.takeBack(object, from); });
    default:
      return homeSide_.refuse(*responder);
  }
}

void ClusterObjectSpace::answerByMail(const SyncRequest& request, const Resumption& answer) {
  core_.exportAnswer(request, answer);  // the thread may have moved
  rt::ThreadMail mail{};
  mail.kind = rt::ThreadMail::Kind::Answer;
  mail.ticket = request.ticket;
  mail.answer = answer;
  core_.host.post(request.thread, mail);
}

void ClusterObjectSpace::leave(rt::ThreadId thread, std::function<void()> action) {
  core_.traffic.whenQuiet(thread, [this, thread, action = std::move(action)] {
    const std::vector<CopyUnit> fetched = core_.fetched.take(thread);
    core_.remoteUse.forget(thread);
    if (!fetched.empty() && core_.options.fault != Fault::CopiesStayBehind)
      core_.host.accessGuest([&] {
        for (const CopyUnit& unit : fetched) copies_.giveUp(unit);
      });
    // What it knows it knows by what others have released here.
    afterDeferred(action);
  });
}

// ---------------------------------------------------------------- the rest

void ClusterObjectSpace::afterDeferred(std::function<void()> action) {
  flusher_.afterDeferred(std::move(action));
}

bool ClusterObjectSpace::isHome(ObjectRef object) const {
  return core_.homedHere(object);
}

void ClusterObjectSpace::exportReference(ObjectRef object) {
  core_.exportOut(object);
}

void ClusterObjectSpace::visitRoots(const std::function<void(ObjectRef)>& visit) {
  core_.host.visitHomeRoots(visit);
  if (core_.options.fault != Fault::SentIsForgotten) core_.held.visit(visit);
  core_.table.forEach([&](const CopyUnit& unit, Entry& entry) {
    if (!entry.hasTwin) return;
    core_.shapeOf(unit).forEachReference([&](uint64_t offset) {
      if (const ObjectRef reference = rt::loadGuest<uint64_t>(unit.base() + offset)) visit(reference);
    });
  });
}

void ClusterObjectSpace::visitUnderWay(const std::function<void(ObjectRef)>& visit) {
  core_.table.forEach([&](const CopyUnit& unit, const Entry& entry) {
    if (entry.hasTwin || entry.busy) visit(unit.object);
  });
}

bool ClusterObjectSpace::checked() const {
  return true;
}

SpaceState ClusterObjectSpace::state() {
  SpaceState state;
  state.clock = (core_.clock.load() - rt::kEpochUsed) >> rt::kEpochShift;
  core_.table.forEach([&](const CopyUnit&, const Entry& entry) {
    state.busy += entry.busy;
    state.written += !entry.writers.empty();
  });
  return state;
}

}  // namespace jvmc::cluster
