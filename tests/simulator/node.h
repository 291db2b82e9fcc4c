// One simulated node: the real object space, home side, router, migrator, census and balancer of a node, around a
// scheduler, a heap and timers that are simulated (in place of runtime/sched and runtime/heap).
#pragma once

#include <memory>
#include <unordered_map>

#include "cluster/balance/balancer.h"
#include "cluster/collect/collector.h"
#include "cluster/migration/departure_plan.h"
#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/cluster_object_space.h"
#include "cluster/objects/staleness_bound.h"
#include "runtime/sched/thread_history.h"
#include "runtime/sync/sync_home.h"
#include "tests/simulator/cells.h"
#include "tests/simulator/fibers.h"
#include "tests/simulator/member_node.h"
#include "tests/simulator/script.h"
#include "tests/simulator/sim_load.h"

namespace jvmc::sim {

/// How often things happen that a node does by itself; 0: never.
struct NodeProfile {
  int64_t shakeNanos = 0;    ///< blocks go to other nodes
  int64_t evictNanos = 0;    ///< copies are evicted
  uint64_t roundMillis = 0;  ///< the nodes collect together
  double earlyReleases = 0;
  double refusals = 0;       ///< of blocks and threads that another node sends here
  int64_t stepNanos = 2000;  ///< a stretch of guest code, at most
  cluster::SpaceOptions space;
  cluster::BalanceOptions balance;
};

/// What all nodes of a run share.
struct Surroundings {
  Events& events;
  History& history;
  Network& network;
  rt::FiberPool& fibers;
  const World& world;
  Cells& cells;
  const Script& script;
  uint64_t seed;
  NodeProfile profile;
  std::function<void(NodeId, Error)> fatal;  ///< the program cannot go on
  std::function<void(int32_t exitCode)> programEnded;
};

/// Alarms of one node.
class SimTimers final : public rt::Timers {
 public:
  SimTimers(Events& events, Actor node) : events_(events), node_(node) {}
  ~SimTimers() { *alive_ = false; }
  int64_t now() const override { return events_.now(); }
  Id arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) override;
  void cancel(Id id) override { armed_.erase(id); }
  void forget(Sink& sink) override {
    std::erase_if(armed_, [&](const auto& entry) { return entry.second == &sink; });
  }

