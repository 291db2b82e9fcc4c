// A node of a program at scale: the real router, migrator, census, control channel, map of homes, and the balancer with
// its meter. Threads have no code: they use CPU, move and end.
#pragma once

#include <set>
#include <unordered_map>

#include "cluster/balance/balancer.h"
#include "cluster/migration/thread_migrator.h"
#include "cluster/objects/thread_traffic.h"
#include "tests/simulator/scale_blocks.h"
#include "tests/simulator/sim_load.h"

namespace jvmc::sim {

class ScaleNode final : public MemberNode, public cluster::ThreadHost {
 public:
  /// What all nodes of a run share.
  struct Shared {
    Events& events;
    History& history;
    Network& network;
    cluster::BalanceOptions balance;
    std::function<void(int32_t exitCode)> programEnded;
    std::function<void(NodeId, const Error&)> programFails;
    ScaleBlocks::Directory directory{};
    std::set<ObjectRef> ended{};             ///< Thread objects
    std::map<uint64_t, uint32_t> letters{};  ///< by number: how often it has arrived
  };
  /// Never touched: objects have addresses only.
  static rt::AddressPlan plan();

  ScaleNode(Shared& shared, NodeId id, std::vector<NodeId> members);
  ~ScaleNode() override { *alive_ = false; }

  // -- MemberNode
  void start() override { balancer_.start(); }
  void stop() override;
  size_t threadsHere() const override { return threads_.size(); }
  cluster::LeftView evacuate() override;
  void moveBlocks(const std::vector<NodeId>& targets, uint64_t,
                  std::function<void(const cluster::MoveResult&)> done) override {
    blocks.move(targets[movesBegun_++ % targets.size()], std::move(done));
  }

  /// The thread begins here.
  void begin(const rt::ThreadRef& thread);
  /// All threads that are here, or come here from now on, end.
  void endThreads();
  /// What it would take with it if it were gone now: threads, blocks, letters.
  size_t owns();

 private:
  // -- cluster::ThreadHost
  bool isHere(ThreadId thread) const override { return threads_.contains(thread); }
  bool deliver(const rt::ThreadRef& to, const rt::ThreadMail& mail) override;
  bool adopt(std::unique_ptr<rt::GuestThread> thread) override;
  Bytes encode(const rt::GuestThread& thread) override;
  Result<std::unique_ptr<rt::GuestThread>> decode(std::span<const uint8_t> image) override;
  void exportReferences(const rt::GuestThread&) override {}
  void exportAnswer(const rt::Resumption&) override {}
  void leave(ThreadId thread, std::function<void()> action) override { traffic_.whenQuiet(thread, std::move(action)); }
  void afterDeferred(std::function<void()> action) override { action(); }
  uint64_t arrivalEpoch() override { return 1; }
  bool hasEnded(const rt::ThreadRef& thread) override { return shared_.ended.contains(thread.object); }
  void fatal(Error error) override { shared_.programFails(id(), error); }

  void moveTo(ThreadId thread, NodeId target);
  void endThread(ThreadId thread);

  Shared& shared_;
  cluster::RemoteUse remoteUse_;
  cluster::BlockUsers blockUsers_;
  cluster::ThreadTraffic traffic_;
  std::map<ThreadId, std::unique_ptr<rt::GuestThread>> threads_;
  std::unordered_map<ThreadId, uint32_t> incarnations_;
  bool endsThreads_ = false;
  size_t movesBegun_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

 public:
  SimLoad load;
  ScaleBlocks blocks;
  cluster::ThreadRouter router;
  cluster::ThreadMigrator migrator;

 private:
  cluster::LoadMeter meter_;
  cluster::Balancer balancer_;
};

}  // namespace jvmc::sim
