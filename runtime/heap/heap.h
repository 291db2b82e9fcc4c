// The node's heap: regions of the address plan, 64 KiB blocks, bump allocation in zeroed holes, non-moving mark-region
// collection. Design: docs/internals/heap.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>

#include "ir/support/result.h"
#include "runtime/abi/context.h"
#include "runtime/abi/layout.h"
#include "runtime/gc/world.h"
#include "runtime/heap/object_starts.h"
#include "runtime/object_space.h"

namespace jvmc::rt {

class Trace;
class TraceHost;

/// Parts of the store barrier (ThreadContext::barrierFlags).
inline constexpr uint32_t kBarrierCount = kBarrierAlways;  ///< tests: count the calls
inline constexpr uint32_t kBarrierYoung = kFlagOld;    ///< log places in old objects that come to refer to young ones
inline constexpr uint32_t kBarrierMarking = 1u << 30;  ///< log references that old objects lose; with kBarrierYoung
/// A cluster-wide collection traces: references that old objects lose are grey; with kBarrierYoung.
inline constexpr uint32_t kBarrierTrace = 1u << 29;
static_assert(((kBarrierMarking | kBarrierTrace) & (kClassMask | kFlagFrozen | kFlagExported | kFlagOld)) == 0);

/// What the collector does: the first four are pauses, during the others the program goes on.
enum class HeapPhase : uint8_t { Young, BeginCycle, FinishCycle, Full, Marking, Sweeping, kCount };
inline constexpr const char* kHeapPhaseNames[] = {
    "pause: young", "pause: begin of a cycle", "pause: end of a cycle", "pause: full", "mark", "sweep"};
static_assert(std::size(kHeapPhaseNames) == size_t(HeapPhase::kCount));

struct HeapOptions {
  uint64_t limitBytes = uint64_t(4) << 30;
  /// Zeal: collect at every K-th allocation that reaches the slow path, in turn in each way there is. TLABs are off
  /// then, dead objects are filled with 0xDB (epoch 0), every reference that the collector meets is checked, and a
  /// second marking checks each one that is not full.
  uint64_t collectEvery = 0;
  bool poison = false;  ///< zeal of other kinds: dead objects are filled likewise
  /// A thread of the heap's own carries cycles on. Off (tests), only stepCycle() and the next full collection do.
  bool background = true;
  bool young = true;           ///< benchmarks: off, every collection is full, and no store needs a barrier
  bool countBarriers = false;  ///< tests: every reference store reports to onBarrier()
  /// Told of each phase when it is over, by the monotonic clock; a pause begins with the wish to stop. Under locks of
  /// the heap, the world perhaps stopped: must be quick. May be empty.
  std::function<void(HeapPhase phase, int64_t beginNanos, int64_t endNanos)> phaseOver;
};

struct HeapStats {
  uint64_t allocatedBytes = 0, liveBytesAfterLast = 0, reservedBytes = 0;
  uint64_t collections = 0;      ///< all of them: young, full, and cycles, which also contain two young ones each
  uint64_t fullCollections = 0;  ///< in one pause
  uint64_t cycles = 0;           ///< concurrent ones that were completed
  uint64_t pauses = 0;
  uint64_t pauseNanosTotal = 0, pauseNanosMax = 0;  ///< from the wish to stop to the end
  uint64_t pauseNanosP50 = 0, pauseNanosP99 = 0;    ///< of the latest 4096
  /// What the collector's thread took of a processor in those pauses: the same without other programs on the machine.
  uint64_t pauseCpuNanosP50 = 0, pauseCpuNanosP99 = 0, pauseCpuNanosMax = 0;
  uint64_t barrierCalls = 0;
};

/// How full a heap is, in bytes.
struct MemoryUse {
  uint64_t live = 0;      ///< after the last collection, and what has come and gone with blocks since
  uint64_t used = 0;      ///< in blocks that hold objects, dead or alive
  uint64_t resident = 0;  ///< these, and free blocks whose memory has not been given back yet
  uint64_t limit = 0;
};

/// Blocks that change their home together: one block of small objects or statics, or all blocks of one large object.
struct BlockGroup {
  uint64_t address = 0;
  uint32_t blocks = 0;
  bool large = false;

