// Memory of large payloads that have been handled, for those that come next: its pages are there already, and in the
// cache. New memory for each costs as much as receiving it.
#pragma once

#include <utility>
#include <vector>

#include "cluster/net/node_net.h"

namespace jvmc::cluster {

/// Of one thread.
class SpareBytes {
 public:
  /// Empty, or what some earlier payload has left.
  Bytes take() {
    if (spare_.empty()) return {};
    Bytes bytes = std::move(spare_.back());
    spare_.pop_back();
    return bytes;
  }
  void give(Bytes bytes) {
    if (bytes.capacity() <= kBytesMax && spare_.size() < kCountMax) spare_.push_back(std::move(bytes));
  }

 private:
  static constexpr size_t kCountMax = 2;
  static constexpr size_t kBytesMax = 4 << 20;

  std::vector<Bytes> spare_;
};

}  // namespace jvmc::cluster
