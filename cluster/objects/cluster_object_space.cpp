// The mutator side: checks that miss, acquire, release, requests to homes. See flusher.cpp for what a release does and
// home_side.cpp for the other end of every message.
#include "cluster/objects/cluster_object_space.h"

#include "ir/support/check.h"

namespace jvmc::cluster {

using rt::Resumption;
using rt::SyncRequest;
using rt::ThreadContext;

ClusterObjectSpace::ClusterObjectSpace(SpaceHost& host, NodeNet& net, const HomeMap& homes,
                                       std::atomic<uint64_t>& clock, SpaceOptions options)
    : core_(host, net, homes, clock, options), flusher_(core_), homeSide_(core_) {
  net.setHandler(Channel::Objects, [this](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
    homeSide_.handle(from, payload, *responder);
  });
}

// ---------------------------------------------------------------- checks

void ClusterObjectSpace::checkRead(ThreadContext& ctx, ObjectRef object) {
  core_.stats.slowReads++;
  validate(ctx, object);
}

void ClusterObjectSpace::checkWrite(ThreadContext& ctx, ObjectRef object) {
  core_.stats.slowWrites++;
  do {
    validate(ctx, object);
  } while (!join(ctx, object));
}

/// Returns when the copy may be used by the thread (or is no copy: the object is homed here).
void ClusterObjectSpace::validate(ThreadContext& ctx, ObjectRef object) {
  const std::atomic<uint64_t>& epochWord = rt::header(object)->epochWord;
  const auto valid = [&] { return epochWord.load(std::memory_order_acquire) >= ctx.epoch; };
  if (valid()) {
    core_.stats.slowHits++;
    return;
  }
  JVMC_CHECK(!core_.homedHere(object), object, epochWord.load());
  if (core_.options.noCache) return fetch(ctx, object);  // leaves an invalid stamp behind: every check comes here
  do {
    fetch(ctx, object);
  } while (!valid());
}

/// Asks the home for the object, or waits for the transaction that another thread has begun. Either way the copy may be
/// too old again afterwards.
void ClusterObjectSpace::fetch(ThreadContext& ctx, ObjectRef object) {
  EntryTable::Shard& shard = core_.table.shard(object);
  const WaitToken token = core_.host.prepareWait(ctx);
  const bool overlap = core_.options.fault == Fault::FetchOverlapsFlush;
  uint64_t stamp = 0;
  bool busy = false;
  {
    std::lock_guard lock(shard.mutex);
    Entry& entry = shard.entries[object];
    busy = entry.busy && !(overlap && entry.flushing);
    if (busy) {
      entry.waiters.push_back([this, token] { core_.host.wake(token); });
    } else {
      entry.busy = true;
      stamp = core_.clock.load();  // I2: before the request leaves
    }
  }
  if (busy) {
    core_.stats.busyWaits++;
    core_.host.wait(ctx, token);
    if (core_.options.noCache) fetch(ctx, object);  // what the other thread saw does not count
    return;
  }
  core_.stats.fetches++;
  const int64_t sent = steadyNanos();
  core_.net.request(core_.homes.homeOf(object), Channel::Objects, encodeFetch(object),
                    [this, object, stamp, token, sent](Result<Bytes> reply) {
                      core_.stats.fetchNanos.add(steadyNanos() - sent);
                      if (install(object, stamp, std::move(reply))) core_.host.wake(token);
                    });
  core_.host.wait(ctx, token);
}

/// I/O thread. A fetch that failed ends the program; its fiber is never woken.
bool ClusterObjectSpace::install(ObjectRef object, uint64_t stamp, Result<Bytes> reply) {
  const NodeId home = core_.homes.homeOf(object);
  if (!reply.ok()) {
    core_.host.fatal(std::move(reply).error().withContext(fmt::format("reading from node {}", home.value)));
    return false;
  }
  bool installed = false;
  core_.host.accessGuest([&] {
    installed = installImage(object, stamp, *reply);
    if (!installed) return;
    std::vector<std::function<void()>> waiters;
    EntryTable::Shard& shard = core_.table.shard(object);
    {
      std::lock_guard lock(shard.mutex);
      const auto found = shard.entries.find(object);
      if (found == shard.entries.end()) return;  // only with a fault, see Flusher::acknowledged
      found->second.endTransaction(waiters);
      shard.dropIfIdle(object);
    }
    for (const auto& waiter : waiters) waiter();
  });
  if (!installed) core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} sent no valid object", home.value)});
  return installed;
}

