// What simulated programs have in common: time, a net, a launcher, trouble with nodes, and how they end. A program ends
// by its exit, or in error because something of it is lost; never in error without a loss.
#pragma once

#include "tests/simulator/launcher.h"

namespace jvmc::sim {

class Program : protected Machines {
 public:
  Program(uint64_t seed, std::function<void(Actor)> enter, NetProfile net, uint32_t nodes, uint32_t nodesMax)
      : events_(seed, std::move(enter)),
        history_(events_),
        network_(events_, history_, net, seed),
        launcher_(events_, history_, network_, *this, nodes, nodesMax) {}

 protected:
  virtual std::vector<NodeId> running() const = 0;

  // -- Machines
  /// The first reason counts; the nodes are told to end, and do no harm until they have.
  void lost(std::string why) override;
  bool isOver() const override { return isOver_; }

  void exited(int32_t exitCode);
  bool hasExited() const { return hasExited_; }
  /// A node says that the program cannot go on.
  void fatal(NodeId node, const Error& error);
  /// It is over, and what nodes do after that has been looked at for long enough.
  bool isDone() const { return isOver_ && events_.now() >= doneAt_; }
  const std::string& howItEnded() const { return end_; }

  // -- trouble
  /// The node ends without a word; its launcher hears of it a little later than its peers.
  void crash(NodeId node, int64_t noticedNanos);
  /// These nodes reach neither the others nor the launcher for so long.
  void cut(std::set<NodeId> side, int64_t nanos);
  /// Those that are there notice one after another that the node is not.
  void tellPeersOfEnd(NodeId node);

  Events events_;
  History history_;
  Network network_;
  Launcher launcher_;

 private:
  NodeId crashed_;
  bool mayLoseNodes_ = false;  ///< a cut is long enough
  bool isOver_ = false, hasExited_ = false;
  int64_t doneAt_ = 0;
  std::string end_ = "none";
};

}  // namespace jvmc::sim
