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

struct ThreadLoad {
  rt::ThreadRef thread;
  double cpu = 0;         ///< share of one core in the last window, 0 to 1
  bool runnable = false;  ///< running, or ready and waiting for a worker
  bool pinned = false;
  uint64_t frameBytes = 0;
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
  MemoryLoad memory;
  std::vector<ThreadLoad> threads;

  uint32_t runnable() const;
  /// Cores' worth of guest CPU used in the window.
  double cpuUsed() const;
};

struct LoadSnapshot {
  int64_t nowNanos = 0;  ///< monotonic
  std::vector<NodeLoad> nodes;
};

/// u32 node | u32 workers | u32 occupied (1/1000) | memory: u64 live, used, limit, copies, rss, u8 moving | u32 threads
/// | each: id u64, object u64, cpu u16 (1/65535), flags u8 (1 runnable, 2 pinned), frame bytes u32.
std::vector<uint8_t> encodeLoad(const NodeLoad& load);
Result<NodeLoad> decodeLoad(std::span<const uint8_t> bytes);

}  // namespace jvmc::cluster
