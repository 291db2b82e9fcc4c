// A simulated node as its launcher and its peers see it, whatever it is made of besides: SimNode runs programs,
// ScaleNode has threads that only use CPU.
#pragma once

#include "cluster/launch/views.h"
#include "cluster/membership/program_end.h"
#include "cluster/objects/block_mover.h"
#include "tests/simulator/network.h"

namespace jvmc::sim {

class MemberNode {
 public:
  MemberNode(Network& network, NodeId id, std::vector<NodeId> members, const rt::AddressPlan& plan, uint32_t nodesMax,
             cluster::ProgramEnd::Callbacks onEnd)
      : net(network, id, std::move(members)),
        control(net),
        homes(plan, nodesMax),
        programEnd(control, std::move(onEnd)) {}
  virtual ~MemberNode() = default;

  NodeId id() const { return net.self(); }

  /// Its services begin.
  virtual void start() = 0;
  /// It does nothing of its own accord any more.
  virtual void stop() = 0;
  virtual size_t threadsHere() const = 0;
  /// The net has other members, or places.
  virtual void noteMembers() {}
  /// Asks threads to go elsewhere, or to go with a block; how much is left here or on its way.
  virtual cluster::LeftView evacuate() = 0;
  virtual void moveBlocks(const std::vector<NodeId>& targets, uint64_t bytes,
                          std::function<void(const cluster::MoveResult&)> done) = 0;

  SimNet net;
  cluster::ControlChannel control;
  cluster::HomeMap homes;
  cluster::ProgramEnd programEnd;
};

}  // namespace jvmc::sim
