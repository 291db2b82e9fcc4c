// Which node is home of an address. The only place that knows: homes are dealt out by region now; when blocks move,
// this look-up gains a block table behind the same function.
//
// Regions are dealt out in turn: region r belongs to node r mod N. Region 0 (the statics objects) is thereby the first
// node's. No message is needed to lease a region, so an allocating thread never waits for the network.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "runtime/abi/address_plan.h"
#include "runtime/object_space.h"

namespace jvmc::cluster {

using rt::NodeId;
using rt::ObjectRef;

class HomeMap {
 public:
  HomeMap(const rt::AddressPlan& plan, uint32_t nodeCount) : plan_(plan), nodeCount_(nodeCount) {}

  /// `object` lies in the address plan and is aligned: it may be asked for at homeOf().
  bool valid(ObjectRef object) const { return plan_.contains(object) && object % rt::kObjectAlignment == 0; }
  /// `object` must be valid().
  NodeId homeOf(ObjectRef object) const { return ownerOf(plan_.regionOf(object)); }
  NodeId ownerOf(uint32_t region) const { return NodeId(region % nodeCount_); }
  const rt::AddressPlan& plan() const { return plan_; }
  uint32_t nodeCount() const { return nodeCount_; }

 private:
  rt::AddressPlan plan_;
  uint32_t nodeCount_;
};

/// Gives this node's heap the regions that HomeMap deals to it. Thread-safe, never blocks.
class DealtRegions final : public rt::RegionSource {
 public:
  DealtRegions(const HomeMap& homes, NodeId self) : homes_(homes), next_(self.value) {}

  std::optional<uint32_t> lease() override {
    const uint32_t region = next_.fetch_add(homes_.nodeCount());
    if (region >= homes_.plan().regionCount) return std::nullopt;
    return region;
  }

 private:
  const HomeMap& homes_;
  std::atomic<uint32_t> next_;
};

}  // namespace jvmc::cluster
