// What the parts of a node's object space share: the mutator side (cluster_object_space.h), the release side
// (flusher.h) and the home side (home_side.h).
#pragma once

#include <atomic>

#include "cluster/net/node_net.h"
#include "cluster/objects/block_gates.h"
#include "cluster/objects/block_users.h"
#include "cluster/objects/chunk_table.h"
#include "cluster/objects/copy_map.h"
#include "cluster/objects/entry_table.h"
#include "cluster/objects/faults.h"
#include "cluster/objects/fetched_copies.h"
#include "cluster/objects/held_references.h"
#include "cluster/objects/home_map.h"
#include "cluster/objects/recent_flushes.h"
#include "cluster/objects/remote_use.h"
#include "cluster/objects/space_host.h"
#include "cluster/objects/space_stats.h"
#include "cluster/objects/thread_traffic.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/gc/trace.h"

namespace jvmc::cluster {

struct SpaceOptions {
  /// Reference mode for differential runs: every check asks the home again.
  bool noCache = false;
  /// Objects that hardly ever change are leased (leases.h).
  bool leases = true;
  /// The world is stopped for that once in so long at most.
  int64_t leaseNanos = 50'000'000;
  bool leaseEverything = false;  ///< zeal: whatever is asked for, at the first opportunity
  Fault fault = Fault::None;     ///< tests only
};

struct SpaceCore {
  SpaceHost& host;
  NodeNet& net;
  HomeMap& homes;
  std::atomic<uint64_t>& clock;  ///< of the node, as an epoch word
  const SpaceOptions options;
  const NodeId self;
  BlockGates gates;
  EntryTable table;
  CopyMap copyMap;
  ChunkTable chunks;
  RecentFlushes recentFlushes;
  FetchedCopies fetched;
  SlotPool slots;
  ThreadTraffic traffic;
  RemoteUse remoteUse;
  BlockUsers blockUsers;
  HeldReferences held;
  SpaceStats stats;
  std::atomic<uint64_t> writtenBytes{0};  ///< sum of WriteSet::bytes
  /// Of the node's heap; null in protocol tests. What a cluster-wide collection must hear of is told to it.
  rt::Trace* trace = nullptr;
  /// Copies that it has not marked are being dropped: none of them is to be asked for on mere suspicion.
  std::atomic<bool> copiesGo{false};

  SpaceCore(SpaceHost& host, NodeNet& net, HomeMap& homes, std::atomic<uint64_t>& clock, SpaceOptions options)
      : host(host),
        net(net),
        homes(homes),
        clock(clock),
        options(options),
        self(net.self()),
        gates(homes),
        copyMap(homes.plan()),
        chunks(homes.plan()) {}

  /// A guest thread here may use the object without asking anybody.
  bool homedHere(ObjectRef object) const { return homes.isSettledAt(self, object); }
  /// Requests for the object are answered here.
  bool servedHere(ObjectRef object) const { return homes.isServedBy(self, object); }
  uint64_t tick() { return clock.fetch_add(rt::kEpochStep) + rt::kEpochStep; }

  bool isTracing() const { return trace && trace->isActive(); }
  /// A reference is about to leave in a message.
  void exportOut(ObjectRef object) {
    exportOut(object, [this](ObjectRef each) { return servedHere(each); });
  }
  /// Likewise; `isServedHere` knows servedHere().
  template <class IsServedHere>
  void exportOut(ObjectRef object, IsServedHere&& isServedHere) {
    if (object == rt::kNullRef || !homes.valid(object)) return;
    if (isServedHere(object)) return host.exportObject(object);
    if (isTracing()) trace->grey(object);
  }
  /// References in a request that leaves.
  void exportArguments(const rt::SyncRequest& request) {
    if (!request.isReference) return;
    exportOut(request.a);
    exportOut(request.b);
  }
  /// References in an answer that leaves, or may have to.
  void exportAnswer(const rt::SyncRequest& request, const rt::Resumption& answer) {
    if (request.op == rt::SyncOp::Atomic && request.isReference && request.atomicOp != rt::AtomicOp::Cas)
      exportOut(answer.value);
    exportOut(answer.exception);
  }
  /// There can be such an object. Of a block that has left, even if its new home has not confirmed it yet, nothing is
  /// known here.
  bool isConceivable(ObjectRef object) {
    return isConceivable(object, [this](ObjectRef each) { return servedHere(each); });
  }
  template <class IsServedHere>
  bool isConceivable(ObjectRef object, IsServedHere&& isServedHere) {
    return object == rt::kNullRef || (homes.valid(object) && (!isServedHere(object) || host.plausible(object)));
  }
  /// A reference that came in a message may be stored.
  bool acceptable(ObjectRef object) {
    return acceptable(object, [this](ObjectRef each) { return servedHere(each); });
  }
  template <class IsServedHere>
  bool acceptable(ObjectRef object, IsServedHere&& isServedHere) {
    if (!isConceivable(object, isServedHere)) return false;
    if (isTracing()) trace->arrived(object);
    return true;
  }
  /// An answer has come in a message. Whether its value is a reference only the instruction knows.
  void answerArrived(const rt::Resumption& answer) {
    if (!isTracing()) return;
    if (isConceivable(answer.value)) trace->arrived(answer.value);
    if (isConceivable(answer.exception)) trace->arrived(answer.exception);
  }
  /// A copy is about to be written, replaced or evicted.
  void contentChanges(ObjectRef copy) {
    if (isTracing() && options.fault != Fault::OverwrittenForgotten) trace->keepContent(copy);
  }
  /// What SpaceCore::writtenBytes counts for a copy that is written: the copy and its twin.
  static uint64_t writtenBytesOf(const ObjectShape& shape) { return 2 * shape.end(); }
  int forcedGranularity() const {
    if (options.fault == Fault::WideDiff) return 3;
    return options.fault == Fault::BytewiseReferences ? 0 : ObjectShape::kAsClassSays;
  }
  /// Of an object whose header is set.
  ObjectShape shapeOf(ObjectRef object) {
    return ObjectShape::of(*host.classInfo(rt::classIndexOf(object)), object, forcedGranularity());
  }
  /// Of a unit of it.
  ObjectShape shapeOf(const CopyUnit& unit) { return shapeOf(unit.object).forUnit(unit); }

  // -- what is known about a copy
  std::atomic<uint64_t>& epochWord(const CopyUnit& unit) {
    return unit.chunk ? chunks.of(unit).epochWord : rt::header(unit.object)->epochWord;
  }
  std::atomic<uint32_t>& groupWord(const CopyUnit& unit) {
    return unit.chunk ? chunks.of(unit).group : rt::header(unit.object)->lockWord;
  }
  /// Where the copy map has it. (The head comes before the first chunk.)
  static uint64_t copyAddress(const CopyUnit& unit) {
    return unit.chunk == 1 ? unit.object + rt::kArrayElementsOffset : unit.base();
  }
  /// What is in [begin, end) is no copy any more: whole groups. True if something was.
  bool forgetCopies(uint64_t begin, uint64_t end) {
    const bool any = copyMap.forget(begin, end);
    if (any) chunks.forget(begin, end);
    return any;
  }
  bool isCopied(const CopyUnit& unit) {
    const uint64_t address = copyAddress(unit);
    return copyMap.isNoted(address) && chunks.unitAt(address) == unit;
  }
};

}  // namespace jvmc::cluster
