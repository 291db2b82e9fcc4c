// In which order threads leave a node that gets empty. A thread that wakes up before its memory has come fetches copies
// of what is about to come anyway: where a thousand threads with an array each left first and the arrays after them,
// two bytes travelled for one.
//
// So a thread that waits for something leaves with one of the blocks that it refers to, as soon as that block is on its
// way and to the same node, where it waits for the block if it needs it. Of several blocks it is the one that it shares
// with the fewest. Others leave at once: threads that run, those that refer to nothing here, and those that share all
// of it with many, who are better spread.
//
// No thread stays for that for long: only while blocks leave, and no longer than until twice as much has left as was
// here at the beginning. (Threads that stay make new blocks.)
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/abi/address_plan.h"
#include "runtime/ids.h"

namespace jvmc::cluster {

/// A thread that is to leave.
struct Departing {
  rt::ThreadRef thread;
  bool pinned = false;           ///< and shall be where it goes
  std::vector<uint64_t> blocks;  ///< homed here, that it refers to; empty if it shall not wait for any
};

/// Thread-safe.
class DeparturePlan {
 public:
  /// Of a node with `bytes` in its heap. True if threads may wait for their blocks this time: the caller finds out
  /// which these are, and makes the plan.
  bool mayWait(uint64_t bytes);
  /// Replaces the plan. Gives the threads that leave at once.
  std::vector<Departing> make(std::vector<Departing> threads);
  /// The group that begins at `block` is on its way: threads that leave with it, each once.
  std::vector<Departing> takeWith(uint64_t block);
  /// So much has left since the last call.
  void blocksHaveLeft(uint64_t bytes);
  /// The node is not to leave any more.
  void forget();

 private:
  static constexpr size_t kSharersMax = 8;

  std::mutex mutex_;
  std::unordered_map<uint64_t, std::vector<Departing>> byBlock_;
  bool begun_ = false;
  bool blocksLeave_ = true;  ///< the last time that some were to
  uint64_t bytesAtFirst_ = 0, bytesLeft_ = 0;
};

}  // namespace jvmc::cluster
