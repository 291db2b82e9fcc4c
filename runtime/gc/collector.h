// The collector: what happens in each pause, and between pauses (docs/internals/heap.md).
//
//   young    mark from the roots and the logged slots what is young; survivors are old from then on; sweep young blocks
//   begin    a young collection whose roots are kept: the snapshot that a concurrent cycle starts from
//   mark     between pauses, a slice at a time: old objects, from those roots, statics and exported objects
//   finish   a young collection, then the rest of the marking: what stores have logged. The mark sides change
//   sweep    between pauses, a few blocks at a time
//   full     everything in one pause: for small heaps, when memory is out, and when asked for
//
// A cycle frees what was dead when it began. Objects made since are young, and young collections go on meanwhile, so
// the cycle never sees an object that is still being made. Objects do not move.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/gc/marker.h"
#include "runtime/gc/store_log.h"
#include "runtime/gc/sweeper.h"
#include "runtime/gc/trace.h"
#include "runtime/gc/world.h"
#include "runtime/heap/heap.h"

namespace jvmc::rt {

class Collector {
 public:
  enum class Phase : uint8_t { Idle, Marking, Sweeping };

  /// `zeal`: checks references while marking, and checks each marking by a second one. `poison`: fills dead objects
  /// with a pattern. `logIsFull`: called in guest code; a young collection should follow soon.
  Collector(BlockSpace& space, Allocator& allocator, ObjectModel model, World& world, bool zeal, bool poison,
            std::function<void()> logIsFull = {})
      : space_(space),
        allocator_(allocator),
        model_(model),
        world_(world),
        zeal_(zeal),
        sweeper_(space, allocator, model, poison),
        trace_(space.plan(), model),
        log_(std::move(logIsFull)) {}

  /// Before guest code runs.
  void addRoots(RootSource source) { roots_.push_back(std::move(source)); }
  void addWords(RootSource source) { words_.push_back(std::move(source)); }
  /// An object that is never young and never dies.
  void addStatics(ObjectRef ref);

  /// Changes only while the world is stopped, except from Sweeping to Idle.
  Phase phase() const { return phase_.load(std::memory_order_relaxed); }
  uint64_t liveBytes() const { return sweeper_.liveBytes(); }
  /// So many places were logged that a young collection should come now. Any thread.
  bool logIsFull() const { return log_.isFull(); }

  // -- pauses: inside World::stop, with the heap's lock held
  void collectYoung();
  void beginCycle();
  /// False: more is left to mark than `budget` allows; marking goes on. Then only a young collection has taken place.
  bool finishCycle(uint64_t budget);
  /// Abandons a cycle.
  void collectFull();

  /// Ends what is under way: afterwards no object is young, no cycle runs, and the log is empty.
  void makeAllOld();

  /// Begins the trace of a cluster-wide collection, right after a pause that has left no object young: takes what this
  /// node's roots lead to.
  void beginTrace(const TraceHost& host);
  /// Ends it, right after such a pause. `isComplete`: what it has not marked is dead; such objects are no more, and
  /// their memory is found free by the next marking of the heap.
  TraceResult endTrace(bool isComplete);
  Trace& trace() { return trace_; }
  const Trace& trace() const { return trace_; }

  // -- between pauses
  /// In guest code or with World::GuestAccess, one thread at a time. True: nothing is left, finishCycle() may follow.
  bool mark(uint64_t budget);
  /// With the heap's lock held. True: all is swept.
  bool sweep(uint32_t blocks);

  // -- mutators and runtime threads: in guest code or with GuestAccess
  /// The store barrier; `flags` says which of its parts are on. `ctx`: null in a runtime thread.
  void beforeStore(ThreadContext* ctx, uint32_t flags, ObjectRef object, uint64_t offset, ObjectRef value);
  void objectExported(ObjectRef ref);
  /// Objects with a new home here, in `block`, are old from the start. What was stored to them elsewhere no barrier
  /// here has seen: fields that refer to young objects are logged; and all fields of those in `written` (ascending), to
  /// whose copies threads here may be storing. With GuestAccess; not while mark() runs.
  void adopt(Region& region, uint32_t block, const ObjectStarts& objects, const std::vector<ObjectRef>& written);
  /// With the heap's lock: the blocks from `first` on, a group, are about to get another home, or have come (after
  /// adopt() of their objects).
  void blocksLeave(const Region& region, uint32_t first);
  void blocksHaveCome(const Region& region, uint32_t first) { sweeper_.blocksHaveCome(region, first); }
  /// Hands over what the context has logged.
  void retire(ThreadContext& ctx) { log_.flush(ctx); }

 private:
  /// Blocks of one region where exported objects may be.
  struct ExportedRange {
    Region* region;
    uint32_t next, end;
  };

  /// Gives each root of the snapshot to the trace.
  class SnapshotSink;

  bool isYoung(ObjectRef value) const;
  void logAdopted(Region& region, const ClassInfo& info, ObjectRef ref, bool all);
  void takeContexts();
  template <class Sink>
  void visitRoots(Sink& sink);
  template <class Sink>
  void visitStaticsAndExported(Sink& sink);
  /// Marks young objects; roots also go to `roots` unless it is null. Returns the number of new live lines.
  uint64_t markYoung(MarkScope scope, std::vector<ObjectRef>* roots);
  void markSlots(Marker& marker);
  void endYoung(uint64_t newLines);
  std::vector<ExportedRange> exportedRanges() const;
  template <class Sink>
  void visitExported(ExportedRange& range, uint32_t blocks, Sink& sink);
  bool markSomeExported();
  void checkMarks(int side);
  Trace* activeTrace() { return trace_.isActive() ? &trace_ : nullptr; }
  void buryUnmarked(Region& region, uint32_t block, TraceResult& result);
  void changeSides();
  void abandonCycle();
  void forgetLogs();

  BlockSpace& space_;
  Allocator& allocator_;
  ObjectModel model_;
  World& world_;
  const bool zeal_;
  Sweeper sweeper_;
  Trace trace_;
  StoreLog log_;
  std::vector<RootSource> roots_, words_;
  std::vector<ObjectRef> statics_;
  std::atomic<Phase> phase_{Phase::Idle};
  std::unique_ptr<Marker> cycleMarker_;  // Marking only
  int64_t checksToSkip_ = 0;
  std::vector<ExportedRange> exportedTodo_;
  std::mutex exportedMutex_;
  std::vector<ObjectRef> newlyExported_;  // since the last collection, guarded by exportedMutex_
};

}  // namespace jvmc::rt
