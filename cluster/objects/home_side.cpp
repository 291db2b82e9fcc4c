#include "cluster/objects/home_side.h"

#include <algorithm>

namespace jvmc::cluster {

namespace {

/// A reply of 4 KiB takes hardly longer than one of 64 bytes.
constexpr size_t kNeighbourBytes = 4096;
constexpr uint32_t kNeighboursMax = 64;
constexpr size_t kImageHeadBytes = 25;
/// An answer to REFRESH ends with the object that goes beyond it. Far more than anybody asks for at a time.
constexpr size_t kRefreshBytesMax = 1 << 20;
/// Who writes more objects at a time has none that is hot.
constexpr uint32_t kHotUnitsMax = 16;

RefreshOutcome sameThatHolds(Holds holds) {
  return holds == Holds::OnLoan          ? RefreshOutcome::SameLent
         : holds == Holds::UntilRecalled ? RefreshOutcome::SameLeased
                                         : RefreshOutcome::Same;
}

}  // namespace

using rt::SyncOp;
using rt::SyncRequest;

void HomeSide::handle(NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
  if (const ObjectRef object = awaited(payload)) {
    const bool waits = core_.gates.wait(object, [this, from, payload, responder] { handle(from, payload, responder); });
    if (waits) return;
  }
  ByteReader in(payload);
  const auto kind = ObjectMessage(in.get<uint8_t>());
  core_.host.accessGuest([&] {
    // Nothing becomes shared before all of the message has been carried out: for that the world must be stopped.
    if (leases_.any() && awaitsLeases(payload, [this, from, payload, responder] { handle(from, payload, responder); }))
      return;
    switch (kind) {
      case ObjectMessage::Fetch:
        return fetch(from, in, *responder);
      case ObjectMessage::Refresh:
        return refresh(from, in, *responder);
      case ObjectMessage::Flush:
        return flush(from, in, *responder);
      case ObjectMessage::Sync:
        return sync(from, in, *responder);
      default:
        refuse(*responder);
    }
  });
}

void HomeSide::refuse(Responder& responder) {
  core_.stats.refused++;
  responder.reply({uint8_t(ReplyStatus::Refused)});
}

bool HomeSide::awaitsLeases(std::span<const uint8_t> payload, const std::function<void()>& then) {
  ByteReader in(payload);
  const auto kind = ObjectMessage(in.get<uint8_t>());
  // REFRESH leaves out what is lent: it couples objects, and what nobody waits for should call no loan back.
  if (kind == ObjectMessage::Refresh) return false;
  bool awaits = false;
  // All are called back at once. The message waits for one, and looks again.
  const auto next = [&] { return awaits ? nullptr : then; };
  const auto needs = [&](ObjectRef object, Leases::Until until) {
    if (leases_.isAway(object)) awaits = leases_.recall(object, next(), until) || awaits;
  };
  const auto changes = [&](ObjectRef object) {
    if (leases_.isSharedHere(object)) awaits = leases_.recall(object, next()) || awaits;
  };
  const auto changesBy = [&](const SyncRequest& request) {
    if (in.ok() && request.op == SyncOp::Atomic && request.atomicOp != rt::AtomicOp::Load) changes(request.object);
  };
  if (kind == ObjectMessage::Fetch) {
    needs(getUnit(in).object, Leases::Until::ContentIsHere);
    return awaits;
  }
  if (kind == ObjectMessage::Sync) {
    const SyncRequest request = getSync(in);
    if (in.ok() && request.op == SyncOp::Atomic) needs(request.object, Leases::Until::ItIsHome);
    changesBy(request);
    return awaits;
  }
  for (uint32_t left = in.getCount(kUnitBytes + 4); left > 0 && in.ok(); --left) {
    const ObjectRef object = getUnit(in).object;
    if (core_.options.fault != Fault::FlushIgnoresLeases) {
      needs(object, Leases::Until::ContentIsHere);
      changes(object);
    }
    for (uint32_t runs = in.getCount(8); runs > 0 && in.ok(); --runs) {
      in.get<uint32_t>();
      in.getBytes();
    }
  }
  if (in.getBool()) changesBy(getSync(in));
  return awaits;
}

ObjectRef HomeSide::awaited(std::span<const uint8_t> payload) const {
  const auto isAwaited = [&](ObjectRef object) {
    return core_.homes.valid(object) && core_.homes.at(object).state == HomeState::Incoming;
  };
  ByteReader in(payload);
  const auto kind = ObjectMessage(in.get<uint8_t>());
  // Answers for each object whether it is here now. It must not wait: it couples blocks whose moves may need each
  // other.
  if (kind == ObjectMessage::Refresh) return rt::kNullRef;
  if (kind == ObjectMessage::Flush) {
    for (uint32_t left = in.getCount(kUnitBytes + 4); left > 0 && in.ok(); --left) {
      const CopyUnit unit = getUnit(in);
      if (isAwaited(unit.object)) return unit.object;
      for (uint32_t runs = in.getCount(8); runs > 0 && in.ok(); --runs) {
        in.get<uint32_t>();
        in.getBytes();
      }
    }
    if (!in.getBool()) return rt::kNullRef;
    const ObjectRef object = getSync(in).object;
    return in.ok() && isAwaited(object) ? object : rt::kNullRef;
  }
  const ObjectRef object = kind == ObjectMessage::Sync ? getSync(in).object : in.get<uint64_t>();
  return isAwaited(object) ? object : rt::kNullRef;
}

std::optional<BlockHome> HomeSide::movedTo(ObjectRef object) const {
  if (!core_.homes.valid(object) || core_.servedHere(object)) return std::nullopt;
  const BlockHome home = core_.homes.at(object);
  return home.moves > 0 ? std::optional(home) : std::nullopt;
}

bool HomeSide::redirect(ObjectRef object, Responder& responder) {
  const std::optional<BlockHome> home = movedTo(object);
  if (!home) return false;
  core_.stats.redirects++;
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Moved));
  putWhereabouts(out, *home);
  responder.reply(out.take());
  return true;
}

