#include "cluster/balance/load.h"

#include <algorithm>
#include <cmath>

namespace jvmc::cluster {
namespace {

constexpr size_t kThreadBytes = 28;
constexpr double kShareScale = 65535, kThousand = 1000;
constexpr uint8_t kRunnable = 1, kPinned = 2;

void putShare(ByteWriter& out, double share) {
  out.put(uint16_t(std::lround(std::clamp(share, 0.0, 1.0) * kShareScale)));
}
double getShare(ByteReader& in) {
  return in.get<uint16_t>() / kShareScale;
}

void putRate(ByteWriter& out, const HomeRate& rate) {
  out.put(rate.home.value);
  out.put(uint32_t(std::clamp(rate.requests, 0.0, 4e9)));
  out.put(uint64_t(std::clamp(rate.bytes, 0.0, 1e15)));
  out.put(uint32_t(std::lround(std::clamp(rate.wait, 0.0, 1e6) * kThousand)));
}
HomeRate getRate(ByteReader& in) {
  HomeRate rate;
  rate.home = NodeId(in.get<uint32_t>());
  rate.requests = in.get<uint32_t>();
  rate.bytes = double(in.get<uint64_t>());
  rate.wait = in.get<uint32_t>() / kThousand;
  return rate;
}

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
  out.put(uint32_t(std::lround(std::clamp(load.occupied, 0.0, double(load.workers)) * kThousand)));
  out.put(load.queued);
  out.put(uint32_t(load.workerCpu.size()));
  for (double cpu : load.workerCpu) putShare(out, cpu);
  putRate(out, load.remote);
  out.put(uint32_t(load.usedBy.size()));
  for (const BlockUse& use : load.usedBy) {
    out.put(use.user.value);
    out.put(uint32_t(std::clamp(use.requests, 0.0, 4e9)));
    out.put(use.bytes);
  }
  for (uint64_t bytes : {load.memory.live, load.memory.used, load.memory.limit, load.memory.copies, load.memory.rss})
    out.put(bytes);
  out.put(load.memory.moving);
  out.put(load.idleThreads);
  out.put(uint32_t(load.threads.size()));
  for (const ThreadLoad& thread : load.threads) {
    out.put(thread.thread.id);
    out.put(thread.thread.object);
    putShare(out, thread.cpu);
    putShare(out, thread.wanted);
    putShare(out, thread.active);
    out.put(uint8_t((thread.runnable ? kRunnable : 0) | (thread.pinned ? kPinned : 0)));
    out.put(uint32_t(std::min<uint64_t>(thread.frameBytes, UINT32_MAX)));
    out.put(uint8_t(std::min(thread.uses.size(), ThreadLoad::kUsesMax)));
    for (size_t i = 0; i < std::min(thread.uses.size(), ThreadLoad::kUsesMax); ++i) putRate(out, thread.uses[i]);
  }
  return out.take();
}

Result<NodeLoad> decodeLoad(std::span<const uint8_t> bytes) {
  ByteReader in(bytes);
  NodeLoad load;
  load.node = NodeId(in.get<uint32_t>());
  load.workers = in.get<uint32_t>();
  load.occupied = std::min(in.get<uint32_t>() / kThousand, double(load.workers));
  load.queued = in.get<uint32_t>();
  for (uint32_t left = in.getCount(2); left > 0; --left) load.workerCpu.push_back(getShare(in));
  load.remote = getRate(in);
  for (uint32_t left = in.getCount(16); left > 0; --left) {
    BlockUse& use = load.usedBy.emplace_back();
    use.user = NodeId(in.get<uint32_t>());
    use.requests = in.get<uint32_t>();
    use.bytes = in.get<uint64_t>();
  }
  for (uint64_t* bytes :
       {&load.memory.live, &load.memory.used, &load.memory.limit, &load.memory.copies, &load.memory.rss})
    *bytes = in.get<uint64_t>();
  load.memory.moving = in.getBool();
  load.idleThreads = in.get<uint32_t>();
  const uint32_t count = in.getCount(kThreadBytes);
  load.threads.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    ThreadLoad& thread = load.threads.emplace_back();
    thread.thread.id = in.get<uint64_t>();
    thread.thread.object = in.get<uint64_t>();
    thread.cpu = getShare(in);
    thread.wanted = getShare(in);
    thread.active = getShare(in);
    const uint8_t flags = in.get<uint8_t>();
    thread.runnable = flags & kRunnable;
    thread.pinned = flags & kPinned;
    thread.frameBytes = in.get<uint32_t>();
    for (uint8_t left = in.get<uint8_t>(); left > 0 && in.ok(); --left) thread.uses.push_back(getRate(in));
  }
  if (!in.finished() || load.workers == 0) return Error{ErrorCode::kCorrupt, "malformed load report"};
  return load;
}

}  // namespace jvmc::cluster
