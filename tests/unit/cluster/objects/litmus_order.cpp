// Litmus programs about the order in which threads see things: load buffering, independent reads, publication.
//
// They run in batches: each thread walks through the same places, unsynchronised, then all meet and the results are
// compared. What is stored is the number of the batch, so nothing has to be cleared.
#include "tests/unit/cluster/objects/litmus.h"

namespace jvmc::cluster::test {
namespace {

using rt::AtomicOp;

constexpr uint64_t kPlaces = 64;

/// `walk(batch)` by every thread, then `compare(batch)` by the first one, until time is up.
template <class Walk, class Compare>
void inBatches(TestCluster& cluster, Mutator& me, Walk walk, Compare compare) {
  for (uint64_t batch = 1;; ++batch) {
    walk(batch);
    me.barrier();
    if (me.number == 0) {
      compare(batch);
      me.countOperations(kPlaces);
      cluster.shared().over = me.timeIsUp() || cluster.errors() > 0;
    }
    me.barrier();
    if (cluster.shared().over) return;
  }
}

/// What a thread saw at each place, for the one that compares; outside of guest memory.
std::atomic<uint64_t>& saw(TestCluster& cluster, uint32_t thread, uint64_t place, uint32_t which) {
  return cluster.shared().scratch[(thread * kPlaces + place) * 2 + which];
}

uint64_t element(uint64_t place) {
  return kFirstElement + 8 * place;
}

uint64_t load(Mutator& me, ObjectRef array, uint64_t place) {
  return me.atomic(AtomicOp::Load, array, uint32_t(element(place)));
}
void store(Mutator& me, ObjectRef array, uint64_t place, uint64_t value) {
  me.atomic(AtomicOp::Store, array, uint32_t(element(place)), value);
}

}  // namespace

void loadBuffering(TestCluster& cluster) {
  const ObjectRef x = cluster.object(0, kLongs, kPlaces), y = cluster.object(1, kLongs, kPlaces);
  cluster.run(1, [&](Mutator& me) {
    const auto walk = [&](uint64_t batch) {
      if (me.number > 1) return;
      const bool first = me.number == 0;
      for (uint64_t i = 0; i < kPlaces; ++i) {
        const bool swapped = i % 2 != 0;  // in turn each loads from its own node and from the other
        saw(cluster, me.number, i, 0) = load(me, first != swapped ? x : y, i);
        store(me, first != swapped ? y : x, i, batch);
      }
    };
    const auto compare = [&](uint64_t batch) {
      for (uint64_t i = 0; i < kPlaces; ++i)
        if (saw(cluster, 0, i, 0) == batch && saw(cluster, 1, i, 0) == batch) me.error("both loads saw a later store");
    };
    inBatches(cluster, me, walk, compare);
  });
}

void independentReads(TestCluster& cluster, uint32_t threads) {
  const ObjectRef x = cluster.object(0, kLongs, kPlaces), y = cluster.object(1, kLongs, kPlaces);
  cluster.run(threads, [&](Mutator& me) {
    const uint32_t all = cluster.mutators();
    const auto walk = [&](uint64_t batch) {
      for (uint64_t i = 0; i < kPlaces; ++i) {
        if (me.number < 2) {
          store(me, me.number == 0 ? x : y, i, batch);
          continue;
        }
        const bool swapped = me.number % 2 != 0;
        saw(cluster, me.number, i, swapped) = load(me, swapped ? y : x, i);
        saw(cluster, me.number, i, !swapped) = load(me, swapped ? x : y, i);
      }
    };
    const auto compare = [&](uint64_t batch) {
      for (uint64_t i = 0; i < kPlaces; ++i) {
        bool onlyX = false, onlyY = false;  // some thread saw x new and then y old, or the other way round
        for (uint32_t t = 2; t < all; ++t) {
          const bool newX = saw(cluster, t, i, 0) == batch, newY = saw(cluster, t, i, 1) == batch;
          if (t % 2 == 0) onlyX = onlyX || (newX && !newY);
          if (t % 2 != 0) onlyY = onlyY || (newY && !newX);
        }
        if (onlyX && onlyY) me.error("two threads saw two stores in different order");
      }
    };
    inBatches(cluster, me, walk, compare);
  });
}

void frozenPublication(TestCluster& cluster, uint32_t threads) {
  constexpr uint64_t kRecords = 1024, kSlots = 32;
  const uint32_t nodes = cluster.options().nodes, all = nodes * threads;
  struct Pair {
    ObjectRef record, part;
  };
  std::vector<Pair> pairs;  // of all threads; where they are homed has nothing to do with who fills them
  for (uint64_t i = 0; i < kRecords; ++i)
    pairs.push_back({cluster.object(uint32_t(i % nodes), kRecord), cluster.object(uint32_t(i / 2 % nodes), kRecord)});
  const ObjectRef slots = cluster.object(nodes - 1, kLongs, kSlots);
  cluster.run(threads, [&](Mutator& me) {
    const auto look = [&] {
      const uint64_t seen = me.read<uint64_t>(slots, element(me.random.below(kSlots)));
      if (seen == 0) return;
      const Pair& pair = pairs[seen - 1];
      for (uint32_t f = 0; f < kRecordFields; f += 3)
        if (me.read<uint64_t>(pair.record, kFirstField + 8 * f) != seen)
          return me.error("a frozen field was not there");
      if (me.read<uint64_t>(pair.part, kFirstField) != seen) me.error("what a frozen record refers to was not there");
    };
    uint64_t looks = 0;
    for (uint64_t i = me.number; i < kRecords; i += all) {
      for (uint32_t f = 0; f < kRecordFields; ++f) me.write<uint64_t>(pairs[i].record, kFirstField + 8 * f, i + 1);
      me.write<uint64_t>(pairs[i].part, kFirstField, i + 1);
      me.freeze(pairs[i].record);
      me.write<uint64_t>(slots, element(i % kSlots), i + 1);
      if (me.random.below(4) == 0) me.release();  // the slots only: nobody acquires it
      for (int n = 0; n < 8; ++n, ++looks) {
        look();
        if (me.random.below(4) == 0) me.acquire();
      }
    }
    me.release();
    for (; !me.timeIsUp(); ++looks) {
      look();
      if (me.random.below(4) == 0) me.acquire();
    }
    me.countOperations(looks);
  });
}

void frozenByTraveller(TestCluster& cluster, uint32_t threads) {
  constexpr uint64_t kRecords = 1024, kSlots = 4, kEnd = UINT64_MAX;
  const uint32_t nodes = cluster.options().nodes;
  std::vector<ObjectRef> records, parts;
  for (uint64_t i = 0; i < kRecords; ++i) {
    records.push_back(cluster.object(uint32_t(i % nodes), kRecord));
    parts.push_back(cluster.object(uint32_t(i % nodes), kRecord));
  }
  const ObjectRef slots = cluster.object(nodes - 1, kLongs, kSlots);
  std::atomic<uint64_t>& step = cluster.shared().scratch[0];  // of the journey: nodes steps a record
  cluster.run(threads, [&](Mutator& me) {
    uint64_t looks = 0;
    const auto look = [&](uint64_t slot) {
      ++looks;
      const uint64_t seen = me.read<uint64_t>(slots, element(slot));
      if (seen == 0) return;
      for (uint32_t f = 0; f < nodes; ++f) {
        if (me.read<uint64_t>(records[seen - 1], kFirstField + 8 * f) != seen)
          return me.error("a field written before the freeze was not there");
        if (me.read<uint64_t>(parts[seen - 1], kFirstField + 8 * f) != seen)
          return me.error("what a frozen record refers to was not there");
      }
    };
    const auto travel = [&](uint64_t i, uint32_t stage) {
      me.acquire();
      for (const ObjectRef object : {records[i], parts[i]}) {
        for (uint32_t f = 0; f < stage; ++f)
          if (me.read<uint64_t>(object, kFirstField + 8 * f) != i + 1) me.error("a traveller lost what it wrote");
        me.write<uint64_t>(object, kFirstField + 8 * stage, i + 1);
      }
      if (stage + 1 == nodes) {
        me.freeze(records[i]);
        me.write<uint64_t>(slots, element(i % kSlots), i + 1);
      }
      look(i % kSlots);  // so that all threads here have the slots as they are now
      me.leave();
    };
    while (me.index == 0) {
      const uint64_t now = step;
      if (now == kEnd) break;
      const uint64_t i = now / nodes;
      const uint32_t stage = uint32_t(now % nodes);
      if ((i + stage) % nodes != me.nodeId) {
        std::this_thread::yield();
        continue;
      }
      const bool over = stage == 0 && (i == kRecords || me.timeIsUp());
      if (!over) travel(i, stage);
      step = over ? kEnd : now + 1;
    }
    while (me.index != 0 && step != kEnd) {
      look(me.random.below(kSlots));
      if (me.random.below(64) == 0) me.acquire();
    }
    me.countOperations(looks);
  });
}

void doubleChecked(TestCluster& cluster, uint32_t threads, bool isVolatile) {
  const uint32_t nodes = cluster.options().nodes;
  const ObjectRef lock = cluster.object(nodes - 1, kRecord);
  const ObjectRef made = cluster.object(0, kLongs, kPlaces);  // by place: the batch in which its record was made
  std::vector<ObjectRef> records;
  for (uint64_t i = 0; i < kPlaces; ++i) records.push_back(cluster.object(uint32_t(i % nodes), kRecord));
  std::atomic<uint64_t>* makers = cluster.shared().scratch + (1 << 15);  // by place: how often it was made
  cluster.run(threads, [&](Mutator& me) {
    const auto isMade = [&](uint64_t i, uint64_t batch) {
      return (isVolatile ? load(me, made, i) : me.read<uint64_t>(made, element(i))) == batch;
    };
    const auto make = [&](uint64_t i, uint64_t batch) {
      for (uint32_t f = 0; f < kRecordFields; f += 2) me.write<uint64_t>(records[i], kFirstField + 8 * f, batch);
      makers[i]++;
      if (isVolatile) return store(me, made, i, batch);
      me.write<uint64_t>(made, element(i), batch);
    };
    const auto walk = [&](uint64_t batch) {
      for (uint64_t n = 0; n < kPlaces; ++n) {
        const uint64_t i = (n + me.number * 7) % kPlaces;
        bool whole = isVolatile;
        if (!isMade(i, batch)) {
          me.lock(lock);
          if (!isMade(i, batch)) make(i, batch);
          me.unlock(lock);
          whole = true;
        }
        for (uint32_t f = 0; f < kRecordFields; f += 2) {
          const uint64_t value = me.read<uint64_t>(records[i], kFirstField + 8 * f);
          if (whole && value != batch) return me.error("what was made under the lock is not whole");
          if (value > batch) return me.error("a value from nowhere");
        }
      }
    };
    const auto compare = [&](uint64_t batch) {
      for (uint64_t i = 0; i < kPlaces; ++i)
        if (makers[i] != batch) me.error("it was made twice, or not at all");
    };
    inBatches(cluster, me, walk, compare);
  });
}

const std::vector<LitmusProgram>& litmusPrograms() {
  static const std::vector<LitmusProgram> programs = {
      {"message_passing", 3, [](TestCluster& c) { messagePassing(c, 2); }},
      {"store_buffering", 2, [](TestCluster& c) { storeBuffering(c); }},
      {"load_buffering", 2, [](TestCluster& c) { loadBuffering(c); }},
      {"independent_reads", 3, [](TestCluster& c) { independentReads(c, 2); }},
      {"locked_counters", 3, [](TestCluster& c) { lockedCounters(c, 2); }},
      {"false_sharing_1", 2, [](TestCluster& c) { falseSharing(c, 2, kBytes); }},
      {"false_sharing_2", 3, [](TestCluster& c) { falseSharing(c, 2, kShorts); }},
      {"false_sharing_4", 2, [](TestCluster& c) { falseSharing(c, 3, kInts); }},
      {"false_sharing_8", 3, [](TestCluster& c) { falseSharing(c, 2, kLongs); }},
      {"chunks_1", 2, [](TestCluster& c) { falseSharing(c, 2, kBytes, 1000); }},
      {"chunks_8", 3, [](TestCluster& c) { falseSharing(c, 2, kLongs, 100); }},
      {"neighbour_bytes", 2, [](TestCluster& c) { neighbourBytes(c); }},
      {"hoisted_checks", 3, [](TestCluster& c) { hoistedChecks(c, 2); }},
      {"hot_objects", 3, [](TestCluster& c) { hotObjects(c, 2); }},
      {"neighbourhood", 3, [](TestCluster& c) { neighbourhood(c, 2); }},
      {"read_sets", 3, [](TestCluster& c) { readSets(c, 2); }},
      {"frozen_publication", 3, [](TestCluster& c) { frozenPublication(c, 2); }},
      {"frozen_by_traveller", 3, [](TestCluster& c) { frozenByTraveller(c, 2); }},
      {"double_checked_volatile", 3, [](TestCluster& c) { doubleChecked(c, 2, true); }},
      {"double_checked_plain", 3, [](TestCluster& c) { doubleChecked(c, 2, false); }},
      {"racy_references", 3, [](TestCluster& c) { racyReferences(c, 2); }},
  };
  return programs;
}

}  // namespace jvmc::cluster::test