const rt::ClassInfo* HomeSide::classOfHomed(ObjectRef object) {
  if (object == rt::kNullRef || !core_.isConceivable(object) || !core_.servedHere(object)) return nullptr;
  // While its block is about to leave, the epoch is invalid and the heap alone knows what is an object.
  // In this order: a block that stays after all gets its epochs back before it is settled.
  const uint64_t word = rt::header(object)->epochWord.load(std::memory_order_acquire);
  if (core_.homedHere(object) && !rt::isHomeEpoch(word) && !rt::isLentEpoch(word)) return nullptr;
  return core_.host.classInfo(rt::classIndexOf(object));
}

/// There is such a unit here.
bool HomeSide::isHomed(const CopyUnit& unit) {
  return classOfHomed(unit.object) && unit.chunk <= core_.shapeOf(unit.object).chunksOf(unit.object);
}

void HomeSide::fetch(NodeId from, ByteReader& in, Responder& responder) {
  const CopyUnit unit = getUnit(in);
  const bool neighbours = in.getBool();
  if (redirect(unit.object, responder)) return;
  if (!in.finished() || !isHomed(unit)) return refuse(responder);
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Done));
  const Holds holds = neighbours ? leases_.grant(from, unit) : Holds::AsUsual;
  if (holds == Holds::AsUsual) leases_.noteAsked(from, unit, false);
  putImage(out, unit, holds);
  std::vector<ObjectRef> references = exportReferences(out, unit);
  const size_t countAt = out.size();
  out.put(uint32_t(0));
  if (neighbours) out.patch(countAt, putNeighbours(out, unit.object, std::move(references)));
  core_.blockUsers.note(from, unit.object);
  core_.stats.servedFetches++;
  core_.stats.servedFetchBytes += out.size();
  responder.reply(out.take());
}

/// The copies that another node holds, and whether they still are what is here.
void HomeSide::refresh(NodeId from, ByteReader& in, Responder& responder) {
  const uint64_t seed = in.get<uint64_t>();
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Done));
  for (uint32_t left = in.getCount(kRefreshUnitBytes); left > 0; --left) {
    const CopyUnit unit = getUnit(in);
    const uint64_t held = in.get<uint64_t>();
    if (!core_.homes.valid(unit.object)) return refuse(responder);
    bool answered = out.size() < kRefreshBytesMax && isHomed(unit);
    const Holds holds = answered ? leases_.grant(from, unit) : Holds::AsUsual;
    answered = answered && (holds == Holds::OnLoan || !leases_.isLentHere(unit.object));
    const size_t begin = out.size();
    out.put(uint8_t(answered ? RefreshOutcome::Changed : RefreshOutcome::Unanswered));
    if (!answered) continue;
    core_.blockUsers.note(from, unit.object);
    putImage(out, unit, holds);
    // A frozen object goes out once more: its copies need not be asked for ever again.
    const bool frozen = rt::header(unit.object)->classWord.load(std::memory_order_relaxed) & rt::kFlagFrozen;
    const size_t dataAt = out.size() - core_.shapeOf(unit).dataBytes();
    const bool same = !frozen && held != kHoldsNothing && contentHash(out.written(dataAt), seed) == held;
    if (!same && held != kHoldsNothing) leases_.noteDiffers(unit.object);
    if (holds == Holds::AsUsual) leases_.noteAsked(from, unit, same);
    if (same) {
      out.truncate(begin);
      out.put(uint8_t(sameThatHolds(holds)));
      continue;
    }
    exportReferences(out, unit);
  }
  if (!in.finished()) return refuse(responder);
  core_.stats.servedRefreshes++;
  core_.stats.servedFetchBytes += out.size();
  responder.reply(out.take());
}

