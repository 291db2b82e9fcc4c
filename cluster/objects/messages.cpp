#include "cluster/objects/messages.h"

#include <xxhash.h>

namespace jvmc::cluster {

using rt::Resumption;
using rt::SyncOp;
using rt::SyncRequest;
using rt::ThreadRef;

void putUnit(ByteWriter& out, const CopyUnit& unit) {
  out.put(unit.object);
  out.put(unit.chunk);
}

CopyUnit getUnit(ByteReader& in) {
  CopyUnit unit;
  unit.object = in.get<uint64_t>();
  unit.chunk = in.get<uint32_t>();
  return unit;
}

Bytes encodeFetch(const CopyUnit& unit, bool neighbours) {
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Fetch));
  putUnit(out, unit);
  out.put(neighbours);
  return out.take();
}

uint64_t contentHash(std::span<const uint8_t> data, uint64_t seed) {
  return XXH3_64bits_withSeed(data.data(), data.size(), seed);
}

void putImageHead(ByteWriter& out, const ObjectImage& image, uint64_t dataBytes) {
  out.put(image.classIndex);
  out.put(uint8_t(image.holds));
  out.put(image.length);
  out.put(dataBytes);
}

void putImage(ByteWriter& out, const ObjectImage& image) {
  putImageHead(out, image, image.data.size());
  out.append(image.data);
}

ObjectImage getImage(ByteReader& in) {
  ObjectImage image;
  image.classIndex = in.get<uint32_t>();
  image.holds = in.getEnum(Holds::OnLoan);
  image.length = in.get<uint32_t>();
  image.data = in.take(in.get<uint64_t>());
  return image;
}

void putResumption(ByteWriter& out, const Resumption& resumption) {
  out.put(uint8_t(resumption.kind));
  out.put(resumption.value);
  out.put(uint8_t(resumption.builtin));
  out.put(resumption.detail);
  out.put(resumption.exception);
  out.put(resumption.acquire);
}

Resumption getResumption(ByteReader& in) {
  Resumption resumption;
  resumption.kind = in.getEnum(Resumption::Kind::ThrowObject);
  resumption.value = in.get<uint64_t>();
  resumption.builtin = in.getEnum(rt::BuiltinThrow::NoClassDef);
  resumption.detail = in.getI32();
  resumption.exception = in.get<uint64_t>();
  resumption.acquire = in.getBool();
  resumption.remote = true;
  return resumption;
}

void putThreadRef(ByteWriter& out, const ThreadRef& thread) {
  out.put(thread.id);
  out.put(thread.object);
}

ThreadRef getThreadRef(ByteReader& in) {
  ThreadRef thread;
  thread.id = in.get<uint64_t>();
  thread.object = in.get<uint64_t>();
  return thread;
}

namespace {

using Waiting = rt::SyncState::Waiting;

void putQueue(ByteWriter& out, const std::vector<Waiting>& queue) {
  out.put(uint32_t(queue.size()));
  for (const Waiting& waiting : queue) {
    putThreadRef(out, waiting.thread);
    out.put(waiting.ticket);
    out.put(waiting.node.value);
    out.put(waiting.count);
    out.put(waiting.interrupted);
    out.put(waiting.remainingNanos);
  }
}

std::vector<Waiting> getQueue(ByteReader& in) {
  std::vector<Waiting> queue(in.getCount(41));
  for (Waiting& waiting : queue) {
    waiting.thread = getThreadRef(in);
    waiting.ticket = in.get<uint64_t>();
    waiting.node = NodeId(in.get<uint32_t>());
    waiting.count = in.get<uint32_t>();
    waiting.interrupted = in.getBool();
    waiting.remainingNanos = in.getI64();
  }
  return queue;
}

}  // namespace

void putSyncState(ByteWriter& out, const rt::SyncState& state) {
  out.put(state.inflated);
  out.put(state.owner);
  out.put(state.count);
  putQueue(out, state.entering);
  putQueue(out, state.waiting);
  putQueue(out, state.joining);
  out.put(uint8_t(state.classInit));
  out.put(state.initRunner);
  putQueue(out, state.initWaiting);
}

rt::SyncState getSyncState(ByteReader& in) {
  rt::SyncState state;
  state.inflated = in.getBool();
  state.owner = in.get<uint64_t>();
  state.count = in.get<uint32_t>();
  state.entering = getQueue(in);
  state.waiting = getQueue(in);
  state.joining = getQueue(in);
  state.classInit = in.getEnum(rt::ClassInitState::Failed);
  state.initRunner = in.get<uint64_t>();
  state.initWaiting = getQueue(in);
  return state;
}

void putWhereabouts(ByteWriter& out, const BlockHome& home) {
  out.put(home.node.value);
  out.put(home.moves);
}

BlockHome getWhereabouts(ByteReader& in) {
  BlockHome home;
  home.node = NodeId(in.get<uint32_t>());
  home.moves = in.get<uint32_t>();
  return home;
}

void putSync(ByteWriter& out, const SyncRequest& request) {
  out.put(uint8_t(request.op));
  putThreadRef(out, request.thread);
  out.put(request.ticket);
  out.put(request.object);
  out.put(request.nanos);
  out.put(uint8_t(request.atomicOp));
  out.put(request.offset);
  out.put(uint8_t(request.sizeLog2));
  out.put(request.isReference);
  out.put(request.isElement);
  out.put(request.a);
  out.put(request.b);
}

Bytes encodeSync(const SyncRequest& request) {
  ByteWriter out;
  out.put(uint8_t(ObjectMessage::Sync));
  putSync(out, request);
  return out.take();
}

SyncRequest getSync(ByteReader& in) {
  SyncRequest request;
  request.op = in.getEnum(SyncOp::IsInterrupted);
  request.thread = getThreadRef(in);
  request.ticket = in.get<uint64_t>();
  request.object = in.get<uint64_t>();
  request.nanos = in.getI64();
  request.atomicOp = in.getEnum(rt::AtomicOp::Swap);
  request.offset = in.get<uint32_t>();
  request.sizeLog2 = in.get<uint8_t>();
  request.isReference = in.getBool();
  request.isElement = in.getBool();
  request.a = in.get<uint64_t>();
  request.b = in.get<uint64_t>();
  return request;
}

}  // namespace jvmc::cluster
