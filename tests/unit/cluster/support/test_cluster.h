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
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster/objects/cluster_object_space.h"
#include "ir/support/prng.h"
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
  SpaceOptions space;
};

/// Memory that all processes share.
struct Shared {
  std::atomic<uint64_t> errors{0}, operations{0}, barrier{0}, finished{0};
  std::atomic<uint64_t> fetches{0}, flushes{0};
  std::atomic<bool> over{false};
  char firstError[256] = {};
  std::atomic<uint64_t> scratch[1 << 16] = {};
};

class TestNode;

/// A mutator: one OS thread with a context. All methods are for its own thread.
class Mutator {
 public:
  Mutator(TestNode& node, uint32_t index);

  template <class T>
  T read(ObjectRef object, uint64_t offset) {
    if (rt::header(object)->epochWord.load(std::memory_order_acquire) < context.epoch) checkRead(object);
    return rt::loadGuest<T>(object + offset);
  }
  template <class T>
  void write(ObjectRef object, uint64_t offset, T value) {
    const uint64_t word = rt::header(object)->epochWord.load(std::memory_order_acquire);
    const bool writable =
        word >= rt::kEpochHome || (word >= context.epoch && (word & rt::kWriterMask) == context.writerSlot);
    if (!writable) checkWrite(object);
    rt::storeGuest<T>(object + offset, value);
  }
  void lock(ObjectRef object) { synchronise(rt::SyncOp::MonitorEnter, object); }
  void unlock(ObjectRef object) { synchronise(rt::SyncOp::MonitorExit, object); }
  uint64_t atomic(rt::AtomicOp op, ObjectRef object, uint32_t offset, uint64_t a = 0, uint64_t b = 0);
  void release();
  void acquire();
  /// Meets all mutators of all nodes; no guest memory semantics.
  void barrier();

  bool timeIsUp() const;
  void error(const std::string& what);
  void countOperations(uint64_t count);

  TestNode& node;
  const uint32_t nodeId;
  const uint32_t index;   ///< on its node
  const uint32_t number;  ///< in the cluster
  Prng random;
  rt::ThreadContext context;
  rt::GuestThread thread;

 private:
  friend class TestNode;
  void checkRead(ObjectRef object);
  void checkWrite(ObjectRef object);
  rt::Resumption synchronise(rt::SyncOp op, ObjectRef object);
  rt::Resumption submit(rt::SyncRequest request);
  rt::Resumption awaitMail(uint64_t ticket);

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<uint64_t, rt::Resumption> mail_;
  uint64_t ticket_ = 0;
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
  std::vector<uint64_t> nextFree_;
};

}  // namespace jvmc::cluster::test