 private:
  Events& events_;
  const Actor node_;
  Id next_ = 0;
  std::map<Id, Sink*> armed_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class SimNode final : public MemberNode,
                      public cluster::SpaceHost,
                      public cluster::BlockHost,
                      public cluster::ThreadHost,
                      private rt::Traceable,
                      private rt::ThreadPost {
 public:
  /// The acting node is this one. `members`: it included.
  SimNode(Surroundings& surroundings, NodeId id, std::vector<NodeId> members);
  ~SimNode() override;

  // -- MemberNode
  void start() override;
  void stop() override;
  cluster::LeftView evacuate() override;
  size_t threadsHere() const override { return entries_.size(); }
  void moveBlocks(NodeId target, uint64_t bytes, std::function<void(const cluster::MoveResult&)> done) override;
  void noteMembers() override;

  void startMain();
  /// Serves requests for the block.
  bool serves(uint64_t block) const { return homes.isServedBy(id_, block); }
  cluster::HomeState stateOf(uint64_t block) const { return homes.at(block).state; }
  /// What it is doing, for a run that does not end. The acting node is this one.
  std::string describe();

 private:
  struct Suspension;
  struct Entry;
  class RunningGuest;

  // -- cluster::SpaceHost
  const rt::ClassInfo* classInfo(uint32_t index) override { return around_.world.classes.at(index); }
  bool plausible(ObjectRef object) override { return around_.world.isObject(object) && around_.cells.isAlive(object); }
  void exportObject(ObjectRef object) override;
  void beforeReferenceStore(ObjectRef object, uint64_t offset, ObjectRef value) override;
  void visitHomeRoots(const std::function<void(ObjectRef)>& visit) override;
  void accessGuest(const std::function<void()>& body) override { body(); }
  cluster::WaitToken prepareWait(rt::ThreadContext& ctx) override;
  void wait(rt::ThreadContext& ctx, cluster::WaitToken token) override;
  void wake(const cluster::WaitToken& token) override;
  std::optional<rt::Resumption> carryOut(const rt::SyncRequest& request, NodeId from) override;
  void post(const rt::ThreadRef& to, const rt::ThreadMail& mail) override { router.send(to, mail); }
  void fatal(Error error) override { around_.fatal(id_, std::move(error)); }

  // -- cluster::BlockHost. All threads stand still whenever the simulator handles an event.
  void stopWorld(const std::function<void()>& body) override { body(); }
  std::set<uint64_t> heldBlocks() override;
  std::vector<rt::BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only) override;
  void restore(const rt::BlockGroup&) override {}
  rt::ObjectStarts objectsOf(const rt::BlockGroup& group) override;
  void giveAway(const rt::BlockGroup& group) override;
  void adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects, const std::vector<ObjectRef>&) override;
  bool hasRoomFor(uint64_t) override { return !around_.events.chance(around_.profile.refusals); }
  Bytes takeHomeState(ObjectRef object) override;
  bool putHomeState(ObjectRef object, std::span<const uint8_t> state) override;
  std::unique_ptr<cluster::HelperThread> makeThread() override;

  // -- cluster::ThreadHost, and the rest of the scheduler
  bool isHere(ThreadId thread) const override { return entries_.contains(thread); }
  bool deliver(const rt::ThreadRef& to, const rt::ThreadMail& mail) override;
  bool adopt(std::unique_ptr<rt::GuestThread> thread) override;
  Bytes encode(const rt::GuestThread& thread) override;
  Result<std::unique_ptr<rt::GuestThread>> decode(std::span<const uint8_t> image) override;
  void exportReferences(const rt::GuestThread& thread) override;
  void exportAnswer(const rt::Resumption& answer) override;
  void answerArrived(const rt::Resumption& answer) override { space.core().answerArrived(answer); }
  void leave(ThreadId thread, std::function<void()> action) override { space.leave(thread, std::move(action)); }
  void afterDeferred(std::function<void()> action) override { space.afterDeferred(std::move(action)); }
  uint64_t arrivalEpoch() override { return space.arrivalEpoch(); }
  bool hasEnded(const rt::ThreadRef& thread) override;
  void send(const rt::ThreadRef& to, const rt::ThreadMail& mail) override { router.send(to, mail); }

  // -- rt::Traceable
  bool beginTrace(const rt::TraceHost& host, const std::function<void(rt::Trace&)>& moreRoots) override;
  rt::Trace& trace() override { return trace_; }
  bool traceSome() override { return trace_.work(kTraceSlice); }
  void greyIfExported(uint64_t address) override;
  rt::TraceResult endTrace(bool isComplete) override;
  ObjectRef make();
  void visitReferences(const rt::GuestThread& thread, const std::function<void(ObjectRef)>& visit);

  void runSoon(Entry& entry);
  void run(ThreadId thread);
  void runOnFiber(Entry& entry, rt::ThreadContext& ctx);
  void flushIfMoving(Entry& entry, rt::ThreadContext& ctx);
  void settle(Entry& entry);
  void answer(Entry& entry, const rt::ThreadMail& mail);
  void endWait(Entry& entry, rt::Resumption answer);
  void wantMove(Entry& entry, NodeId target);
  void ship(Entry& entry);
  void finish(Entry& entry);
  void launch(rt::ThreadContext& ctx, size_t index);
  bool mayMove(const Entry& entry, NodeId target) const;
  void sendAway(const rt::ThreadRef& thread, NodeId target);

  void shake();
  void evict();
  void pollAll();
  void every(int64_t nanos, std::function<void()> what);

  Surroundings& around_;
  const NodeId id_;
  std::atomic<uint64_t> clock_{rt::kEpochFirst};
  SimTimers timers_;
  rt::SyncHome syncHome_;
  rt::ThreadHistory threadHistory_;
  std::map<ThreadId, std::unique_ptr<Entry>> entries_;
  static constexpr uint64_t kTraceSlice = 10;
  rt::Trace trace_;
  std::set<ObjectRef> exported_;
  uint64_t flushTickets_ = 0;
  cluster::DeparturePlan departures_;
  bool stopped_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

 public:
  cluster::ClusterObjectSpace space;
  cluster::ThreadRouter router;
  cluster::ThreadMigrator migrator;
  cluster::ClusterCollector collector;

 private:
  cluster::StalenessBound staleness_;
  SimLoad load_;
  cluster::LoadMeter meter_;
  cluster::Balancer balancer_;
};

}  // namespace jvmc::sim
