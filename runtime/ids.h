// Ids and references that mean the same on every node of a program.
#pragma once

#include "ir/support/ids.h"
#include "runtime/abi/object.h"

namespace jvmc::rt {

using NodeId = Id<struct NodeTag>;
/// Node ids of a program are smaller. An id is given to one node only, ever: the ids of nodes that have left stay
/// unused.
inline constexpr uint32_t kNodesMax = 1024;

/// Names a guest thread for its whole life, wherever it runs. Never reused. 0 is no thread.
using ThreadId = uint64_t;

/// A thread and its Thread object; the object's home knows the thread's node, so mail always finds the way.
struct ThreadRef {
  ThreadId id = 0;
  ObjectRef object = kNullRef;
  friend bool operator==(const ThreadRef&, const ThreadRef&) = default;
};

}  // namespace jvmc::rt
