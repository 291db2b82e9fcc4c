// What moving homes and evicting copies need of the node besides SpaceHost (space_host.h): its world, its heap's
// blocks.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "cluster/net/node_net.h"
#include "cluster/objects/helper_thread.h"
#include "runtime/heap/heap.h"

namespace jvmc::cluster {

using rt::ObjectRef;

/// Unless it says otherwise, callers are inside accessGuest().
class BlockHost {
 public:
  virtual ~BlockHost() = default;

  /// Any runtime thread, outside accessGuest().
  virtual void stopWorld(const std::function<void()>& body) = 0;
  /// World stopped: addresses of the blocks that threads may be relying on checks of. A check holds until the thread's
  /// next poll, and what is relied on is referred to: so these are the blocks that words of the stacks point into, of
  /// all threads that do not stand in a poll.
  std::set<uint64_t> heldBlocks() {
    std::set<uint64_t> all;
    forEachReliance(
        [&](rt::ThreadContext&, const std::set<uint64_t>& blocks) { all.insert(blocks.begin(), blocks.end()); });
    return all;
  }
  /// The same for each such thread.
  using VisitReliance = std::function<void(rt::ThreadContext& ctx, const std::set<uint64_t>& blocks)>;
  virtual void forEachReliance(const VisitReliance& visit) = 0;

  /// World stopped. See rt::Heap.
  virtual std::vector<rt::BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>& only) = 0;
  virtual void restore(const rt::BlockGroup& group) = 0;
  virtual rt::ObjectStarts objectsOf(const rt::BlockGroup& group) = 0;
  virtual void giveAway(const rt::BlockGroup& group) = 0;
  virtual void adopt(const rt::BlockGroup& group, const rt::ObjectStarts& objects,
                     const std::vector<ObjectRef>& written) = 0;
  virtual bool hasRoomFor(uint64_t bytes) = 0;
  /// Objects are about to come to [begin, end), which may have memory by then. Any thread; never blocks.
  virtual void expectObjects(uint64_t /*begin*/, uint64_t /*end*/) {}
  /// They have come. All of what was expected is about to be written.
  virtual void populate(uint64_t /*begin*/, uint64_t /*end*/) {}

  /// What the home knows about an object besides its bytes (inflated monitors, waiters, whereabouts of a thread), taken
  /// away from here; empty if there is nothing.
  virtual Bytes takeHomeState(ObjectRef object) = 0;
  /// False: there is nothing for objects of this class in the group, unless their monitors are inflated.
  virtual bool mayHaveHomeState(const rt::BlockGroup&, const rt::ClassInfo&) { return true; }
  virtual bool putHomeState(ObjectRef object, std::span<const uint8_t> state) = 0;

  /// What the mover runs on.
  virtual std::unique_ptr<HelperThread> makeThread() { return std::make_unique<OsHelperThread>(); }
};

}  // namespace jvmc::cluster
