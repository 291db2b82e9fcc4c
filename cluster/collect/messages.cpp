#include "cluster/collect/messages.h"

namespace jvmc::cluster {

Bytes encode(const CollectStep& step) {
  ByteWriter out;
  out.put(uint8_t(step.kind));
  out.put(step.round);
  out.put(uint32_t(step.participants.size()));
  for (NodeId node : step.participants) out.put(node.value);
  return out.take();
}

bool decode(std::span<const uint8_t> payload, CollectStep& step) {
  ByteReader in(payload);
  step.kind = in.getEnum(CollectMessage::End);
  step.round = in.get<uint64_t>();
  for (uint32_t left = in.getCount(4); left > 0; --left) step.participants.push_back(NodeId(in.get<uint32_t>()));
  return in.finished();
}

Bytes encode(const CollectReply& reply) {
  ByteWriter out;
  out.put(reply.ok);
  out.put(reply.idle);
  out.put(reply.sent);
  out.put(reply.received);
  out.put(reply.objects);
  out.put(reply.bytes);
  return out.take();
}

bool decode(std::span<const uint8_t> payload, CollectReply& reply) {
  ByteReader in(payload);
  reply.ok = in.getBool();
  reply.idle = in.getBool();
  reply.sent = in.get<uint64_t>();
  reply.received = in.get<uint64_t>();
  reply.objects = in.get<uint64_t>();
  reply.bytes = in.get<uint64_t>();
  return in.finished();
}

Bytes encodeMark(uint64_t round, std::span<const uint64_t> words) {
  ByteWriter out;
  out.reserve(13 + 8 * words.size());
  out.put(uint8_t(CollectMessage::Mark));
  out.put(round);
  out.put(uint32_t(words.size()));
  for (uint64_t word : words) out.put(word);
  return out.take();
}

}  // namespace jvmc::cluster
