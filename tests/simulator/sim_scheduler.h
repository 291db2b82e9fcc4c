// One simulated node's scheduler, in place of runtime/sched: guest threads that run scripts, on fibers, a few steps at
// each event. They wait in slow paths, get mail, and move, by the rules of the real one.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>

#include "cluster/membership/program_end.h"
#include "cluster/migration/thread_host.h"
#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/cluster_object_space.h"
#include "runtime/sched/thread_history.h"
#include "tests/simulator/sim_heap.h"
#include "tests/simulator/sim_load.h"
#include "tests/simulator/surroundings.h"

namespace jvmc::sim {

/// What a scheduler needs of its node. Used once threads run, so it may be made later.
struct SchedulerParts {
  std::atomic<uint64_t>& clock;
  SimHeap& heap;
  const SimNet& net;
  cluster::ProgramEnd& programEnd;
  cluster::ClusterObjectSpace& space;
  cluster::ThreadMigrator& migrator;
};

class SimScheduler final : public cluster::ThreadHost {
 public:
  static constexpr uint32_t kWorkers = 2;

  SimScheduler(Surroundings& surroundings, NodeId self, SchedulerParts parts);
  ~SimScheduler() override;

  void startMain();
  void stop() { stopped_ = true; }
  size_t threads() const { return entries_.size(); }
  const SimLoad& load() const { return load_; }
  /// Each thread passes a poll soon that acquires.
  void pollAll();
  /// Calls visit(thread, is about to leave).
  void visitThreads(const std::function<void(const rt::GuestThread&, bool isMoving)>& visit) const;
  void visitReferences(const rt::GuestThread& thread, const std::function<void(ObjectRef)>& visit) const;
  /// References that threads and their stacks hold.
  void visitRoots(const std::function<void(ObjectRef)>& visit) const;
  /// Blocks of objects that have been checked and may be about to be used.
  void forEachReliance(const cluster::BlockHost::VisitReliance& visit);
  std::string describe() const;

  // -- waiting in a slow path, as cluster::SpaceHost
  cluster::WaitToken prepareWait(rt::ThreadContext& ctx);
  void wait(rt::ThreadContext& ctx, cluster::WaitToken token);
  void wake(const cluster::WaitToken& token);

  // -- cluster::ThreadHost
  bool isHere(ThreadId thread) const override { return entries_.contains(thread); }
  bool deliver(const rt::ThreadRef& to, const rt::ThreadMail& mail) override;
  bool adopt(std::unique_ptr<rt::GuestThread> thread) override;
  Bytes encode(const rt::GuestThread& thread) override;
  Result<std::unique_ptr<rt::GuestThread>> decode(std::span<const uint8_t> image) override;
  void exportReferences(const rt::GuestThread& thread) override;
  void exportAnswer(const rt::Resumption& answer) override;
  void answerArrived(const rt::Resumption& answer) override { parts_.space.core().answerArrived(answer); }
  void leave(ThreadId thread, std::function<void()> action) override { parts_.space.leave(thread, std::move(action)); }
  void afterDeferred(std::function<void()> action) override { parts_.space.afterDeferred(std::move(action)); }
  uint64_t arrivalEpoch() override { return parts_.space.arrivalEpoch(); }
  bool hasEnded(const rt::ThreadRef& thread) override;
  void fatal(Error error) override { around_.fatal(self_, std::move(error)); }

 private:
  struct Suspension;
  struct Entry;
  class RunningGuest;

  void launch(rt::ThreadContext& ctx, size_t index);
  void runSoon(Entry& entry);
  void run(ThreadId thread);
  void runOnFiber(Entry& entry, rt::ThreadContext& ctx);
  void flushIfMoving(Entry& entry, rt::ThreadContext& ctx);
  void settle(Entry& entry);
  void finish(Entry& entry);
  void answer(Entry& entry, const rt::ThreadMail& mail);
  void endWait(Entry& entry, rt::Resumption answer);
  bool mayMove(const Entry& entry, NodeId target) const;
  void wantMove(Entry& entry, NodeId target);
  void ship(Entry& entry);

  Surroundings& around_;
  const NodeId self_;
  const SchedulerParts parts_;
  SimLoad load_;
  rt::ThreadHistory history_;
  std::map<ThreadId, std::unique_ptr<Entry>> entries_;
  uint64_t flushTickets_ = 0;
  bool stopped_ = false;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace jvmc::sim