  uint64_t bytes() const { return uint64_t(blocks) << kBlockShift; }
  uint64_t end() const { return address + bytes(); }
};

/// What the last full marking has found alive.
struct MarkedLive {
  uint64_t number = 0;  ///< how many there have been
  uint64_t bytes = 0;
};

/// What a cluster-wide collection has found dead here.
struct TraceResult {
  uint64_t objects = 0, bytes = 0;
};

/// Visits precise roots: calls the function for each reference. Given by whoever knows them (threads, handles, object
/// space). Called while the world is stopped.
using RootSource = std::function<void(const std::function<void(ObjectRef)>&)>;

/// What a node's part in cluster-wide collections needs of its memory (cluster/collect). Runtime threads, outside
/// GuestAccess unless it says otherwise.
class Traceable {
 public:
  virtual ~Traceable() = default;

  /// Stops the world, collects what is young, and takes a snapshot of what this node's roots lead to, but for exported
  /// objects. `moreRoots` is called meanwhile and greys what else the node has hold of. No group is withdrawn then, nor
  /// before endTrace(). False, and nothing has happened: stores of this program cannot be followed.
  virtual bool beginTrace(const TraceHost& host, const std::function<void(Trace&)>& moreRoots) = 0;
  /// Active from beginTrace to endTrace.
  virtual Trace& trace() = 0;
  /// Traces for well below a millisecond. True: nothing is grey.
  virtual bool traceSome() = 0;
  /// Another node has hold of the object: grey, if there is an exported object of ours. With GuestAccess.
  virtual void greyIfExported(uint64_t address) = 0;
  /// Stops the world. `isComplete`: all that is not marked, and is no younger than the snapshot, is dead, exported or
  /// not, and a marking of the heap begins that finds its memory. Otherwise nothing becomes of it.
  virtual TraceResult endTrace(bool isComplete) = 0;
};

class Heap : public Traceable {
 public:
  /// Maps the address plan. `isFirstNode`: this node is home of region 0 and creates the statics objects. All arguments
  /// must outlive the heap. Fails with words for the user if the system refuses the mapping.
  static Result<std::unique_ptr<Heap>> tryCreate(const ModuleLayout& layout, const ClassInfo* const* classes,
                                                 World& world, RegionSource& regions, HeapOptions options,
                                                 bool isFirstNode);
  /// The same, where a refusal is the end of the process.
  static std::unique_ptr<Heap> create(const ModuleLayout& layout, const ClassInfo* const* classes, World& world,
                                      RegionSource& regions, HeapOptions options, bool isFirstNode);

  /// A zeroed object with its header set (epoch HOME), or null if the heap is full even after a collection. May stop
  /// the world. `bytes` includes the header; arrays also get their length set.
  virtual ObjectRef allocateObject(ThreadContext&, ClassIndex index) = 0;
  virtual ObjectRef allocateArray(ThreadContext&, ClassIndex index, uint32_t length) = 0;
  /// Allocation that never collects: by a runtime thread inside World::GuestAccess, or by the runtime itself for what
  /// must not fail easily (exceptions when memory is out, objects that capture rebuilds). May go 4 MiB beyond the
  /// limit; null if that is used up too. `bytes`: the object's size; `length`: of arrays, else ignored.
  virtual ObjectRef allocateDetached(ClassIndex index, uint64_t bytes, uint32_t length) = 0;
  /// Gives back the rest of the context's allocation area and what its stores have logged: by its thread, before it
  /// leaves guest code for World::remove.
  virtual void retire(ThreadContext&) = 0;

