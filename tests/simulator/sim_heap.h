// One simulated node's heap, in place of runtime/heap: a few blocks of objects that the world knows, cells that threads
// make on them, and what cluster-wide collections ask for: which objects were exported, and a trace.
#pragma once

#include <set>

#include "cluster/objects/home_map.h"
#include "runtime/gc/trace.h"
#include "runtime/heap/heap.h"
#include "tests/simulator/surroundings.h"

namespace jvmc::sim {

class SimHeap final : public rt::Traceable {
 public:
  /// `roots`: what the node has hold of. All arguments must outlive the heap.
  SimHeap(Surroundings& surroundings, NodeId self, const cluster::HomeMap& homes, rt::RootSource roots)
      : around_(surroundings),
        self_(self),
        homes_(homes),
        roots_(std::move(roots)),
        trace_(World::plan(), rt::ObjectModel(surroundings.world.classes.table())) {}

  bool isObject(ObjectRef object) const { return around_.world.isObject(object) && around_.cells.isAlive(object); }
  /// A new cell; null if there are no more.
  ObjectRef make();
  void exportObject(ObjectRef object);
  void beforeReferenceStore(ObjectRef object, uint64_t offset);

  // -- as rt::Heap
  std::vector<rt::BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only);
  rt::ObjectStarts objectsOf(const rt::BlockGroup& group) const;
  void giveAway(const rt::BlockGroup& group);
  void adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects);

  bool beginTrace(const rt::TraceHost& host, const std::function<void(rt::Trace&)>& moreRoots) override;
  rt::Trace& trace() override { return trace_; }
  bool traceSome() override { return trace_.work(kTraceSlice); }
  void greyIfExported(uint64_t address) override;
  rt::TraceResult endTrace(bool isComplete) override;

 private:
  static constexpr uint64_t kTraceSlice = 10;

  Surroundings& around_;
  const NodeId self_;
  const cluster::HomeMap& homes_;
  const rt::RootSource roots_;
  rt::Trace trace_;
  std::set<ObjectRef> exported_;
};

}  // namespace jvmc::sim
