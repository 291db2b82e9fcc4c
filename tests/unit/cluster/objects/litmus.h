// Litmus programs for the memory model, after findings of the design study: each runs on forked nodes until its time is
// up, reports what must not happen as an error, and is used twice: with the protocol as it is (litmus_test.cpp) and
// with one rule switched off (mutation_test.cpp), where it has to find errors.
#pragma once

#include "tests/unit/cluster/support/test_cluster.h"

namespace jvmc::cluster::test {

/// One writer fills objects on all nodes, then sets a volatile flag; a reader that has seen the flag must see all of
/// it. Everybody else fetches the same objects and acquires all the time.
void messagePassing(TestCluster& cluster, uint32_t threads);

/// x and y are volatiles at two homes: x=1; r1=y | y=1; r2=x. Not both may read the old value.
void storeBuffering(TestCluster& cluster);

/// Three counters with different homes, always equal under one lock; their sum must come out exact.
/// `pauseMicrosMax`: threads wait up to so long between two rounds.
void lockedCounters(TestCluster& cluster, uint32_t threads, uint32_t pauseMicrosMax = 0);

/// Each thread owns some elements of one array and must read what it wrote, whatever the others do to the neighbours;
/// after each round, all must see all. `type` is an array of 1, 2, 4 or 8-byte elements.
/// `spread`: distance of the elements that are used; some chunks of a large array, if it is great.
void falseSharing(TestCluster& cluster, uint32_t threads, TestClass type, uint32_t spread = 1);

/// The home changes bytes in place while a writer elsewhere stores to their neighbours and a third thread refreshes.
void neighbourBytes(TestCluster& cluster);

/// Each thread stores to its own words after it has read an object that is often stale, with both checks made before:
/// so it waits for a fetch while it relies on the check of what it will store to; now and then it allocates as well.
/// Nothing it stored may vanish.
void hoistedChecks(TestCluster& cluster, uint32_t threads);

/// Each thread reads words that never change, after another object that is often stale, with both checks made before:
/// so it waits for a fetch while it relies on the check of what it will read; now and then it allocates as well. It
/// must read what was written.
void hoistedReads(TestCluster& cluster, uint32_t threads);

/// Records that come along whenever the array that refers to them is fetched, while threads store to fields of their
/// own in them. Nothing a thread stored may vanish.
void neighbourhood(TestCluster& cluster, uint32_t threads);

/// Nodes take turns at objects that one of them uses much and the others hardly ever: each thread stores to words of
/// its own in them, now and then with a check made before a wait, and tells by a volatile word in them what it has
/// written to an object with another home. Nothing it stored may vanish, and whoever sees the volatile word sees the
/// other object. At most 8 threads.
void hotObjects(TestCluster& cluster, uint32_t threads);

/// x and y are volatiles at two homes: r1=x; y=1 | r2=y; x=1. Not both may read the new value.
void loadBuffering(TestCluster& cluster);

/// Two threads store to a volatile each, at two homes; all others load both, some in the one order and some in the
/// other. No two of them may disagree about which store came first. At least 4 threads in all.
void independentReads(TestCluster& cluster, uint32_t threads);

/// Records are filled, frozen and then published by a plain store, at home or elsewhere; whoever reads a reference sees
/// what was written to the record and to what it refers to, without synchronising.
void frozenPublication(TestCluster& cluster, uint32_t threads);

/// As before, but who makes a record goes from node to node meanwhile, and reads on its way what it has made so far.
void frozenByTraveller(TestCluster& cluster, uint32_t threads);

/// Double-checked locking: whoever finds nothing takes the lock, looks again and makes it, once. With a volatile
/// reference everyone sees what was made whole. With a plain one a thread that does not take the lock may see it as it
/// was before, in part too, but nothing that was never written; and it is still made once.
void doubleChecked(TestCluster& cluster, uint32_t threads, bool isVolatile);

/// Threads read the same records again and again, so that these are asked for together, and store to fields of their
/// own in them. Nothing a thread stored may vanish.
void readSets(TestCluster& cluster, uint32_t threads);

/// Unsynchronised references: each read must give a reference that somebody wrote, never a mixture.
void racyReferences(TestCluster& cluster, uint32_t threads);

struct LitmusProgram {
  const char* name;
  uint32_t nodes;
  std::function<void(TestCluster&)> run;
};
/// All of the above, as coherence_litmus runs them.
const std::vector<LitmusProgram>& litmusPrograms();

}  // namespace jvmc::cluster::test
