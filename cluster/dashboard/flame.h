// CPU profiles of all nodes, added up to one tree of functions: what a flame graph is drawn from. The nodes sample as
// long as somebody asks: cluster/launch/observer.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "ir/support/result.h"

namespace jvmc::cluster {

/// Not thread-safe.
class FlameTree {
 public:
  static constexpr size_t kCallsMax = 20'000;  ///< nodes of the tree; what is beyond counts for its caller
  static constexpr size_t kDepthMax = 200;

  /// Adds an answer of a node (observer.h). Fails if it makes no sense; then part of it may have been added.
  Status add(const std::string& report);
  uint64_t nanos() const { return root_.nanos; }
  /// {"name", "nanos", "calls": [...]}, callees with most time first, without those that took less than `least` of all.
  std::string json(double least) const;

 private:
  struct Call {
    uint64_t nanos = 0;  ///< here and in what it calls
    std::map<std::string, std::unique_ptr<Call>> calls;
  };

  Call root_;
  size_t size_ = 0;
};

}  // namespace jvmc::cluster
