// Which node is home of an address: the only place that knows.
//
// At first homes are dealt out by region: region r belongs to node r mod N, whether there is such a node or not; N is
// the number of ids there can be (rt::kNodesMax), so nothing changes when a node joins. Region 0 (the statics objects)
// is the first node's thereby, at first. No message is needed to lease a region, so an allocating thread never waits
// for the network.
//
// Blocks move (block_mover.h). What this node knows of a moved block is a belief: who was its home after how many
// moves. A node that gave a block away remembers where it went, so whoever asks there is sent on, always to a younger
// home, and arrives. Of a large object's blocks only the first has an entry: every address that is asked for lies in
// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cluster/wire/bytes.h"
#include "runtime/abi/address_plan.h"
#include "runtime/object_space.h"

namespace jvmc::cluster {

using rt::NodeId;
using rt::ObjectRef;

enum class HomeState : uint8_t {
  Settled,   ///< nothing is going on here
  Leaving,   ///< home is here, guest threads of this node do not touch it any more; requests are served
  Sent,      ///< has left for `node`, which has not confirmed it yet
  Incoming,  ///< is on its way here; home is still `node`
};

struct BlockHome {
  NodeId node;
  HomeState state = HomeState::Settled;
  uint32_t moves = 0;  ///< how often the block had moved when `node` became its home
};

/// Thread-safe; look-ups take no lock.
class HomeMap {
 public:
  HomeMap(const rt::AddressPlan& plan, uint32_t nodesMax);
  ~HomeMap();
  HomeMap(const HomeMap&) = delete;

  /// `object` lies in the address plan and is aligned: it may be asked for at homeOf().
  bool valid(ObjectRef object) const { return plan_.contains(object) && object % rt::kObjectAlignment == 0; }
  /// `object` must be valid().
  BlockHome at(ObjectRef object) const;
  NodeId homeOf(ObjectRef object) const { return at(object).node; }
  /// Guest threads of `self` may treat the object as homed here.
  bool isSettledAt(NodeId self, ObjectRef object) const {
    const BlockHome home = at(object);
    return home.node == self && home.state == HomeState::Settled;
  }
  /// `self` answers requests for the object.
  bool isServedBy(NodeId self, ObjectRef object) const {
    const BlockHome home = at(object);
    return home.node == self && (home.state == HomeState::Settled || home.state == HomeState::Leaving);
  }

  /// What the block at `address` is now. The mover decides; nobody else.
  void set(uint64_t address, BlockHome home);
  /// The node that was `asked` says that the object's home has moved to `whereabouts`: believed if it is news and
  /// nothing is going on here. False if that is nonsense: it must know of a younger home than we asked for.
  bool learn(ObjectRef object, BlockHome whereabouts, BlockHome asked);

  /// What this node believes of the blocks that have moved, as bytes: u32 count | each: address u64, node u32, moves
  /// u32.
  std::vector<uint8_t> beliefs() const;
  /// Believes what another node's beliefs() say, where it knows of younger homes. False if they make no sense.
  bool takeOver(std::span<const uint8_t> beliefs);

  NodeId ownerOf(uint32_t region) const { return NodeId(region % nodesMax_); }
  const rt::AddressPlan& plan() const { return plan_; }
  uint32_t nodesMax() const { return nodesMax_; }

 private:
  using Entry = std::atomic<uint64_t>;  ///< 0: as dealt

  void believe(uint64_t address, const BlockHome& home);
  Entry* find(uint64_t address) const;
  Entry& make(uint64_t address);

  rt::AddressPlan plan_;
  uint32_t nodesMax_;
  std::unique_ptr<std::atomic<Entry*>[]> regions_;  ///< an entry a block, once one of the region's blocks has moved
};

/// Gives this node's heap the regions that HomeMap deals to it. Thread-safe, never blocks.
class DealtRegions final : public rt::RegionSource {
 public:
  DealtRegions(const HomeMap& homes, NodeId self) : homes_(homes), next_(self.value) {}

  std::optional<uint32_t> lease() override {
    const uint32_t region = next_.fetch_add(homes_.nodesMax());
    if (region >= homes_.plan().regionCount) return std::nullopt;
    return region;
  }

 private:
  const HomeMap& homes_;
  std::atomic<uint32_t> next_;
};

}  // namespace jvmc::cluster
