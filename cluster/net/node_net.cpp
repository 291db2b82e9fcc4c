#include "cluster/net/node_net.h"

#include <algorithm>
#include <chrono>

namespace jvmc::cluster {

int64_t steadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

size_t Payload::size() const {
  size_t sum = bytes.size();
  for (const std::span<const uint8_t> piece : tail) sum += piece.size();
  return sum;
}

void NodeNet::requestInPieces(NodeId to, Channel channel, Payload payload, std::function<void(Result<Bytes>)> done) {
  Bytes whole = std::move(payload.bytes);
  for (const std::span<const uint8_t> piece : payload.tail) whole.insert(whole.end(), piece.begin(), piece.end());
  request(to, channel, std::move(whole), std::move(done));
}

bool NodeNet::isMember(NodeId node) const {
  const std::vector<NodeId> all = nodes();
  return std::binary_search(all.begin(), all.end(), node);
}

bool NodeNet::isPlace(NodeId node) const {
  const std::vector<NodeId> all = places();
  return std::binary_search(all.begin(), all.end(), node);
}

NodeId NodeNet::nextPlace() const {
  const std::vector<NodeId> all = places();
  const auto next = std::upper_bound(all.begin(), all.end(), self());
  if (next != all.end()) return *next;
  return all.empty() ? self() : all.front();
}

}  // namespace jvmc::cluster