void HomeSide::putImage(ByteWriter& out, const CopyUnit& unit, Holds holds) {
  // Frozen is read first: if it is set, all stores to the object came before.
  const uint32_t classWord = rt::header(unit.object)->classWord.load(std::memory_order_acquire);
  const ObjectShape shape = core_.shapeOf(unit);
  putImageHead(out,
               {classWord & rt::kClassMask,
                classWord & rt::kFlagFrozen ? Holds::ForEver : holds,
                shape.isArray() ? uint32_t(rt::arrayLength(unit.object)) : 0,
                {}},
               shape.dataBytes());
  uint8_t* data = out.grow(shape.dataBytes());
  for (uint64_t offset = shape.begin(); offset < shape.end(); offset += 8) {
    const uint64_t word = rt::loadGuest<uint64_t>(unit.base() + offset);
    std::memcpy(data + (offset - shape.begin()), &word, 8);
  }
}

std::vector<ObjectRef> HomeSide::exportReferences(const ByteWriter& out, const CopyUnit& unit) {
  const ObjectShape shape = core_.shapeOf(unit);
  const std::span<const uint8_t> data = out.written(out.size() - shape.dataBytes());
  std::vector<ObjectRef> references;
  shape.forEachReference([&](uint64_t offset) {
    ObjectRef reference;
    std::memcpy(&reference, data.data() + (offset - shape.begin()), 8);
    if (reference == rt::kNullRef) return;
    core_.exportOut(reference);
    references.push_back(reference);
  });
  return references;
}

/// What the object refers to is likely to be wanted next: depth first, in the order of fields, as far as it is homed
/// here and a small budget goes.
uint32_t HomeSide::putNeighbours(ByteWriter& out, ObjectRef of, std::vector<ObjectRef> references) {
  const size_t end = out.size() + kNeighbourBytes;
  std::vector<ObjectRef> sent{of};
  std::reverse(references.begin(), references.end());  // the next one is at the back
  uint32_t count = 0;
  while (!references.empty() && count < kNeighboursMax) {
    const ObjectRef next = references.back();
    references.pop_back();
    if (!core_.homes.valid(next) || !classOfHomed(next) || leases_.isLentHere(next)) continue;
    if (std::find(sent.begin(), sent.end(), next) != sent.end()) continue;
    if (out.size() + core_.shapeOf(CopyUnit(next)).dataBytes() + kImageHeadBytes > end) break;
    out.put(next);
    putImage(out, next, Holds::AsUsual);  // what nobody has asked for is not leased
    const std::vector<ObjectRef> onward = exportReferences(out, next);
    sent.push_back(next);
    references.insert(references.end(), onward.rbegin(), onward.rend());
    ++count;
  }
  return count;
}

void HomeSide::flush(NodeId from, ByteReader& in, Responder& responder) {
  const uint32_t units = in.getCount(kUnitBytes + 4);
  ByteWriter moved;
  uint32_t movedCount = 0;
  for (uint32_t i = 0; i < units; ++i) {
    const CopyUnit unit = getUnit(in);
    const uint32_t runs = in.getCount(9);
    if (const std::optional<BlockHome> home = movedTo(unit.object)) {
      for (uint32_t run = 0; run < runs; ++run) {
        in.get<uint32_t>();
        in.getBytes();
      }
      ++movedCount;
      moved.put(i);
      putWhereabouts(moved, *home);
    } else if (!in.ok() || !applyRuns(unit, runs, in)) {
      return refuse(responder);
    } else if (units <= kHotUnitsMax) {
      leases_.noteChanged(from, unit.object);
    }
    core_.blockUsers.note(from, unit.object);
  }
  const bool withRequest = in.getBool();
  const SyncRequest request = withRequest ? getSync(in) : SyncRequest{};
  // A flush never waits until something is home that its borrower owes: that waits for flushes.
  const bool isAway = request.op == SyncOp::Atomic && leases_.any() && leases_.isAway(request.object);
  const bool carriesOut =
      withRequest && movedCount == 0 && !movedTo(request.object) && !loans_.isLentTo(from, request) && !isAway;
  if (!in.finished() || (carriesOut && !sensible(request))) return refuse(responder);
  core_.stats.servedFlushes++;
  core_.stats.redirects += movedCount;
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Done));
  out.put(movedCount);
  out.append(moved.take());
  if (withRequest) out.put(carriesOut);
  if (carriesOut) carryOut(from, request, out);
  responder.reply(out.take());
}

