// What every thread of a node does at one moment: its guest stack and what it waits for. The world stands still
// meanwhile, for microseconds a thread; a thread that runs is found at the safepoint that it had come to.
#pragma once

#include <string>
#include <vector>

#include "runtime/prof/profile_data.h"

namespace jvmc::rt {

class Vm;

struct ThreadDump {
  ThreadRef ref;
  std::string name;
  ThreadState state = ThreadState::New;
  WaitState wait;  ///< of a parked thread
  uint32_t incarnation = 0;
  bool pinned = false, moving = false;
  bool suspended = false;           ///< runs, but its fiber waits for a remote object or for memory
  std::vector<ProfileFrame> stack;  ///< innermost first
};

/// Not from guest code. Threads that are on their way between nodes are on neither.
std::vector<ThreadDump> dumpThreads(Vm& vm);

}  // namespace jvmc::rt
