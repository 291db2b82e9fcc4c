// The launcher of a simulated program: who is a member, in which order a node comes and goes, who has been silent for
// too long. It repeats the order of steps of cluster/launch/program_members.cpp, which is bound to its RPC; what the
// nodes do at each step is the real code. All messages between it and nodes take time.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>

#include "cluster/membership/lease.h"
#include "tests/simulator/node.h"

namespace jvmc::sim {

/// What the launcher needs of the run.
class Machines {
 public:
  virtual ~Machines() = default;
  virtual SimNode* node(NodeId id) = 0;
  /// A new process: the acting node is the new one.
  virtual SimNode& start(NodeId id, std::vector<NodeId> members) = 0;
  /// It has left: its process ends.
  virtual void end(NodeId id) = 0;
  /// The program is over for a reason of the cluster's.
  virtual void lost(std::string why) = 0;
};

class Launcher {
 public:
  Launcher(Events& events, History& history, Network& network, Machines& machines, uint32_t nodes);

  /// Leases are renewed and watched from now on.
  void start();
  void grow() {
    inTurn([this] { addNode(); });
  }
  void drain(NodeId node) {
    inTurn([this, node] { leave(node); });
  }
  /// A change of the members is going on, or waits for its turn.
  bool isBusy() const { return changing_; }
  size_t drained() const { return drained_; }
  size_t joined() const { return joined_; }

 private:
  enum class State { Joining, Member, Leaving, Gone };
  struct Member {
    State state = State::Member;
    cluster::Lease lease;  ///< the node's
    bool standsStill = false;
    int64_t lastWord = 0;  ///< as heard here
  };
  using Then = std::function<void()>;
  /// What a node does; calls its argument when it has.
  using Body = std::function<void(SimNode&, Then)>;

  void inTurn(Then change);
  void turnIsOver();
  std::vector<NodeId> with(std::initializer_list<State> states) const;
  std::vector<NodeId> members() const { return with({State::Member, State::Leaving}); }
  /// `then` runs when the node's answer has come back; never, if the node is dead.
  void call(NodeId node, Body body, Then then);
  void callAll(const std::vector<NodeId>& nodes, const Body& body, Then then);
  struct Bequest {
    NodeId node;
    std::vector<uint8_t> homes;
    cluster::EndBequest end;
  };
  void tellMembers(std::shared_ptr<Bequest> leaver, Then then);
  void addNode();
  void leave(NodeId node);
  void evacuate(NodeId node, uint32_t rounds, uint32_t refusals);
  void dismiss(NodeId node);
  void stay(NodeId node);
  void renew(NodeId node);
  void watch();

  Events& events_;
  History& history_;
  Network& network_;
  Machines& machines_;
  std::map<NodeId, Member> members_;
  std::deque<Then> changes_;
  bool changing_ = false;
  uint64_t view_ = 0;
  uint64_t movedBytes_ = 0;
  size_t drained_ = 0, joined_ = 0;
  std::vector<std::vector<uint8_t>> homesLeft_;  ///< beliefs of nodes that have gone
};

}  // namespace jvmc::sim
