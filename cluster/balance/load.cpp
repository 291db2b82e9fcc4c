#include "cluster/balance/load.h"

#include <algorithm>
#include <cmath>

namespace jvmc::cluster {
namespace {

constexpr size_t kThreadBytes = 23;
constexpr double kCpuScale = 65535, kOccupiedScale = 1000;
constexpr uint8_t kRunnable = 1, kPinned = 2;

}  // namespace

uint32_t NodeLoad::runnable() const {
  return uint32_t(std::count_if(threads.begin(), threads.end(), [](const ThreadLoad& t) { return t.runnable; }));
}

double NodeLoad::cpuUsed() const {
  double sum = 0;
  for (const ThreadLoad& thread : threads) sum += thread.cpu;
  return sum;
}

std::vector<uint8_t> encodeLoad(const NodeLoad& load) {
  ByteWriter out;
  out.put(load.node.value);
  out.put(load.workers);
  out.put(uint32_t(std::lround(std::clamp(load.occupied, 0.0, double(load.workers)) * kOccupiedScale)));
  for (uint64_t bytes : {load.memory.live, load.memory.used, load.memory.limit, load.memory.copies, load.memory.rss})
    out.put(bytes);
  out.put(load.memory.moving);
  out.put(uint32_t(load.threads.size()));
  for (const ThreadLoad& thread : load.threads) {
    out.put(thread.thread.id);
    out.put(thread.thread.object);
    out.put(uint16_t(std::lround(std::clamp(thread.cpu, 0.0, 1.0) * kCpuScale)));
    out.put(uint8_t((thread.runnable ? kRunnable : 0) | (thread.pinned ? kPinned : 0)));
    out.put(uint32_t(std::min<uint64_t>(thread.frameBytes, UINT32_MAX)));
  }
  return out.take();
}

Result<NodeLoad> decodeLoad(std::span<const uint8_t> bytes) {
  ByteReader in(bytes);
  NodeLoad load;
  load.node = NodeId(in.get<uint32_t>());
  load.workers = in.get<uint32_t>();
  load.occupied = std::min(in.get<uint32_t>() / kOccupiedScale, double(load.workers));
  for (uint64_t* bytes :
       {&load.memory.live, &load.memory.used, &load.memory.limit, &load.memory.copies, &load.memory.rss})
    *bytes = in.get<uint64_t>();
  load.memory.moving = in.getBool();
  const uint32_t count = in.getCount(kThreadBytes);
  load.threads.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    ThreadLoad thread;
    thread.thread.id = in.get<uint64_t>();
    thread.thread.object = in.get<uint64_t>();
    thread.cpu = in.get<uint16_t>() / kCpuScale;
    const uint8_t flags = in.get<uint8_t>();
    thread.runnable = flags & kRunnable;
    thread.pinned = flags & kPinned;
    thread.frameBytes = in.get<uint32_t>();
    load.threads.push_back(thread);
  }
  if (!in.finished() || load.workers == 0) return Error{ErrorCode::kCorrupt, "malformed load report"};
  return load;
}

}  // namespace jvmc::cluster
