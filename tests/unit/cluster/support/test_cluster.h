// A cluster of forked processes for tests of the coherence protocol: real object space, real SyncHome, real memory at
// the same addresses, but mutators that are plain OS threads instead of guest threads. Nodes of one program cannot
// share a process, because an object lies at the same address in each.
//
//     TestCluster cluster({.nodes = 3});
//     cluster.run(2, [&](Mutator& me) { me.lock(x); me.write<uint64_t>(x, 16, me.read<uint64_t>(x, 16) + 1); ... });
//     EXPECT_EQ(cluster.errors(), 0);
//
// Objects are made before run(), at addresses that every process computes alike; only the home initialises them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cluster/objects/cluster_object_space.h"
#include "ir/support/prng.h"
#include "runtime/gc/world.h"
#include "runtime/sync/sync_home.h"
#include "tests/unit/cluster/support/pipe_net.h"

namespace jvmc::cluster::test {

/// Class indexes of the test's classes.
enum TestClass : uint32_t { kRecord = 1, kBytes, kShorts, kInts, kLongs, kReferences, kThread, kTestClasses };
inline constexpr uint32_t kRecordFields = 8;  ///< i64 fields, at offsets 16, 24, ...
inline constexpr uint32_t kFirstField = rt::kHeaderBytes;
inline constexpr uint32_t kFirstElement = rt::kArrayElementsOffset;

struct TestOptions {
  uint32_t nodes = 2;
  double seconds = 0.5;
  uint32_t delayOneIn = 0;
  uint64_t seed = 1;
  bool moving = false;     ///< each node hands blocks to others all the time
  bool evicting = false;   ///< each node takes copies out of memory all the time
  bool releasing = false;  ///< each poll writes home what the thread has written
  SpaceOptions space;
  /// Whatever is asked for is leased at once.
  TestOptions& leasing() {
    space.leaseEverything = true;
    space.leaseNanos = 300'000;
    return *this;
  }
};

/// Memory that all processes share.
struct Shared {
  std::atomic<uint64_t> errors{0}, operations{0}, barrier{0}, finished{0};
  std::atomic<uint64_t> fetches{0}, flushes{0}, moves{0}, revoked{0}, evictedBytes{0}, earlyReleases{0};
  std::atomic<uint64_t> leased{0}, recalls{0}, recalledCopies{0};
  std::atomic<uint64_t> lent{0}, borrowed{0}, returned{0};
  std::atomic<bool> over{false};
  char firstError[256] = {};
  /// What no correct run does: a wrong value, a node that dies or hangs.
  void report(const std::string& what) {
    if (errors.fetch_add(1) == 0) std::strncpy(firstError, what.c_str(), sizeof firstError - 1);
  }
  std::atomic<uint64_t> scratch[1 << 16] = {};
};

class TestNode;

/// A mutator: one OS thread with a context. All methods are for its own thread.
class Mutator {
 public:
  Mutator(TestNode& node, uint32_t index);

  template <class T>
  T read(ObjectRef object, uint64_t offset) {
    const InGuest here(*this);
    ensureReadable(object);
    ensureElementReadable(object, offset, sizeof(T));
    return rt::loadGuest<T>(object + offset);
  }
  template <class T>
  void write(ObjectRef object, uint64_t offset, T value) {
    const InGuest here(*this);
    ensureWritable(object);
    ensureElementWritable(object, offset, sizeof(T));
    rt::storeGuest<T>(object + offset, value);
  }
  /// As compiled code does it with hoisted checks: both come first, then a word of `other` is read and one of `object`,
  /// which is returned.
  uint64_t readAfterRead(ObjectRef object, uint64_t offset, ObjectRef other, uint64_t otherOffset) {
    const InGuest here(*this);
    ensureReadable(object);
    ensureReadable(other);
    static_cast<void>(rt::loadGuest<uint64_t>(other + otherOffset));
    return rt::loadGuest<uint64_t>(object + offset);
  }
  /// Likewise, but a word of `other` is read and `value` stored.
  uint64_t writeAfterRead(ObjectRef object, uint64_t offset, uint64_t value, ObjectRef other, uint64_t otherOffset) {
    const InGuest here(*this);
    ensureWritable(object);
    ensureReadable(other);
    const uint64_t seen = rt::loadGuest<uint64_t>(other + otherOffset);
    rt::storeGuest<uint64_t>(object + offset, value);
    return seen;
  }
  /// With its check made before two others, and an allocation between these.
  uint64_t readAfterAllocation(ObjectRef object, uint64_t offset, ObjectRef before, ObjectRef after) {
    const InGuest here(*this);
    ensureReadable(object);
    allocateBetween(before, after);
    return rt::loadGuest<uint64_t>(object + offset);
  }
  void writeAfterAllocation(ObjectRef object, uint64_t offset, uint64_t value, ObjectRef before, ObjectRef after) {
    const InGuest here(*this);
    ensureWritable(object);
    allocateBetween(before, after);
    rt::storeGuest<uint64_t>(object + offset, value);
  }
  void lock(ObjectRef object) { synchronise(rt::SyncOp::MonitorEnter, object); }
  void unlock(ObjectRef object) { synchronise(rt::SyncOp::MonitorExit, object); }
  uint64_t atomic(rt::AtomicOp op, ObjectRef object, uint32_t offset, uint64_t a = 0, uint64_t b = 0);
  void release();
  void acquire();
  /// As the instruction does it.
  void freeze(ObjectRef object);
  /// As a thread does that goes to another node: returns when nothing of it is left here.
  void leave();
  /// Meets all mutators of all nodes; no guest memory semantics.
  void barrier();

