// What the balancer knows: one sample of each node's load. Filled by the nodes, sent to the leader
// (ControlKind::LoadReport), judged by policies that see nothing else.
#pragma once

#include <string>
#include <vector>

#include "cluster/wire/bytes.h"
#include "ir/support/result.h"
#include "runtime/ids.h"

namespace jvmc::cluster {

using rt::NodeId;

/// What a thread asks of another node's objects, or one node of another's.
struct HomeRate {
  NodeId home;
  double requests = 0;  ///< a second
  double bytes = 0;     ///< a second
  double wait = 0;      ///< share of its time that a thread waits for the answers, and for its turn after them
};

struct ThreadLoad {
  rt::ThreadRef thread;
  double cpu = 0;     ///< share of one core in the last window, 0 to 1
  double wanted = 0;  ///< share of one core that it would have used since the last sample, if it was seen to; else 0
  /// Share of the time, lately, in which it ran, was ready, or waited for another node: did not wait of its own accord.
  double active = 0;
  bool runnable = false;  ///< running, or ready and waiting for a worker
  bool pinned = false;
  bool travels = false;  ///< it has been asked to come, and no report says yet that it has; known to the leader only
  uint64_t frameBytes = 0;
  std::vector<HomeRate> uses{};  ///< the homes it asks most, first; at most kUsesMax

  static constexpr size_t kUsesMax = 4;
};

/// What another node uses of the blocks homed here: of those that it asks for more than all others together.
struct BlockUse {
  NodeId user;
  double requests = 0;  ///< a second
  uint64_t bytes = 0;   ///< of the blocks
};

/// What a node is to give to another.
struct BlockGift {
  NodeId to;
  uint64_t bytes = 0;
  bool used = false;  ///< those that `to` asks for more than all others; else any
};

/// Of a node's heap, in bytes.
struct MemoryLoad {
  uint64_t live = 0;    ///< in use after the last collection; garbage has died since
  uint64_t used = 0;    ///< taken from the limit, dead objects included
  uint64_t limit = 0;   ///< 0: not known
  uint64_t copies = 0;  ///< memory of cached copies, beyond `used`
  uint64_t rss = 0;     ///< of the process: heap, copies, code and all else
  bool moving = false;  ///< blocks are leaving, or are about to

  /// Share of the limit that is in use.
  double share() const { return limit == 0 ? 0 : double(live) / double(limit); }
};

struct NodeLoad {
  NodeId node;
  uint32_t workers = 1;
  /// Workers that had something to run, averaged over the last samples. More than cpuUsed() where other processes take
  /// part of the machine.
  double occupied = 0;
  uint32_t queued = 0;              ///< ready threads without a worker, at this moment
  std::vector<double> workerCpu{};  ///< share of a core that each worker has used since the last sample
  HomeRate remote{};                ///< of all threads and homes together; no home, wait: threads that wait
  std::vector<BlockUse> usedBy{};
  MemoryLoad memory;
  bool fresh = true;         ///< at the leader: nothing has been decided on this report yet
  uint32_t idleThreads = 0;  ///< that are not listed, because they want nothing
  std::vector<ThreadLoad> threads;

  uint32_t runnable() const;
  /// Cores' worth of guest CPU used in the window.
  double cpuUsed() const;
};

struct LoadSnapshot {
  int64_t nowNanos = 0;  ///< monotonic
  std::vector<NodeLoad> nodes;
};

/// u32 node | u32 workers | u32 occupied (1/1000) | u32 queued | u32 n, n times u16 CPU of a worker (1/65535) | remote
/// | u32 n, n times: u32 user, u32 requests, u64 bytes
/// | memory: u64 live, used, limit, copies, rss, u8 moving | u32 idle threads | u32 threads | each: id u64, object u64,
/// cpu, wanted, active u16 (1/65535), flags u8 (1 runnable, 2 pinned), frame bytes u32, u8 n, n times a rate.
/// Rate: u32 home | u32 requests | u64 bytes | u32 wait (1/1000).
std::vector<uint8_t> encodeLoad(const NodeLoad& load);
Result<NodeLoad> decodeLoad(std::span<const uint8_t> bytes);

}  // namespace jvmc::cluster
