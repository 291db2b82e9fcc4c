// Blocks that come to this node, their new home: the target's side of block_mover.h. The target never waits for its own
// threads: theirs wait for the blocks (block_gates.h).
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cluster/objects/block_host.h"
#include "cluster/objects/block_messages.h"
#include "cluster/objects/neighbours.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// Messages are handled on the I/O thread.
class BlockArrivals {
 public:
  BlockArrivals(SpaceCore& core, BlockHost& host) : core_(core), host_(host) {}

  void handlePrepare(NodeId from, std::span<const uint8_t> payload, std::shared_ptr<Responder> responder);
  void handleBlocks(NodeId from, std::span<const uint8_t> payload, Responder& responder);

  /// Bytes of blocks that this node has promised to take and that are not here yet. Any thread.
  uint64_t awaitedBytes() const { return awaitedBytes_; }

 private:
  struct Drain;

  const char* install(NodeId from, std::span<const uint8_t> payload, BlockGates::Ready& ready);
  bool install(const GroupContents& contents, BlockGates::Ready& ready);
  std::vector<CopyUnit> takeWritten(uint64_t block);
  struct Cursors;

  const char* check(NodeId from, GroupContents& contents, Cursors& cursors);
  uint64_t checkObject(std::span<const uint8_t> data, Cursors& cursors);
  void copyObjects(const GroupContents& contents, const std::vector<CopyUnit>& written);
  void mergeWritten(const CopyUnit& unit, const ObjectShape& shape, std::span<const uint8_t> fields);
  void forgetWrites(const CopyUnit& unit);

  SpaceCore& core_;
  BlockHost& host_;
  std::atomic<uint64_t> awaitedBytes_{0};  ///< changed on the I/O thread
  /// By block that is awaited: copies here that had entries when it was announced. There will be no more. Of the I/O
  /// thread.
  std::unordered_map<uint64_t, std::vector<CopyUnit>> written_;
};

}  // namespace jvmc::cluster
