// Who is told that guest threads begin and end: the node's owner, which decides when the program is over. `irc run` has
// one node; in a cluster the leader adds the counts of all (cluster/membership/program_end.h).
#pragma once

#include <cstdint>
#include <string>

#include "runtime/ids.h"

namespace jvmc::rt {

/// The main thread's id: the first one that the first node gives out (counter * kNodesMax + node + 1).
inline constexpr ThreadId kMainThreadId = 1;

/// How a guest thread ended.
struct ThreadEnd {
  ThreadId id = 0;
  int32_t exitCode = 0;   ///< main: what it returned (0 if it returns nothing); 1 after an uncaught exception
  bool uncaught = false;  ///< ended by an exception that no handler took
  std::string report;     ///< uncaught: the text for stderr (thread, class, message, trace), without a last newline
};

/// Calls come from any thread, must not block, and happen once for each thread in the whole cluster, whatever node it
/// begins or ends on.
class ThreadEvents {
 public:
  virtual ~ThreadEvents() = default;
  /// Before the thread can run. Also for the main thread.
  virtual void threadCreated(ThreadId id) = 0;
  /// After its last guest instruction, and after joiners have been woken or mailed.
  virtual void threadEnded(ThreadEnd end) = 0;
};

}  // namespace jvmc::rt
