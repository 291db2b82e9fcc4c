// When is the program over? When every guest thread of the cluster has ended, threads on their way between two nodes
// included.
//
// Each node counts the threads that began on it and those that ended on it; both counts only grow. The first node asks
// all nodes twice: first wave `ended`, second wave `created`. If the sums are equal, E1 = C2, then at each moment t
// between the waves E1 <= ended(t) <= created(t) <= C2, so all four are equal and no thread was alive or on its way at
// t; and then none can begin any more. (This is half of Mattern's four-counter method; the other half is implied by
// growth.)
//
// A census begins at each end of a thread that the first node hears of once the main thread has ended, and when the
// members change; one during which they change counts for nothing.
#pragma once

#include <atomic>
#include <functional>
#include <span>

#include "cluster/membership/control_channel.h"
#include "runtime/thread_events.h"

namespace jvmc::cluster {

/// One per node. Handlers and completions run on the net's I/O thread; threadCreated and threadEnded on any thread.
class ProgramEnd final : public rt::ThreadEvents {
 public:
  struct Callbacks {
    /// Main thread's exit code; on the first node, once, on the I/O thread.
    std::function<void(int32_t exitCode)> onEnd;
    /// A thread ended by an exception; on the node where that happened, on its thread.
    std::function<void(const rt::ThreadEnd&)> onUncaught;
  };
  ProgramEnd(ControlChannel& control, Callbacks callbacks);

  void threadCreated(rt::ThreadId id) override;
  void threadEnded(rt::ThreadEnd end) override;

  /// The net has other members than before; `created` and `ended` are the counts of those that have left with this. On
  /// the net's I/O thread, in the task in which the members change: no census sees a node's counts twice, or not at
  /// all.
  void membersChanged(uint64_t created, uint64_t ended);

  uint64_t created() const { return created_.load(); }
  uint64_t ended() const { return ended_.load(); }

 private:
  static constexpr rt::NodeId kFirstNode{0};

  void hint(bool mainEnded, int32_t exitCode);
  void takeHint(std::span<const uint8_t> payload);
  void askForCensus();
  void beginCensus();
  /// Adds up the counts of all nodes and calls `next` with the sum; a node that cannot be asked ends the census.
  void wave(ControlKind kind, std::function<void(uint64_t sum)> next);
  void closeCensus(uint64_t ended, uint64_t created);
  void endCensus();

  ControlChannel& control_;
  Callbacks callbacks_;
  std::atomic<uint64_t> created_{0}, ended_{0};

  // First node, on the I/O thread only.
  bool mainEnded_ = false;
  int32_t exitCode_ = 0;
  bool censusRuns_ = false;
  bool askedAgain_ = false;
  uint64_t changes_ = 0;  ///< of the members
  uint64_t changesAtCensus_ = 0;
  bool over_ = false;
};

}  // namespace jvmc::cluster
