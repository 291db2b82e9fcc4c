# How a launcher runs a program on VM processes.
#
# Roles. The *launcher* is the process a user started (`jvmcluster run`). It owns stdio, files, arguments and exit code of
# the program; it is no node. A *VM process* is one node of one program. The launcher calls each of them (role launcher)
# and offers `Launcher` as its own bootstrap capability on that connection.
#
# States of a VM process:
#
#     empty --prepare--> preparing --> ready --begin--> running --finish--> finished --> process ends
#       any state --connection to the launcher lost--> process ends at once
#
# A node joins while the program runs: all others are told to expect it (setMembers), then it is prepared, begins, and all
# are told that it is a member. A node leaves:
#
#     setMembers without it as a place    nothing new is sent to it
#     settle at all others                what was on its way to it has arrived
#     evacuate, moveBlocks until nothing is left
#     bequeath; setMembers without it     others know where everything has gone and have nothing more to say to it
#     flush, finish                       what it has passed on has arrived; its process ends
#
# `prepare` returns when the module is verified, the VM stands and all peers are connected, so the launcher sends it to all
# nodes at the same time and calls `begin` when all have answered, on the first node last: that one starts the main thread.
#
# End of the program. The leader (the member with the lowest id) sees that every thread has ended and calls `programEnded`; or a thread calls `exit`,
# which the launcher carries out; or the launcher is told to stop. The launcher then calls `finish` on every node, collects
# the statistics, and closes the connections.
#
# Ids. `program` is made by the launcher, random, and never used again. Thread ids are counter * 1024 + node + 1.
#
# Disconnect. A launcher that is lost ends the program: its VM processes exit. A VM process that is lost ends the program
# with an error that names what was on it.
@0xd3a1c0de5f7b1003;

using Cxx = import "/capnp/c++.capnp";
using Hello = import "hello.capnp";
$Cxx.namespace("jvmc::cluster::schema");

struct StartRequest {
  module @0 :Data;              # a binary module (.irm)
  peers @1 :List(Text);         # address of each node, by id: "unix:PATH" or "HOST:PORT"; empty: none has this id (any more)
  arguments @2 :List(Data);
  mode @3 :Text;                # interp, jit, auto
  workers @4 :UInt32;
  balance @5 :Text;             # policy, as the balancer names it
  plan @6 :Hello.AddressPlan;
  heapBytes @7 :UInt64;         # 0: the default
  captureEvery @8 :UInt64;      # zeal, 0 = off
  migrateEvery @9 :UInt64;
  collectEvery @10 :UInt64;
  outsideEvery @11 :UInt64;
  blocksEvery @12 :UInt64;
  countBarriers @13 :UInt64;
  passSeed @14 :UInt64;         # non-zero: random subsets of passes, another one on each node
  homes @16 :List(Data);        # what nodes have left behind that have gone, oldest first
  elastic @15 :Bool;            # nodes may join later, also if there is only one now
  balanceDryRun @17 :Bool;      # the balancer decides, and does nothing about it
  profile @18 :Text;            # not empty: a profile is taken from the start on (cluster/launch/observer.h)
  perfMap @19 :Bool;            # compiled functions are named to perf (/tmp/perf-PID.map, jit-PID.dump) and GDB
  jitDump @20 :Bool;
  gdb @21 :Bool;
  roundsEvery @22 :UInt64;
  collects @23 :Bool;           # the nodes find garbage together that more than one knew of
  startsHere @24 :Bool;         # new threads begin on the node of their starter
}

# A call of an `outside` native. (thread, number) names it: the launcher carries each out once and repeats its answer
# when it is asked again.
struct OutsideCall {
  thread @0 :UInt64;
  number @1 :UInt64;
  native @2 :Text;
  scalars @3 :List(UInt64);
  bytes @4 :List(Data);
  object @5 :UInt64;  # the Thread object, by which the answer finds the thread
  ticket @6 :UInt64;  # of its wait
}

struct OutsideResult {
  union {
    value @0 :UInt64;
    bytes @1 :Data;
    null @2 :Void;
    ioError @3 :Text;
  }
}

struct ThreadInfo {
  id @0 :UInt64;
  name @1 :Text;
  node @2 :UInt32;
  state @3 :Text;       # new, ready, running, parked
  wait @4 :Text;        # what a parked thread waits for: sleep, monitor, ...
  moves @5 :UInt64;
  cpuNanos @6 :UInt64;
  pinned @7 :Bool;
  cpuShare @8 :Float64;  # of one core, lately
  uses @9 :List(HomeUse);
}

# What a thread uses of other nodes' objects, since it came to its node, and lately.
struct HomeUse {
  home @0 :UInt32;
  requests @1 :UInt64;
  bytes @2 :UInt64;
  requestsPerSecond @3 :Float64;
  bytesPerSecond @4 :Float64;
}

struct NodeInfo {
  node @0 :UInt32;
  pid @1 :UInt32;
  address @2 :Text;
  threads @3 :UInt32;
  cpuNanos @4 :UInt64;   # of the process
  heapBytes @5 :UInt64;  # live after the last collection plus allocated since
  rssBytes @6 :UInt64;
  state @7 :Text;
  workers @8 :UInt32;
  queued @9 :UInt32;               # ready threads without a worker
  workerCpu @10 :List(Float64);    # share of a core that each worker uses, lately
  heapLimitBytes @11 :UInt64;
  copyBytes @12 :UInt64;           # of other nodes' objects
  remoteRequests @13 :Float64;     # a second, lately
  remoteBytes @14 :Float64;
}

