// What one object after the other asks again and again when a block is written or read: neighbours are mostly of one
// class, and refer to objects of one block. To look these up costs more than all else that is done for a small object.
#pragma once

#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

/// The class of one object after the other.
class ClassCursor {
 public:
  explicit ClassCursor(SpaceHost& host) : host_(host) {}

  /// Of an object with this class word; null if there is no such class.
  const rt::ClassInfo* of(uint32_t classWord) {
    const uint32_t index = classWord & rt::kClassMask;
    if (index != index_) {
      info_ = host_.classInfo(index);
      index_ = index;
    }
    return info_;
  }

 private:
  SpaceHost& host_;
  uint32_t index_ = ~uint32_t(0);
  const rt::ClassInfo* info_ = nullptr;
};

/// Whether this node answers for one object after the other. On the I/O thread and in guest access, within one message:
/// blocks begin and cease to be served there alone, or while the world is stopped.
class ServedCursor {
 public:
  explicit ServedCursor(const SpaceCore& core) : core_(core) {}

  bool operator()(ObjectRef object) {
    const uint64_t block = object & ~uint64_t(rt::kBlockBytes - 1);
    if (block != block_) {
      served_ = core_.servedHere(object);
      block_ = block;
    }
    return served_;
  }

 private:
  const SpaceCore& core_;
  uint64_t block_ = 1;  // none
  bool served_ = false;
};

}  // namespace jvmc::cluster
