// The launcher of a simulated program: the product's steps of joining and leaving (cluster/membership/member_changes.h)
// over simulated messages, and who has been silent for too long. All messages between it and nodes take time.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "cluster/membership/lease.h"
#include "cluster/membership/member_changes.h"
#include "tests/simulator/member_node.h"

namespace jvmc::sim {

/// What the launcher needs of the run.
class Machines {
 public:
  virtual ~Machines() = default;
  virtual MemberNode* node(NodeId id) = 0;
  /// A new process: the acting node is the new one.
  virtual MemberNode& start(NodeId id, std::vector<NodeId> members) = 0;
  /// It has left: its process ends.
  virtual void end(NodeId id) = 0;
  /// The program is over for a reason of the cluster's.
  virtual void lost(std::string why) = 0;
  virtual bool isOver() const = 0;
};

class Launcher final : private cluster::MemberPort {
 public:
  /// `nodesMax`: as many as there may be, those that have left included.
  Launcher(Events& events, History& history, Network& network, Machines& machines, uint32_t nodes, uint32_t nodesMax);

  /// Leases are renewed and watched from now on.
  void start();
  void grow();
  /// `deadlineNanos`: 0: there is none.
  void drain(NodeId node, int64_t deadlineNanos);
  size_t drained() const { return drained_; }
  size_t joined() const { return joined_; }
  /// A change is going on.
  bool isBusy() const { return changes_.isBusy(); }
  std::vector<NodeId> members() const { return changes_.members(); }

 private:
  struct Watch {
    cluster::Lease lease;  ///< the node's
    bool standsStill = false;
    int64_t lastWord = 0;  ///< as heard here
  };
  using Then = std::function<void()>;
  /// What a node does; calls its argument when it has.
  using Body = std::function<void(MemberNode&, Then)>;

  // -- cluster::MemberPort
  void setMembers(NodeId node, const cluster::MembersView& view, const cluster::Bequest* leaver, Done done) override;
  void prepare(NodeId node, const std::vector<std::vector<uint8_t>>& homes, Done done) override;
  void begin(NodeId node, Done done) override;
  void settle(NodeId node, NodeId with, Done done) override;
  void contents(NodeId node, Answer<Contents> answer) override;
  void evacuate(NodeId node, Answer<Evacuated> answer) override;
  void takeOverCalls(NodeId, const std::vector<rt::OutsideCall>&, Done done) override {
    done(Unit{});
  }  // there is none
  void moveBlocks(NodeId node, const std::vector<NodeId>& targets, uint64_t bytes,
                  Answer<cluster::BlocksMovedView> answer) override;
  void bequeath(NodeId node, Answer<cluster::Bequest> answer) override;
  void flush(NodeId node, Done done) override;
  void dismiss(NodeId node, Done done) override;
  void forget(NodeId node) override;
  int64_t now() override { return events_.now(); }
  void after(int64_t nanos, std::function<void()> what) override { events_.at(kLauncher, nanos, std::move(what)); }
  bool isEnding() override { return machines_.isOver(); }
  void fail(std::string why) override { history_.fail(std::move(why)); }

  /// `then` runs when the node's answer has come back; never, if the node is dead.
  void call(NodeId node, Body body, Then then);
  /// Likewise, with what `body` gives.
  template <class T>
  void ask(NodeId node, std::function<void(MemberNode&, std::function<void(T)>)> body, Answer<T> answer);
  void renew(NodeId node);
  void watch();

  Events& events_;
  History& history_;
  Network& network_;
  Machines& machines_;
  const uint32_t nodesMax_;
  cluster::MemberChanges changes_;
  std::map<NodeId, Watch> watches_;
  size_t drained_ = 0, joined_ = 0;
};

}  // namespace jvmc::sim
