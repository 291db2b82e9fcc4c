// The synchronisation state of one object as data: what moves with the object when its home changes. A lock word that
// is free or thin is part of the object itself; this holds what an inflated word stands for, and waits of other kinds.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/ids.h"

namespace jvmc::rt {

enum class ClassInitState : uint8_t { None, Running, Done, Failed };

struct SyncState {
  struct Waiting {
    ThreadRef thread;
    uint64_t ticket = 0;
    NodeId node;                 ///< that has asked; the thread may have moved since
    uint32_t count = 0;          ///< recursion that the monitor has again once granted
    bool interrupted = false;    ///< ends with InterruptedException once granted
    int64_t remainingNanos = 0;  ///< of the timeout; 0: none
  };

  bool inflated = false;
  ThreadId owner = 0;                               ///< 0: nobody
  uint32_t count = 0;                               ///< recursion beyond the first entry
  std::vector<Waiting> entering, waiting, joining;  ///< each in FIFO order

  ClassInitState classInit = ClassInitState::None;
  ThreadId initRunner = 0;
  std::vector<Waiting> initWaiting;

  bool empty() const { return !inflated && joining.empty() && classInit == ClassInitState::None; }
};

}  // namespace jvmc::rt