bool ClusterObjectSpace::installImage(ObjectRef object, uint64_t stamp, std::span<const uint8_t> reply) {
  ByteReader in(reply);
  if (in.getEnum(ReplyStatus::Refused) != ReplyStatus::Done) return false;
  const ObjectImage image = getImage(in);
  const rt::ClassInfo* info = in.ok() ? core_.host.classInfo(image.classIndex) : nullptr;
  if (!info || !describesCopy(object, image)) return false;
  const ObjectShape shape(*info, image.length, core_.forcedGranularity());
  if (image.data.size() != shape.dataBytes() || !core_.homes.valid(object + shape.end() - 8)) return false;
  if (!referencesAcceptable(shape, image.data)) return false;

  if (core_.options.fault == Fault::StampAtReply) stamp = core_.clock.load();
  if (core_.options.noCache) stamp = rt::kEpochInvalid;
  if (image.frozen && !core_.options.noCache) stamp = rt::kEpochImmutable;
  core_.stats.fetchBytes += image.data.size();

  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  Entry& entry = shard.entries[object];
  rt::ObjectHeader& header = *rt::header(object);
  header.classWord.store(image.classIndex | (image.frozen ? uint32_t(rt::kFlagFrozen) : 0), std::memory_order_relaxed);
  if (shape.isArray()) rt::storeGuest<uint32_t>(object + rt::kArrayLengthOffset, image.length);
  const bool merge = entry.hasTwin && core_.options.fault != Fault::RefreshOverwrites;
  mergeFresh(object, shape, image.data, merge ? &entry.twin : nullptr);
  if (entry.hasTwin && !merge) entry.twin = makeTwin(object, shape);

  const uint64_t old = header.epochWord.load(std::memory_order_relaxed);
  const uint64_t writer = old == rt::kEpochInvalid ? kNoWriter : old & rt::kWriterMask;
  header.epochWord.store(std::max(old & ~rt::kWriterMask, stamp) | writer, std::memory_order_release);
  return true;
}

/// Class and length of an object never change; a copy that is here already must agree.
bool ClusterObjectSpace::describesCopy(ObjectRef object, const ObjectImage& image) const {
  const rt::ClassInfo* info = core_.host.classInfo(image.classIndex);
  const uint32_t present = rt::classIndexOf(object);
  const bool array = info->shape != rt::ObjectShape::Instance;
  if (image.length > uint32_t(INT32_MAX) || (!array && image.length != 0)) return false;
  if (rt::header(object)->epochWord.load(std::memory_order_relaxed) == rt::kEpochInvalid) return true;
  return present == image.classIndex && (!array || uint32_t(rt::arrayLength(object)) == image.length);
}

bool ClusterObjectSpace::referencesAcceptable(const ObjectShape& shape, std::span<const uint8_t> data) {
  bool acceptable = true;
  shape.forEachReference([&](uint64_t offset) {
    ObjectRef reference;
    std::memcpy(&reference, data.data() + (offset - shape.begin()), 8);
    acceptable = acceptable && core_.acceptable(reference);
  });
  return acceptable;
}

/// Makes the thread one of the copy's writers (I3). False if the copy has become too old meanwhile.
bool ClusterObjectSpace::join(ThreadContext& ctx, ObjectRef object) {
  EntryTable::Shard& shard = core_.table.shard(object);
  std::lock_guard lock(shard.mutex);
  std::atomic<uint64_t>& epochWord = rt::header(object)->epochWord;
  const uint64_t word = epochWord.load(std::memory_order_acquire);
  if (rt::isHomeEpoch(word)) return true;
  if (word < ctx.epoch && !core_.options.noCache) return false;

  Entry& entry = shard.entries[object];
  WriteSet& set = writeSetOf(ctx);
  if (!entry.hasTwin) {
    entry.twin = makeTwin(object, core_.shapeOf(object));
    entry.hasTwin = true;
    core_.stats.twinBytes += entry.twin.size() * 8;
  }
  if (!entry.hasWriter(&set)) {
    entry.writers.push_back(&set);
    set.objects.push_back(object);
    core_.stats.joins++;
  }
  if (set.slot != kNoSlot) epochWord.store((word & ~rt::kWriterMask) | set.slot, std::memory_order_release);
  return true;
}

WriteSet& ClusterObjectSpace::writeSetOf(ThreadContext& ctx) {
  rt::GuestThread& thread = *ctx.thread;
  if (!thread.writeSet) {
    auto* set = new WriteSet;  // owned by the thread until Flusher::start takes it
    set->slot = core_.slots.lease();
    thread.writeSet = set;
    thread.writerSlot = ctx.writerSlot = set->slot != kNoSlot ? set->slot : kDirtyWithoutSlot;
  }
  return *static_cast<WriteSet*>(thread.writeSet);
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
  return flusher_.release(ctx, [this, to = ctx.thread->ref, ticket] {
    rt::ThreadMail mail{};
    mail.kind = rt::ThreadMail::Kind::Answer;
    mail.ticket = ticket;
    core_.host.post(to, mail);
  });
}