struct BlocksMoved {
  bytes @0 :UInt64;
  groups @1 :UInt64;
  revoked @2 :UInt64;
  refusal @3 :Text;
}

struct LeftInfo {
  threads @0 :UInt64;
  incomingBytes @1 :UInt64;
  outsideCalls @2 :UInt64;
}

struct Bequest {
  node @0 :UInt32;
  homes @1 :Data;      # where blocks have moved to (HomeMap::beliefs)
  created @2 :UInt64;  # threads that began there and that ended there, for the census
  ended @3 :UInt64;
  mainEnded @4 :Bool;  # the main thread has ended, as far as it knows, with this exit code
  exitCode @5 :Int32;
}

# What the balancer has decided once.
struct Decision {
  number @0 :UInt64;      # grows with every decision of a node
  node @1 :UInt32;        # who decided
  ageNanos @2 :Int64;
  thread @3 :UInt64;      # 0: blocks
  bytes @4 :UInt64;       # of blocks
  from @5 :UInt32;
  to @6 :UInt32;
  predicted @7 :Float64;  # gain: cores; for blocks that make room, share of the limit
  measured @8 :Float64;
  isMeasured @9 :Bool;
  outcome @10 :Text;      # pending, moved, stayed, unseen, dry-run
  reason @11 :Text;
  times @12 :UInt32;      # decided so often in a row
}

struct DrainInfo {
  state @0 :Text;      # leaving, left, stays
  left @1 :LeftInfo;
  movedBytes @2 :UInt64;
  nanos @3 :Int64;
  reason @4 :Text;     # stays: why
  estimatedNanos @5 :Int64;  # what it will need in all; 0: not known yet
}

interface VmProcess {
  prepare @0 (request :StartRequest) -> ();
  begin @1 () -> ();
  # Ends all guest threads. `stats` is a JSON object, this node's part of --stats.
  finish @2 () -> (stats :Text);
  threads @3 () -> (threads :List(ThreadInfo));
  info @4 () -> (info :NodeInfo);
  # Asks a thread on this node to move. found is false if it is not here.
  migrate @5 (thread :UInt64, target :UInt32) -> (found :Bool);
  # Moves homes of blocks; returns when they have moved.
  moveBlocks @6 (targets :List(UInt32), bytes :UInt64) -> (moved :BlocksMoved);
  # What lies here and what it has cost so far: a JSON object, members as in --stats and `homed`. `classes`: how many of
  # them to list, those with most bytes; `collect`: collect garbage first; `countersOnly`: no object is counted, there is
  # no `homed`.
  inspect @7 (classes :UInt32, collect :Bool, countersOnly :Bool) -> (report :Text);
  # The members from now on, and those of them to which threads and blocks may go. `joining` may call, but are no members
  # yet. `leaver`: what is taken over from the one that is no member any more. Returns when the node has nothing more to
  # say to it. Each change has a number, the view; an older one than the node knows of is refused.
  setMembers @8 (nodes :List(UInt32), places :List(UInt32), joining :List(UInt32), leaver :Bequest, view :UInt64) -> ();
  # Returns when `node` has answered all that it was asked by the time of the call.
  settle @9 (node :UInt32) -> ();
  # Asks all threads on this node to move to other places. `calls`: when no thread is left, what they have asked of the
  # outside from here; the answers do not matter here any more, another node asks again (takeOverCalls).
  evacuate @10 () -> (left :LeftInfo, calls :List(OutsideCall));
  # What a node that has nothing left leaves to the others.
  bequeath @11 () -> (bequest :Bequest);
  # Returns when all other nodes have got what this one has sent them.
  flush @12 () -> ();
  # Pins a thread on this node, at `target` if that is another one, or unpins it.
  pin @13 (thread :UInt64, pinned :Bool, target :UInt32) -> (found :Bool);
  # What this node's balancer has decided as leader, oldest first.
  decisions @14 () -> (decisions :List(Decision));
  # Answers who looks at the running program: JSON objects both (cluster/launch/observer.h).
  observe @15 (request :Text) -> (report :Text);
  # Asks the launcher for the answers to calls that a node that leaves has made, and sends them to the threads, wherever
  # these are.
  takeOverCalls @16 (calls :List(OutsideCall)) -> ();
}

interface Launcher {
  outside @0 (call :OutsideCall) -> (result :OutsideResult);
  # From the leader, once: all threads have ended.
  programEnded @1 (exitCode :Int32) -> ();
  # A thread ended by an exception that nothing handled; `report` goes to stderr.
  uncaught @2 (thread :UInt64, report :Text) -> ();
  # The caller has lost its connection to another node.
  peerLost @3 (node :UInt32, reason :Text) -> ();
  # Sent twice a second: what would be lost with this node.
  alive @4 (node :UInt32, threads :UInt32, names :List(Text)) -> ();
  # The program cannot go on on this node, for a reason other than a lost peer.
  fatal @5 (node :UInt32, reason :Text) -> ();
  # Sent twice a second. Without an answer for some seconds a node on another machine stands still, and after a minute it
  # ends; a launcher that is not asked for some more seconds than that counts the node as lost.
  renewLease @6 () -> ();
}