bool HomeSide::applyDiff(const CopyUnit& unit, ByteReader& in) {
  const uint32_t runs = in.getCount(9);
  return in.ok() && applyRuns(unit, runs, in);
}

bool HomeSide::applyRuns(const CopyUnit& unit, uint32_t runs, ByteReader& in) {
  if (!isHomed(unit)) return false;
  const ObjectShape shape = core_.shapeOf(unit);
  const uint64_t from = unit.base() - unit.object;
  const auto beforeReference = [&](uint64_t offset, ObjectRef value) {
    if (!core_.acceptable(value)) return false;
    core_.host.beforeReferenceStore(unit.object, from + offset, value);
    return true;
  };
  for (uint32_t i = 0; i < runs; ++i) {
    DiffRun run;
    run.offset = in.get<uint32_t>();
    run.data = in.getBytes();
    if (!in.ok() || !runFits(shape, run) || !applyRun(unit.base(), shape, run, beforeReference)) return false;
  }
  return true;
}

void HomeSide::sync(NodeId from, ByteReader& in, Responder& responder) {
  const SyncRequest request = getSync(in);
  if (redirect(request.object, responder)) return;
  if (!in.finished() || !sensible(request)) return refuse(responder);
  if (loans_.isLentTo(from, request)) return responder.reply({uint8_t(ReplyStatus::Lent)});
  ByteWriter out;
  out.put(uint8_t(ReplyStatus::Done));
  carryOut(from, request, out);
  responder.reply(out.take());
}

void HomeSide::carryOut(NodeId from, const SyncRequest& request, ByteWriter& out) {
  core_.blockUsers.note(from, request.object);
  core_.stats.servedSyncs++;
  // I6: the clock moves before the release can be seen, so that whoever acquires after it finds older copies stale.
  if (request.isRelease() && core_.options.fault != Fault::HomeClockNotBumped) core_.tick();

  if (request.op == SyncOp::Atomic && request.atomicOp != rt::AtomicOp::Load) leases_.noteChanged(from, request.object);
  std::optional<rt::Resumption> answer = core_.host.carryOut(request, from);
  // What threads here have released to it must be home before it knows. The answer waits for that, as mail does; this
  // reply does not: what came with the request is acknowledged, or two nodes could wait for each other.
  if (answer && request.isAcquire() && flusher_.owes()) {
    answer->acquire = true;
    core_.host.post(request.thread, {rt::ThreadMail::Kind::Answer, request.ticket, *answer, {}, {}});
    answer.reset();
  }
  out.put(answer.has_value());
  if (!answer) return;
  core_.exportAnswer(request, *answer);
  putResumption(out, *answer);
}

bool HomeSide::sensible(const SyncRequest& request) {
  const rt::ClassInfo* info = classOfHomed(request.object);
  if (!info || !core_.acceptable(request.thread.object)) return false;
  return request.op != SyncOp::Atomic || sensibleAtomic(request, *info);
}

bool HomeSide::sensibleAtomic(const SyncRequest& request, const rt::ClassInfo& info) {
  const ObjectShape shape = core_.shapeOf(request.object);
  if (request.sizeLog2 > 3) return false;
  const uint64_t size = uint64_t(1) << request.sizeLog2;
  const uint64_t offset = request.offset;
  if (offset < shape.begin() || offset + size > shape.end() || offset % size != 0) return false;
  if (core_.options.fault == Fault::None && shape.granularity(offset & ~uint64_t(7)) != request.sizeLog2) return false;
  if (shape.isReference(offset) != request.isReference || shape.isArray() != request.isElement) return false;
  return !request.isReference || (core_.acceptable(request.a) && core_.acceptable(request.b));
}

}  // namespace jvmc::cluster
