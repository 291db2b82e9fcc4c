// One simulated node: the real object space, home side, router, migrator, census and balancer of a node, around a
// scheduler, a heap and timers that are simulated.
#pragma once

#include <memory>

#include "cluster/balance/balancer.h"
#include "cluster/collect/collector.h"
#include "cluster/migration/departure_plan.h"
#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/cluster_object_space.h"
#include "cluster/objects/staleness_bound.h"
#include "runtime/sync/sync_home.h"
#include "tests/simulator/fibers.h"
#include "tests/simulator/member_node.h"
#include "tests/simulator/sim_heap.h"
#include "tests/simulator/sim_scheduler.h"
#include "tests/simulator/surroundings.h"

namespace jvmc::sim {

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

class SimNode final : public MemberNode, public cluster::SpaceHost, public cluster::BlockHost, private rt::ThreadPost {
 public:
  /// The acting node is this one. `members`: it included.
  SimNode(Surroundings& surroundings, NodeId id, std::vector<NodeId> members);
  ~SimNode() override;

  // -- MemberNode
  void start() override;
  void stop() override;
  cluster::LeftView evacuate() override;
  size_t threadsHere() const override { return scheduler_.threads(); }
  void moveBlocks(const std::vector<NodeId>& targets, uint64_t bytes,
                  std::function<void(const cluster::MoveResult&)> done) override;
  void noteMembers() override;

  void startMain() { scheduler_.startMain(); }
  /// Serves requests for the block.
  bool serves(uint64_t block) const { return homes.isServedBy(id_, block); }
  cluster::HomeState stateOf(uint64_t block) const { return homes.at(block).state; }
  /// What it is doing, for a run that does not end. The acting node is this one.
  std::string describe();

 private:
  // -- cluster::SpaceHost
  const rt::ClassInfo* classInfo(uint32_t index) override { return around_.world.classes.at(index); }
  bool plausible(ObjectRef object) override { return heap_.isObject(object); }
  bool isOrdinary(ObjectRef object) override { return rt::classIndexOf(object) != kThreadClass; }
  void exportObject(ObjectRef object) override { heap_.exportObject(object); }
  void beforeReferenceStore(ObjectRef object, uint64_t offset, ObjectRef) override {
    heap_.beforeReferenceStore(object, offset);
  }
  void visitHomeRoots(const std::function<void(ObjectRef)>& visit) override;
  void accessGuest(const std::function<void()>& body) override { body(); }
  cluster::WaitToken prepareWait(rt::ThreadContext& ctx) override { return scheduler_.prepareWait(ctx); }
  void wait(rt::ThreadContext& ctx, cluster::WaitToken token) override { scheduler_.wait(ctx, std::move(token)); }
  void wake(const cluster::WaitToken& token) override { scheduler_.wake(token); }
  std::optional<rt::Resumption> carryOut(const rt::SyncRequest& request, NodeId from) override;
  void post(const rt::ThreadRef& to, const rt::ThreadMail& mail) override { router.send(to, mail); }
  void fatal(Error error) override { around_.fatal(id_, std::move(error)); }

  // -- cluster::BlockHost. All threads stand still whenever the simulator handles an event.
  void stopWorld(const std::function<void()>& body) override { body(); }
  void forEachReliance(const VisitReliance& visit) override { scheduler_.forEachReliance(visit); }
  std::vector<rt::BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only) override {
    return heap_.withdraw(bytes, only);
  }
  void restore(const rt::BlockGroup&) override {}
  rt::ObjectStarts objectsOf(const rt::BlockGroup& group) override { return heap_.objectsOf(group); }
  void giveAway(const rt::BlockGroup& group) override { heap_.giveAway(group); }
  void adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects, const std::vector<ObjectRef>&) override {
    heap_.adopt(group, objects);
  }
  bool hasRoomFor(uint64_t) override { return !around_.events.chance(around_.profile.refusals); }
  Bytes takeHomeState(ObjectRef object) override;
  bool putHomeState(ObjectRef object, std::span<const uint8_t> state) override;
  std::unique_ptr<cluster::HelperThread> makeThread() override;

  // -- rt::ThreadPost
  void send(const rt::ThreadRef& to, const rt::ThreadMail& mail) override { router.send(to, mail); }

  void sendAway(const rt::ThreadRef& thread, NodeId target);
  void shake();
  void evict();
  void every(int64_t nanos, std::function<void()> what);

  Surroundings& around_;
  const NodeId id_;
  std::atomic<uint64_t> clock_{rt::kEpochFirst};
  SimTimers timers_;
  rt::SyncHome syncHome_;
  SimHeap heap_;
  SimScheduler scheduler_;
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
  cluster::LoadMeter meter_;
  cluster::Balancer balancer_;
};

}  // namespace jvmc::sim