std::optional<Resumption> ClusterObjectSpace::submit(ThreadContext& ctx, const SyncRequest& request) {
  exportArguments(request);
  if (request.isRelease() && !flusher_.release(ctx, [this, request] { submitDetached(request); })) return std::nullopt;
  if (!core_.homedHere(request.object)) {
    sendToHome(request);
    return std::nullopt;
  }
  std::optional<Resumption> answer = carryOutHere(request);
  if (answer && answer->acquire) acquire(ctx, false);
  return answer;
}

void ClusterObjectSpace::post(const SyncRequest& request) {
  // Must not overtake the request that it is about.
  core_.traffic.whenQuiet(request.thread.id, [this, request] {
    if (!core_.homedHere(request.object)) return sendToHome(request);
    if (const auto answer = carryOutHere(request)) answerByMail(request, *answer);
  });
}

void ClusterObjectSpace::submitDetached(const SyncRequest& request) {
  if (!core_.homedHere(request.object)) return sendToHome(request);
  if (const auto answer = carryOutHere(request)) answerByMail(request, *answer);
}

std::optional<Resumption> ClusterObjectSpace::carryOutHere(const SyncRequest& request) {
  core_.stats.syncLocal++;
  std::optional<Resumption> answer = core_.host.carryOut(request, core_.self);
  if (answer && request.isAcquire()) answer->acquire = true;
  return answer;
}

void ClusterObjectSpace::exportArguments(const SyncRequest& request) {
  core_.exportOut(request.thread.object);
  if (core_.homedHere(request.object)) return;
  if (request.isReference) {
    core_.exportOut(request.a);
    core_.exportOut(request.b);
  }
}

void ClusterObjectSpace::sendToHome(const SyncRequest& request) {
  core_.stats.syncRemote++;
  core_.traffic.begin(request.thread.id);
  const int64_t sent = steadyNanos();
  core_.net.request(core_.homes.homeOf(request.object), Channel::Objects, encodeSync(request),
                    [this, request, sent](Result<Bytes> reply) {
                      core_.stats.syncNanos.add(steadyNanos() - sent);
                      onHomeReply(request, std::move(reply));
                    });
}

void ClusterObjectSpace::onHomeReply(const SyncRequest& request, Result<Bytes> reply) {
  const NodeId home = core_.homes.homeOf(request.object);
  if (!reply.ok())
    return core_.host.fatal(std::move(reply).error().withContext(fmt::format("asking node {}", home.value)));
  ByteReader in(*reply);
  const ReplyStatus status = in.getEnum(ReplyStatus::Refused);
  std::optional<Resumption> answer;
  if (status == ReplyStatus::Done && in.getBool()) answer = getResumption(in);
  if (status != ReplyStatus::Done || !in.finished())
    return core_.host.fatal({ErrorCode::kCorrupt, fmt::format("node {} refused a request", home.value)});
  if (answer) {
    answer->acquire = answer->acquire || request.isAcquire();
    core_.host.accessGuest([&] { answerByMail(request, *answer); });
  }
  core_.host.accessGuest([&] { core_.traffic.end(request.thread.id); });
}

void ClusterObjectSpace::answerByMail(const SyncRequest& request, const Resumption& answer) {
  core_.exportAnswer(request, answer);  // the thread may have moved
  rt::ThreadMail mail{};
  mail.kind = rt::ThreadMail::Kind::Answer;
  mail.ticket = request.ticket;
  mail.answer = answer;
  core_.host.post(request.thread, mail);
}

void ClusterObjectSpace::whenQuiet(rt::ThreadId thread, std::function<void()> action) {
  core_.traffic.whenQuiet(thread, std::move(action));
}

// ---------------------------------------------------------------- the rest

bool ClusterObjectSpace::isHome(ObjectRef object) const {
  return core_.homedHere(object);
}

void ClusterObjectSpace::exportReference(ObjectRef object) {
  core_.exportOut(object);
}

void ClusterObjectSpace::visitRoots(const std::function<void(ObjectRef)>& visit) {
  core_.host.visitHomeRoots(visit);
  core_.table.forEach([&](ObjectRef object, Entry& entry) {
    if (!entry.hasTwin) return;
    core_.shapeOf(object).forEachReference([&](uint64_t offset) {
      if (const ObjectRef reference = rt::loadGuest<uint64_t>(object + offset)) visit(reference);
    });
  });
}

bool ClusterObjectSpace::checked() const {
  return core_.homes.nodeCount() > 1;
}

std::string ClusterObjectSpace::describe() {
  size_t busy = 0, dirty = 0;
  core_.table.forEach([&](ObjectRef, const Entry& entry) {
    busy += entry.busy;
    dirty += !entry.writers.empty();
  });
  return fmt::format("node {} clock {} busy {} dirty {} fetches {} flushes {}", core_.self.value,
                     core_.clock.load() >> rt::kEpochShift, busy, dirty, core_.stats.fetches.load(),
                     core_.stats.flushMessages.load());
}

}  // namespace jvmc::cluster
