// The memory of all simulated nodes. An object lies at the same address on each node, so only one node's memory can be
// there at a time: the memory of the others is kept aside. Changing nodes moves page tables, not bytes (mremap).
//
//     address plan   | region 0 | region 1 | ... |      <- the acting node's pages
//     aside          | node 0: empty now | node 1's pages | node 2's pages | ...
#pragma once

#include <vector>

#include "runtime/abi/address_plan.h"

namespace jvmc::sim {

/// One for the process.
class Arena {
 public:
  explicit Arena(const rt::AddressPlan& plan);
  ~Arena();
  Arena(const Arena&) = delete;

  const rt::AddressPlan& plan() const { return plan_; }
  /// From now on the addresses of the plan are this node's memory.
  void enter(uint32_t node);
  /// All memory of all nodes is zero again.
  void clear();

 private:
  void* base() const { return reinterpret_cast<void*>(plan_.base); }
  void leave();

  const rt::AddressPlan plan_;
  int acting_ = -1;
  std::vector<void*> aside_;  // by node
};

}  // namespace jvmc::sim
