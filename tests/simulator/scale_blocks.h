// How homes move at scale: the states and beliefs are the product's (cluster/objects/home_map.h), in the order of its
// block mover, but blocks have no bytes. All that goes with one is where its threads were last seen.
//
//     source                                     target
//                 --- PREPARE, addresses -->     Incoming
//     Sent        <-- ready ----------------
//                 --- BLOCKS, whereabouts ->     Settled
//     Settled     <-- done -----------------
#pragma once

#include <map>
#include <vector>

#include "cluster/migration/thread_router.h"
#include "tests/simulator/member_node.h"

namespace jvmc::sim {

class ScaleBlocks {
 public:
  /// What the blocks are of: all nodes know it from the beginning.
  struct Directory {
    std::map<uint64_t, std::vector<rt::ThreadRef>> threads;  ///< by block: whose Thread objects lie there
  };

  ScaleBlocks(MemberNode& node, History& history, const Directory& directory, cluster::ThreadHost& host)
      : node_(node), history_(history), directory_(directory), host_(host) {}

  void open(cluster::ThreadRouter& router);
  /// The block is this node's from the beginning.
  void begin(uint64_t block);
  /// All blocks of this node.
  void move(NodeId target, std::function<void(const cluster::MoveResult&)> done);
  /// That this node answers for, or that are on their way.
  size_t count() const { return here_.size() + onTheirWay_; }

 private:
  void ship(NodeId target, std::vector<uint64_t> blocks, std::function<void(const cluster::MoveResult&)> done);
  bool prepare(NodeId from, cluster::ByteReader& in);
  bool take(cluster::ByteReader& in);

  MemberNode& node_;
  History& history_;
  const Directory& directory_;
  cluster::ThreadHost& host_;
  cluster::ThreadRouter* router_ = nullptr;
  std::map<uint64_t, uint32_t> here_;  ///< how often each has moved
  size_t onTheirWay_ = 0;
};

}  // namespace jvmc::sim