  /// Precise roots besides native stacks. Before guest code runs.
  virtual void addRoots(RootSource source) = 0;
  /// The same for words of which nobody knows whether they are references. If they look like it, the objects live.
  virtual void addWords(RootSource source) = 0;
  /// Stops the world and does a full collection. `self`: the caller's context if it is in guest code, else null.
  virtual void collect(ThreadContext* self) = 0;
  /// Marks an object as known outside this node: a root from now on, until a cluster-wide collection finds it dead.
  /// Idempotent; ignores foreign objects and null.
  /// Caller: in guest code or with GuestAccess.
  virtual void exportObject(ObjectRef) = 0;
  /// The steps of a concurrent cycle, each to its end, for tests: begin (a young collection and the snapshot), mark
  /// without a pause, finish. Each but the first does nothing without the one before.
  enum class CycleStep : uint8_t { Begin, Mark, Finish };
  virtual void collectYoung(ThreadContext* self) = 0;
  virtual void stepCycle(ThreadContext* self, CycleStep step) = 0;
  /// Ends the collector's thread: before the sources of roots go away. Allocation works on.
  virtual void stopThread() = 0;
  /// Called before the reference `value` is stored at `object + offset`, without a safepoint or the end of GuestAccess
  /// in between: by guest code if ctx.barrierFlags say so (the helper storeBarrier), by runtime threads always, with a
  /// null context (it does nothing while barriers are off).
  virtual void onBarrier(ThreadContext* ctx, ObjectRef object, uint64_t offset, ObjectRef value) = 0;
  /// True if `ref` is the start of a live object homed here or could be a cached copy (range and alignment checks): for
  /// untrusted input. Exact for exported objects and those that have survived a collection; of younger ones it may
  /// accept a place inside another object that looks like one.
  virtual bool plausible(ObjectRef ref) const = 0;
  virtual bool isLocal(ObjectRef ref) const = 0;  ///< lies in a region leased to this node
  virtual HeapStats stats() const = 0;
  /// Calls `visit` for each object homed here that a collection has found alive (it may have died since); what was
  /// allocated after the last collection is left out, mostly. Some blocks at a time: in between the world may stop, and
  /// allocation go on. About 20 ns an object; `visit` must not use the heap. A runtime thread, outside GuestAccess.
  virtual void forEachSurvivor(const std::function<void(ClassIndex, uint64_t bytes)>& visit) = 0;

  // -- homes that move (cluster/objects/block_mover.h). A group is `withdrawn` until it is given away or restored.
  /// World stopped: picks groups homed here, at most `bytes` but at least one if there is any, and withdraws them:
  /// nothing is allocated in them, all their objects count as exported. Goes on where the last call ended. `only`, if
  /// it is not empty: addresses of the blocks that may be picked.
  virtual std::vector<BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only = {}) = 0;
  /// The group stays after all.
  virtual void restore(const BlockGroup& group) = 0;
  /// The objects of a withdrawn group. That of a large group begins it.
  virtual ObjectStarts objectsOf(const BlockGroup& group) = 0;
  /// The group has a new home: its memory goes back to the system. What is in it may be cached from then on.
  virtual void giveAway(const BlockGroup& group) = 0;
  /// This node is home of the group and of its objects, which are in memory and count as exported. `written`: those of
  /// them to whose copies threads here may be storing, ascending. With GuestAccess.
  virtual void adopt(const BlockGroup& group, const ObjectStarts& objects, const std::vector<ObjectRef>& written) = 0;
  /// Room for so many bytes more, without a collection.
  virtual bool hasRoomFor(uint64_t bytes) const = 0;

  /// Bytes of objects that were exported since the last complete trace, or have come from other nodes.
  virtual uint64_t bytesExported() const = 0;
  virtual MarkedLive lastMarking() const = 0;

  virtual MemoryUse use() const = 0;
  /// Gives the memory of all free blocks back to the system.
  virtual void trim() = 0;
};

}  // namespace jvmc::rt