  bool timeIsUp() const;
  void error(const std::string& what);
  void countOperations(uint64_t count);
  /// By all threads of the node.
  uint64_t fetchesHere() const;
  uint64_t flushesHere() const;
  /// Objects that are here on loan.
  size_t borrowedHere() const;
  void giveUpLoans();

  TestNode& node;
  const uint32_t nodeId;
  const uint32_t index;   ///< on its node
  const uint32_t number;  ///< in the cluster
  Prng random;
  rt::ThreadContext context;
  rt::GuestThread thread;

 private:
  friend class TestNode;
  /// One stretch of guest code, from poll to poll. The world stops between two, or while one waits.
  class InGuest {
   public:
    explicit InGuest(Mutator& me) : me_(me) {
      while (me_.stopWanted_) std::this_thread::yield();
      me_.guest_.lock();
      me_.held_.clear();
      me_.standInPoll();
      me_.context.quiescent = false;
    }
    ~InGuest() {
      me_.context.quiescent = true;
      me_.guest_.unlock();
    }

   private:
    Mutator& me_;
  };

  void ensureReadable(ObjectRef object) {
    held_.push_back(object);
    if (rt::header(object)->epochWord.load(std::memory_order_acquire) < context.epoch) checkRead(object);
  }
  void ensureWritable(ObjectRef object) {
    held_.push_back(object);
    const uint64_t word = rt::header(object)->epochWord.load(std::memory_order_acquire);
    const bool writable =
        word >= rt::kEpochHome || (word >= context.epoch && (word & rt::kWriterMask) == context.writerSlot);
    if (!writable) checkWrite(object);
  }
  static bool isChunked(ObjectRef object) {
    return rt::isChunkedEpoch(rt::header(object)->epochWord.load(std::memory_order_acquire));
  }
  void ensureElementReadable(ObjectRef object, uint64_t offset, uint32_t bytes) {
    const uint32_t index = uint32_t((offset - rt::kArrayElementsOffset) / bytes);
    if (isChunked(object)) checkElementsRead(object, index);
  }
  void ensureElementWritable(ObjectRef object, uint64_t offset, uint32_t bytes) {
    const uint32_t index = uint32_t((offset - rt::kArrayElementsOffset) / bytes);
    if (isChunked(object)) checkElementsWrite(object, index);
  }
  void standInPoll();
  void checkRead(ObjectRef object);
  void checkWrite(ObjectRef object);
  void checkElementsRead(ObjectRef array, uint32_t index);
  void checkElementsWrite(ObjectRef array, uint32_t index);
  void allocateBetween(ObjectRef before, ObjectRef after) {
    ensureReadable(before);
    allocate();
    ensureReadable(after);
  }
  /// The world may be stopped here, though it is no poll.
  void allocate();
  rt::Resumption synchronise(rt::SyncOp op, ObjectRef object);
  rt::Resumption submit(rt::SyncRequest request);
  rt::Resumption awaitMail(uint64_t ticket);

  std::atomic<bool> stopWanted_{false};
  std::mutex guest_;  ///< held in guest code, but not while waiting there
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<uint64_t, rt::Resumption> mail_;
  uint64_t ticket_ = 0;
  std::vector<ObjectRef> held_;  ///< since the last poll: what its stack would refer to
};

class TestCluster {
 public:
  explicit TestCluster(TestOptions options);
  ~TestCluster();

  /// Before run(): an object homed at `node`. `length` for arrays.
  ObjectRef object(uint32_t node, TestClass type, uint32_t length = 0);

  /// Runs `body` on `threads` mutators of each node until all have returned. Fails the test if a process dies or hangs.
  void run(uint32_t threads, const std::function<void(Mutator&)>& body);

  Shared& shared() { return *shared_; }
  uint64_t errors() const { return shared_->errors; }
  std::string firstError() const { return shared_->firstError; }
  const TestOptions& options() const { return options_; }
  uint32_t mutators() const { return options_.nodes * threads_; }
  bool isArray(ObjectRef object) const { return arrays_.contains(object); }

 private:
  friend class TestNode;
  struct Planned {
    ObjectRef address;
    TestClass type;
    uint32_t length;
  };
  void runNode(uint32_t node, std::vector<int> sockets, const std::function<void(Mutator&)>& body);
  void await(const std::vector<int>& processes);

  TestOptions options_;
  Shared* shared_;
  uint32_t threads_ = 0;
  std::vector<Planned> planned_;
  std::set<ObjectRef> arrays_;  ///< of these
  std::vector<uint64_t> nextFree_;
};

}  // namespace jvmc::cluster::test
