// The timeline of one VM: what happened when, kept in buffers of fixed size, the latest events only.
//
// Whoever has something to tell asks isOn() first, on a path that is slow anyway: one relaxed load and a branch that is
// not taken while nobody traces. Times are the monotonic clock's, in nanoseconds.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/ids.h"

namespace jvmc::rt {

enum class TraceKind : uint8_t {
  Run,      ///< a thread runs: one dispatch
  Wait,     ///< a thread is parked. a: WaitKind, b: object
  Leave,    ///< a thread is written down and sent to node a; b: its incarnation there
  Arrive,   ///< a thread begins here or comes from another node; b: its incarnation, 0 of a new one
  Fetch,    ///< a thread waits for an object of node a; b: object
  Collect,  ///< what the collector has done. a: HeapPhase
  Compile,  ///< a function is compiled. a: FunctionId, b: resume point + 1 of a continuation, 0: the function
  Flush,    ///< a thread's writes are on their way home, and it waits. a: objects
  Member,   ///< this node learns of a change of the program's nodes. a: which node, b: MemberChange
  Loan,     ///< a monitor is here on loan from now on (end 0), or was. a: its home, b: object
  Round,    ///< of a cluster-wide collection, here. a: 1 if it has come to its end, b: number
  kCount
};
inline constexpr const char* kTraceKindNames[] = {"run",     "wait",  "leave",  "arrive", "fetch", "collect",
                                                  "compile", "flush", "member", "loan",   "round"};
static_assert(std::size(kTraceKindNames) == size_t(TraceKind::kCount));

enum class MemberChange : uint8_t {
  Joined,   ///< threads may go there now; also a node that was to leave and stays
  Leaving,  ///< it is told to leave: what is on it goes elsewhere
  Left,
  kCount
};
inline constexpr const char* kMemberChangeNames[] = {"joined", "is to leave", "left"};
static_assert(std::size(kMemberChangeNames) == size_t(MemberChange::kCount));

struct TraceEvent {
  TraceKind kind = TraceKind::Run;
  uint32_t a = 0;
  ThreadId thread = 0;  ///< 0: none
  int64_t begin = 0, end = 0;
  uint64_t b = 0;
};

struct TraceTaken {
  std::vector<TraceEvent> events;  ///< by their ends, roughly
  uint64_t lost = 0;               ///< overwritten before anybody took them
};

/// Thread-safe.
class Tracer {
 public:
  /// Keeps about `events` of the latest events, until stop(), but no waits, fetches and flushes shorter than
  /// `minNanos`. Once started, only `minNanos` changes.
  void start(size_t events, int64_t minNanos = 0);
  void stop();
  bool isOn() const { return on_.load(std::memory_order_relaxed); }
  /// When it was started: what had begun before counts from there.
  int64_t since() const { return since_.load(std::memory_order_relaxed); }
  /// Costs a lock that is free nearly always, and a copy.
  void add(const TraceEvent& event);
  /// What has been kept since the last time.
  TraceTaken take();

  static int64_t now();

 private:
  static constexpr size_t kShards = 16;
  struct alignas(64) Shard {
    std::mutex mutex;
    std::vector<TraceEvent> ring;
    uint64_t added = 0, taken = 0;
  };
  std::atomic<bool> on_{false};
  std::atomic<int64_t> minNanos_{0}, since_{0};
  std::array<Shard, kShards> shards_;  // by thread
};

}  // namespace jvmc::rt
