// When is the program over? When every guest thread of the cluster has ended, threads on their way between two nodes
// included.
//
// Each node counts the threads that began on it and those that ended on it; both counts only grow. The leader asks
// all nodes twice: first wave `ended`, second wave `created`. If the sums are equal, E1 = C2, then at each moment t
// between the waves E1 <= ended(t) <= created(t) <= C2, so all four are equal and no thread was alive or on its way at
// t; and then none can begin any more. (This is half of Mattern's four-counter method; the other half is implied by
// growth.)
//
// A census begins at each end of a thread that the leader hears of once the main thread has ended, and when the members
// change; one during which they change counts for nothing. A node that leaves hands its counts to the leader, and takes
// no census any more. Hints that went to a leader that has gone are made good: every node sends one when the members
// change.
#pragma once

#include <atomic>
#include <functional>
#include <span>

#include "cluster/membership/control_channel.h"
#include "runtime/thread_events.h"

namespace jvmc::cluster {

/// What a node knows of the program's end, left to the others when it goes.
struct EndBequest {
  uint64_t created = 0, ended = 0;  ///< threads that began there and that ended there
  bool mainEnded = false;
  int32_t exitCode = 0;  ///< once mainEnded
};

/// One per node. Handlers and completions run on the net's I/O thread; threadCreated and threadEnded on any thread.
class ProgramEnd final : public rt::ThreadEvents {
 public:
  struct Callbacks {
    /// Main thread's exit code; on the leader, once, on the I/O thread.
    std::function<void(int32_t exitCode)> onEnd;
    /// A thread ended by an exception; on the node where that happened, on its thread.
    std::function<void(const rt::ThreadEnd&)> onUncaught;
  };
  ProgramEnd(ControlChannel& control, Callbacks callbacks);

  void threadCreated(rt::ThreadId id) override;
  void threadEnded(rt::ThreadEnd end) override;

  /// The net has other members than before; `left` is what those have left who went with this. On the net's I/O thread,
  /// in the task in which the members change: no census sees a node's counts twice, or not at all.
  void membersChanged(const EndBequest& left);
  /// No thread is on this node, nor will be: it takes no census from now on. On the net's I/O thread.
  EndBequest bequeath();

 private:
  void noteMainEnded(int32_t exitCode);
  void hint();
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
  std::atomic<int32_t> exitCode_{0};  // before mainEnded_
  std::atomic<bool> mainEnded_{false};

  // On the I/O thread only.
  bool hasLeft_ = false;
  bool censusRuns_ = false;
  bool askedAgain_ = false;
  uint64_t changes_ = 0;  ///< of the members
  uint64_t changesAtCensus_ = 0;
  bool over_ = false;
};

}  // namespace jvmc::cluster
