// The node's heap: regions of the address plan, 64 KiB blocks, bump allocation in zeroed holes, non-moving mark-region
// collection. Design: docs/internals/heap.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "runtime/abi/context.h"
#include "runtime/abi/layout.h"
#include "runtime/gc/world.h"
#include "runtime/object_space.h"

namespace jvmc::rt {

struct HeapOptions {
  uint64_t limitBytes = uint64_t(4) << 30;
  uint64_t collectEvery = 0;  ///< zeal: collect at every K-th allocation that reaches the slow path (TLABs are off then)
};

struct HeapStats {
  uint64_t allocatedBytes = 0, liveBytesAfterLast = 0, reservedBytes = 0;
  uint64_t collections = 0, pauseNanosTotal = 0, pauseNanosMax = 0;
  uint64_t barrierCalls = 0;
};

/// Visits precise roots: calls the function for each reference. Given by whoever knows them (threads, handles, object
/// space). Called while the world is stopped.
using RootSource = std::function<void(const std::function<void(ObjectRef)>&)>;

class Heap {
 public:
  /// Maps the address plan. `isFirstNode`: this node is home of region 0 and creates the statics objects.
  static std::unique_ptr<Heap> create(const ModuleLayout& layout, const ClassInfo* const* classes, World& world,
                                      RegionSource& regions, HeapOptions options, bool isFirstNode);
  virtual ~Heap() = default;

  /// A zeroed object with its header set (epoch HOME), or null if the heap is full even after a collection. May stop the
  /// world. `bytes` includes the header; arrays also get their length set.
  virtual ObjectRef allocateObject(ThreadContext&, ClassIndex index) = 0;
  virtual ObjectRef allocateArray(ThreadContext&, ClassIndex index, uint32_t length) = 0;
  /// Allocation by a runtime thread (no context; never collects; null if full).
  virtual ObjectRef allocateDetached(ClassIndex index, uint64_t bytes, uint32_t length) = 0;
  /// Gives the rest of the context's allocation area back (before it leaves its fiber).
  virtual void retire(ThreadContext&) = 0;

  /// Precise roots besides native stacks.
  virtual void addRoots(RootSource source) = 0;
  virtual void collect(ThreadContext* self) = 0;
  /// Marks an object as known outside this node: a root from now on.
  virtual void exportObject(ObjectRef) = 0;
  /// True if `ref` is the start of a live object homed here or could be a cached copy (range and alignment checks): for
  /// untrusted input.
  virtual bool plausible(ObjectRef ref) const = 0;
  virtual bool isLocal(ObjectRef ref) const = 0;  ///< lies in a region leased to this node
  virtual HeapStats stats() const = 0;
};

}  // namespace jvmc::rt
