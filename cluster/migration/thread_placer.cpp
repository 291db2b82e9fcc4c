#include "cluster/migration/thread_placer.h"

#include <algorithm>
#include <cmath>

namespace jvmc::cluster {

namespace {

constexpr double kThousand = 1000;
constexpr size_t kRoomBytes = 12;

}  // namespace

std::vector<uint8_t> encodeRoom(std::span<const NodeRoom> room) {
  ByteWriter out;
  out.put(uint32_t(room.size()));
  for (const NodeRoom& each : room) {
    out.put(each.node.value);
    out.put(each.workers);
    out.put(uint32_t(std::lround(std::clamp(each.busy, 0.0, 1e6) * kThousand)));
  }
  return out.take();
}

Result<std::vector<NodeRoom>> decodeRoom(std::span<const uint8_t> bytes) {
  ByteReader in(bytes);
  std::vector<NodeRoom> room;
  bool sensible = true;
  for (uint32_t left = in.getCount(kRoomBytes); left > 0; --left) {
    NodeRoom& each = room.emplace_back();
    each.node = NodeId(in.get<uint32_t>());
    each.workers = in.get<uint32_t>();
    each.busy = in.get<uint32_t>() / kThousand;
    sensible = sensible && each.node.value < rt::kNodesMax && each.workers > 0;
  }
  if (!in.finished() || !sensible) return Error{ErrorCode::kCorrupt, "malformed table of loads"};
  return room;
}

void ThreadPlacer::update(std::span<const NodeRoom> room) {
  std::lock_guard lock(mutex_);
  for (Known& each : nodes_) each.started /= 2;
  for (const NodeRoom& each : room) {
    if (nodes_.size() <= each.node.value) nodes_.resize(each.node.value + 1);
    Known& known = nodes_[each.node.value];
    known.workers = each.workers;
    known.busy = each.busy - (each.node == self_ ? std::min(each.busy, kStarter) : 0);
  }
}

NodeId ThreadPlacer::place(std::span<const NodeId> places, std::span<const NodeId> used) {
  if (places.empty()) return self_;
  const size_t own = size_t(std::find(places.begin(), places.end(), self_) - places.begin());
  if (alwaysHere_ && own < places.size()) return self_;
  std::lock_guard lock(mutex_);
  NodeId best;
  double least = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    const NodeId node = places[(own + i) % places.size()];
    if (nodes_.size() <= node.value) nodes_.resize(node.value + 1);
    const Known& known = nodes_[node.value];
    const double near = used.empty() ? 0 : double(std::count(used.begin(), used.end(), node)) / double(used.size());
    const double crowd = (known.busy + known.started - kNearness * near) / known.workers;
    if (best.valid() && crowd >= least) continue;
    best = node;
    least = crowd;
  }
  ++nodes_[best.value].started;
  return best;
}

}  // namespace jvmc::cluster
