#include "tests/unit/cluster/objects/litmus.h"

#include <thread>

namespace jvmc::cluster::test {
namespace {

using rt::AtomicOp;

/// How often a thread allocates between a check and the access, where it does so at all.
constexpr uint64_t kAllocatesOneIn = 8;

void pause() {
  std::this_thread::yield();
}

/// Element access by the array's element size.
uint64_t readElement(Mutator& me, ObjectRef array, TestClass type, uint64_t i) {
  switch (type) {
    case kBytes:
      return me.read<uint8_t>(array, kFirstElement + i);
    case kShorts:
      return me.read<uint16_t>(array, kFirstElement + 2 * i);
    case kInts:
      return me.read<uint32_t>(array, kFirstElement + 4 * i);
    default:
      return me.read<uint64_t>(array, kFirstElement + 8 * i);
  }
}

void writeElement(Mutator& me, ObjectRef array, TestClass type, uint64_t i, uint64_t value) {
  switch (type) {
    case kBytes:
      return me.write<uint8_t>(array, kFirstElement + i, uint8_t(value));
    case kShorts:
      return me.write<uint16_t>(array, kFirstElement + 2 * i, uint16_t(value));
    case kInts:
      return me.write<uint32_t>(array, kFirstElement + 4 * i, uint32_t(value));
    default:
      return me.write<uint64_t>(array, kFirstElement + 8 * i, value);
  }
}

uint64_t elementMask(TestClass type) {
  return type == kLongs ? ~uint64_t(0) : (uint64_t(1) << (8 << (type - kBytes))) - 1;
}

}  // namespace

void messagePassing(TestCluster& cluster, uint32_t threads) {
  constexpr uint32_t kObjects = 8;
  constexpr uint64_t kStop = ~uint64_t(0);
  const uint32_t nodes = cluster.options().nodes;
  ObjectRef data[kObjects];
  for (uint32_t i = 0; i < kObjects; ++i) data[i] = cluster.object(i % nodes, kRecord);
  const ObjectRef flag = cluster.object((nodes - 1), kRecord);
  const ObjectRef reply = cluster.object(1, kRecord);
  const ObjectRef noise = cluster.object(0, kRecord);

  const auto writer = [&](Mutator& me) {
    uint64_t round = 0;
    while (!me.timeIsUp()) {
      ++round;
      for (ObjectRef object : data)
        for (uint32_t f = 0; f < kRecordFields; f += 3) me.write<uint64_t>(object, kFirstField + 8 * f, round);
      me.atomic(AtomicOp::Store, flag, kFirstField, round);
      while (me.atomic(AtomicOp::Load, reply, kFirstField) != round && !me.timeIsUp()) pause();
    }
    me.atomic(AtomicOp::Store, flag, kFirstField, kStop);
    me.countOperations(round);
  };
  const auto reader = [&](Mutator& me) {
    for (uint64_t seen = 0;;) {
      const uint64_t round = me.atomic(AtomicOp::Load, flag, kFirstField);
      if (round == kStop) return;
      if (round == seen) {
        pause();
        continue;
      }
      seen = round;
      for (ObjectRef object : data)
        for (uint32_t f = 0; f < kRecordFields; f += 3)
          if (me.read<uint64_t>(object, kFirstField + 8 * f) < round) me.error("flag seen before data");
      me.atomic(AtomicOp::Store, reply, kFirstField, round);
    }
  };
  const auto bystander = [&](Mutator& me) {
    while (!me.timeIsUp()) {
      me.atomic(AtomicOp::Add, noise, kFirstField, 1);
      for (ObjectRef object : data) me.read<uint64_t>(object, kFirstField);
    }
  };
  cluster.run(threads, [&](Mutator& me) {
    if (me.nodeId == 0 && me.index == 0) return writer(me);
    if (me.nodeId == 1 && me.index == 0) return reader(me);
    bystander(me);
  });
}

void storeBuffering(TestCluster& cluster) {
  const ObjectRef x = cluster.object(0, kRecord), y = cluster.object(1, kRecord);
  std::atomic<uint64_t>* started = cluster.shared().scratch;       // by node: rounds begun
  std::atomic<uint64_t>* result = cluster.shared().scratch + 100;  // by node: what was read
  cluster.run(1, [&](Mutator& me) {
    const uint32_t id = me.nodeId;
    for (uint64_t round = 1;; ++round) {
      if (id >= 2) return;
      // Decided before the round is announced: both ends see the same rounds.
      if (id == 0 && me.timeIsUp()) cluster.shared().over = true;
      started[id] = round;
      while (started[1 - id] < round) pause();
      if (cluster.shared().over) return;
      const bool swapped = round % 2 != 0;  // each writes in turn the variable that is homed here and the remote one
      const ObjectRef mine = (id == 0) != swapped ? x : y, other = mine == x ? y : x;
      me.atomic(AtomicOp::Store, mine, kFirstField, round);
      result[id] = me.atomic(AtomicOp::Load, other, kFirstField);
      started[10 + id] = round;
      while (started[11 - id] < round) pause();
      if (id == 0 && result[0] < round && result[1] < round) me.error("both sides read the old value");
      started[20 + id] = round;
      while (started[21 - id] < round) pause();
      me.countOperations(1);
    }
  });
}

void lockedCounters(TestCluster& cluster, uint32_t threads, uint32_t pauseMicrosMax) {
  const uint32_t nodes = cluster.options().nodes;
  const ObjectRef lock = cluster.object(nodes - 1, kRecord);
  ObjectRef counters[3];
  for (uint32_t i = 0; i < 3; ++i) counters[i] = cluster.object(i % nodes, kRecord);
  cluster.run(threads, [&](Mutator& me) {
    uint64_t rounds = 0;
    while (!me.timeIsUp()) {
      me.lock(lock);
      const uint64_t a = me.read<uint64_t>(counters[0], 16), b = me.read<uint64_t>(counters[1], 32),
                     c = me.read<uint64_t>(counters[2], 72);
      if (a != b || b != c) me.error("counters differ inside the lock");
      me.write<uint64_t>(counters[0], 16, a + 1);
      me.write<uint64_t>(counters[1], 32, b + 1);
      me.write<uint64_t>(counters[2], 72, c + 1);
      me.unlock(lock);
      if (pauseMicrosMax > 0) std::this_thread::sleep_for(std::chrono::microseconds(me.random.below(pauseMicrosMax)));
      ++rounds;
    }
    me.countOperations(rounds);
    me.barrier();
    me.lock(lock);
    if (me.read<uint64_t>(counters[0], 16) != cluster.shared().operations) me.error("an increment was lost");
    me.unlock(lock);
  });
}

void falseSharing(TestCluster& cluster, uint32_t threads, TestClass type, uint32_t spread) {
  constexpr uint32_t kOwned = 24;
  const uint32_t nodes = cluster.options().nodes, all = nodes * threads;
  const ObjectRef array = cluster.object(0, type, kOwned * all * spread);
  const ObjectRef shared = cluster.object(1 % nodes, kRecord);
  ObjectRef locks[4];
  for (uint32_t i = 0; i < 4; ++i) locks[i] = cluster.object(i % nodes, kRecord);
  std::atomic<uint64_t>* expected = cluster.shared().scratch;
  const uint64_t mask = elementMask(type);

  cluster.run(threads, [&](Mutator& me) {
    std::vector<uint64_t> mine(kOwned, 0);
    uint64_t counter = 0;
    const auto place = [&](uint64_t i) { return me.number + i * all; };
    const auto store = [&] {
      const uint64_t i = me.random.below(kOwned);
      mine[i] = ++counter & mask;
      writeElement(me, array, type, place(i) * spread, mine[i]);
    };
    const auto check = [&] {
      const uint64_t i = me.random.below(kOwned);
      if (readElement(me, array, type, place(i) * spread) != mine[i]) me.error("own element lost");
    };
    for (;;) {
      const uint64_t operations = 100 + me.random.below(300);
      for (uint64_t n = 0; n < operations; ++n) {
        me.random.below(2) != 0 ? store() : check();
        const uint64_t dice = me.random.below(24);
        if (dice == 0) me.atomic(AtomicOp::Add, shared, kFirstField, 1);
        if (dice == 1) {
          const ObjectRef lock = locks[me.random.below(4)];
          me.lock(lock);
          store();
          me.unlock(lock);
        }
        if (dice == 2) me.atomic(AtomicOp::Load, shared, kFirstField);
      }
      me.countOperations(operations);
      for (uint64_t i = 0; i < kOwned; ++i) expected[place(i)] = mine[i];
      me.atomic(AtomicOp::Add, shared, kFirstField, 1);
      me.barrier();
      me.atomic(AtomicOp::Add, shared, kFirstField, 1);
      for (uint64_t i = 0; i < kOwned * all; ++i)
        if (readElement(me, array, type, i * spread) != expected[i]) me.error("element not visible after the barrier");
      if (me.number == 0) cluster.shared().over = me.timeIsUp() || cluster.errors() > 0;
      me.barrier();
      if (cluster.shared().over) return;
      me.barrier();
    }
  });
}

void neighbourBytes(TestCluster& cluster) {
  constexpr uint32_t kBytesAll = 256, kOwned = 64;
  const ObjectRef array = cluster.object(0, kBytes, kBytesAll);
  const ObjectRef noise = cluster.object(0, kRecord);
  cluster.run(2, [&](Mutator& me) {
    uint8_t counter = 0;
    if (me.nodeId == 0 && me.index == 0) {
      while (!me.timeIsUp()) {
        for (uint32_t i = 0; i < kBytesAll; i += 4) me.write<uint8_t>(array, kFirstElement + i, ++counter);
        pause();
      }
    }
    if (me.nodeId == 1 && me.index == 1) {
      while (!me.timeIsUp()) {
        me.acquire();
        me.read<uint8_t>(array, kFirstElement);
        me.countOperations(1);
      }
    }
    if (me.nodeId == 1 && me.index == 0) {
      uint8_t mine[kOwned] = {};
      while (!me.timeIsUp()) {
        for (int n = 0; n < 3000; ++n) {
          const uint64_t i = me.random.below(kOwned);
          if (me.random.below(2) != 0) {
            me.write<uint8_t>(array, kFirstElement + 4 * i + 2, mine[i] = ++counter);
          } else if (me.read<uint8_t>(array, kFirstElement + 4 * i + 2) != mine[i]) {
            me.error("own byte lost");
          }
        }
        me.release();
        me.atomic(AtomicOp::Load, noise, kFirstField);
      }
    }
  });
}

void hoistedChecks(TestCluster& cluster, uint32_t threads) {
  constexpr uint64_t kWords = 8;
  const uint32_t nodes = cluster.options().nodes;
  std::vector<ObjectRef> own, noise;
  for (uint32_t i = 0; i < nodes * threads; ++i) own.push_back(cluster.object(i % nodes, kLongs, kWords));
  for (uint32_t i = 0; i < nodes; ++i) noise.push_back(cluster.object(i, kRecord));
  cluster.run(threads, [&](Mutator& me) {
    uint64_t mine[kWords] = {}, rounds = 0;
    const ObjectRef array = own[me.number];
    for (; !me.timeIsUp(); ++rounds) {
      const uint64_t i = me.random.below(kWords);
      me.acquire();  // what is read next is stale
      const ObjectRef other = noise[me.random.below(nodes)];
      mine[i] = rounds;
      if (me.random.below(kAllocatesOneIn) == 0)
        me.writeAfterAllocation(array, kFirstElement + 8 * i, rounds, other, noise[me.random.below(nodes)]);
      else
        me.writeAfterRead(array, kFirstElement + 8 * i, rounds, other, kFirstField);
      const uint64_t k = me.random.below(kWords);
      if (me.read<uint64_t>(array, kFirstElement + 8 * k) != mine[k]) return me.error("an own word was lost");
      if (me.random.below(16) == 0) me.release();
    }
    me.countOperations(rounds);
  });
}

void hotObjects(TestCluster& cluster, uint32_t threads) {
  constexpr uint32_t kThreadsMax = 8;
  constexpr int64_t kTurnNanos = 3'000'000;
  const auto plainWord = [](uint32_t thread) { return kFirstElement + 8 * thread; };
  const auto volatileWord = [](uint32_t thread) { return kFirstElement + 8 * (kThreadsMax + thread); };
  const uint32_t nodes = cluster.options().nodes;
  std::vector<ObjectRef> hot, told, noise;
  for (uint32_t i = 0; i < nodes; ++i) hot.push_back(cluster.object(i, kLongs, 2 * kThreadsMax));
  for (uint32_t i = 0; i < nodes * threads; ++i) told.push_back(cluster.object((i + 1) % nodes, kRecord));
  for (uint32_t i = 0; i < nodes; ++i) noise.push_back(cluster.object(i, kRecord));
  std::vector<ObjectRef> directories;  // the hot object of the node comes along with it
  for (uint32_t i = 0; i < nodes; ++i) directories.push_back(cluster.object(i, kReferences, 1));
  cluster.run(threads, [&](Mutator& me) {
    if (me.index == 0) me.write<uint64_t>(directories[me.nodeId], kFirstElement, hot[me.nodeId]);
    me.release();
    me.barrier();
    std::vector<uint64_t> mine(nodes);
    uint64_t rounds = 0;
    for (; !me.timeIsUp(); ++rounds) {
      const uint32_t which = uint32_t(me.random.below(nodes));
      const bool isMyTurn = (steadyNanos() / kTurnNanos + which) % nodes == me.nodeId;
      if (!isMyTurn && me.random.below(20) != 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        continue;
      }
      const ObjectRef object = hot[which];
      switch (me.random.below(10)) {
        case 0:
          me.acquire();
          if (me.read<uint64_t>(object, plainWord(me.number)) != mine[which]) return me.error("an own word was lost");
          break;
        case 1:
        case 8:
          mine[which] = rounds;
          me.acquire();
          me.writeAfterRead(object, plainWord(me.number), rounds, noise[me.random.below(nodes)], kFirstField);
          if (me.read<uint64_t>(object, plainWord(me.number)) != rounds)
            return me.error("an own word was lost at once");
          break;
        case 2:
        case 7:
          me.write<uint64_t>(told[me.number], kFirstField, rounds);
          me.atomic(rt::AtomicOp::Store, object, uint32_t(volatileWord(me.number)), rounds);
          break;
        case 3:
        case 4:
        case 5: {
          const auto other = uint32_t(me.random.below(nodes * threads));
          static_cast<void>(me.read<uint64_t>(told[other], kFirstField));  // a copy that will be too old
          const uint64_t seen = me.atomic(rt::AtomicOp::Load, object, uint32_t(volatileWord(other)));
          if (me.read<uint64_t>(told[other], kFirstField) < seen) return me.error("older than the volatile word tells");
          break;
        }
        case 6:
          static_cast<void>(me.read<uint64_t>(directories[which], kFirstElement));
          break;
        default:
          me.release();
      }
    }
    me.countOperations(rounds);
  });
}

void hoistedReads(TestCluster& cluster, uint32_t threads) {
  constexpr uint64_t kWords = 8;
  const uint32_t nodes = cluster.options().nodes;
  std::vector<ObjectRef> constant, noise;
  for (uint32_t i = 0; i < nodes; ++i) {
    constant.push_back(cluster.object(i, kLongs, kWords));
    cluster.object(i, kLongs, 2 * CopyMap::kPageBytes / 8);  // what is fetched all the time keeps its page
    noise.push_back(cluster.object(i, kRecord));
  }
  cluster.run(threads, [&](Mutator& me) {
    if (me.index == 0)
      for (uint64_t i = 0; i < kWords; ++i) me.write<uint64_t>(constant[me.nodeId], kFirstElement + 8 * i, i + 1);
    me.release();
    me.barrier();
    me.acquire();
    uint64_t rounds = 0;
    for (; !me.timeIsUp(); ++rounds) {
      if (me.random.below(4) == 0) me.acquire();
      const uint64_t i = me.random.below(kWords);
      const ObjectRef array = constant[me.random.below(nodes)];
      const uint64_t offset = kFirstElement + 8 * i;
      const ObjectRef other = noise[me.random.below(nodes)];
      const uint64_t found = me.random.below(kAllocatesOneIn) == 0
                                 ? me.readAfterAllocation(array, offset, other, noise[me.random.below(nodes)])
                                 : me.readAfterRead(array, offset, other, kFirstField);
      if (found != i + 1) return me.error("a copy was taken away from under its reader");
    }
    me.countOperations(rounds);
  });
}

void neighbourhood(TestCluster& cluster, uint32_t threads) {
  constexpr uint64_t kRecords = 6;
  const ObjectRef array = cluster.object(0, kReferences, kRecords);
  ObjectRef records[kRecords];
  for (ObjectRef& record : records) record = cluster.object(0, kRecord);
  cluster.run(threads, [&](Mutator& me) {
    if (me.number == 0)
      for (uint64_t i = 0; i < kRecords; ++i) me.write<uint64_t>(array, kFirstElement + 8 * i, records[i]);
    me.release();
    me.barrier();
    me.acquire();
    uint64_t mine[kRecords] = {}, rounds = 0;
    const uint64_t field = kFirstField + 8 * (me.number % kRecordFields);
    for (; !me.timeIsUp(); ++rounds) {
      const uint64_t i = me.random.below(kRecords);
      me.write<uint64_t>(records[i], field, mine[i] = rounds + 1);
      if (me.random.below(4) == 0) me.release();
      if (me.random.below(4) == 0) me.acquire();
      me.read<uint64_t>(array, kFirstElement);
      const uint64_t k = me.random.below(kRecords);
      if (me.read<uint64_t>(records[k], field) != mine[k]) return me.error("an own field was lost");
    }
    me.countOperations(rounds);
  });
}

void readSets(TestCluster& cluster, uint32_t threads) {
  constexpr uint64_t kRecords = 12;
  ObjectRef records[kRecords];
  for (uint32_t i = 0; i < kRecords; ++i) records[i] = cluster.object(i % cluster.options().nodes, kRecord);
  cluster.run(threads, [&](Mutator& me) {
    uint64_t mine[kRecords] = {}, rounds = 0;
    const uint64_t field = kFirstField + 8 * (me.number % kRecordFields);
    for (; !me.timeIsUp(); ++rounds) {
      if (me.random.below(2) == 0) me.acquire();
      const uint64_t first = me.random.below(kRecords), count = 1 + me.random.below(kRecords);
      for (uint64_t n = 0; n < count; ++n) {
        const uint64_t i = (first + n) % kRecords;
        if (me.read<uint64_t>(records[i], field) != mine[i]) return me.error("an own field was lost");
        if (me.random.below(4) == 0) me.write<uint64_t>(records[i], field, mine[i] = rounds + 1);
        if (me.random.below(8) == 0) me.release();
      }
    }
    me.countOperations(rounds);
  });
}

void racyReferences(TestCluster& cluster, uint32_t threads) {
  const ObjectRef array = cluster.object(0, kReferences, 8);
  const ObjectRef noise = cluster.object(1, kRecord);
  const ObjectRef base = array & ~((uint64_t(1) << 30) - 1);
  // A reference whose upper bits are a hash of its lower ones: a mixture of two shows. All lie in the address plan.
  const auto hash = [](uint64_t key) { return (key + 1) * 0x9E37'79B9'7F4A'7C15 >> 49; };
  const auto reference = [&](uint64_t key) { return base + (key << 3) + (hash(key) << 18); };
  const auto genuine = [&](ObjectRef r) { return r == reference(((r - base) >> 3) & 0x7FFF); };
  cluster.run(threads, [&](Mutator& me) {
    uint64_t rounds = 0;
    for (; !me.timeIsUp(); ++rounds) {
      const uint64_t target = kFirstElement + 8 * me.random.below(8);
      me.write<uint64_t>(array, target, reference(me.random.below(1 << 15)));
      const ObjectRef seen = me.read<uint64_t>(array, kFirstElement + 8 * me.random.below(8));
      if (seen != rt::kNullRef && !genuine(seen)) me.error("a mixed reference");
      if (me.random.below(8) == 0) me.atomic(AtomicOp::Add, noise, kFirstField, 1);
    }
    me.countOperations(rounds);
  });
}

}  // namespace jvmc::cluster::test
