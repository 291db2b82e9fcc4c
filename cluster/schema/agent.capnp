# Clusters started by hand, and the commands that look at running programs.
#
# Roles. An *agent* (`jvmcluster node`) offers its machine: it starts one VM process for each node of a program that is
# placed on it, and knows all other agents. A *launcher* asks an agent for the list, has a VM process started at each,
# and then talks to those directly (launch.capnp). A *command* (ps, nodes, inspect, migrate, stop) talks to an agent, or to the
# control socket of a launcher that runs a program on one machine only: both offer `Control`.
#
# Joining. A new agent calls `join` at the one it was told of, gets the list, and calls `join` at each of the others. Two
# agents keep one connection; when it breaks, each forgets the other.
#
# Leaving. An agent that is told to end (SIGTERM) asks the launchers of its VM processes to drain their nodes first, and ends
# when they have left or its time is up.
#
# Lifetimes. A `VmHandle` keeps a VM process alive: dropping it (or losing the connection) kills the process. A
# `Registration` keeps a program listed; the launcher drops it at the end.
#
# Disconnect. An agent that dies takes its VM processes along (the kernel kills them); each launcher concerned then ends
# its program with an error. Programs that do not use that agent go on.
@0xd3a1c0de5f7b1004;

using Cxx = import "/capnp/c++.capnp";
using Launch = import "launch.capnp";
$Cxx.namespace("jvmc::cluster::schema");

struct ProgramInfo {
  id @0 :Text;
  name @1 :Text;
  state @2 :Text;
  nodes @3 :UInt32;
  threads @4 :UInt32;
  startedUnixMillis @5 :Int64;
  launcherPid @6 :UInt32;
}

struct AgentInfo {
  address @0 :Text;
  pid @1 :UInt32;
  vms @2 :UInt32;
  version @3 :Text;             # of its programs
  unixNanos @4 :Int64;          # its clock when it answered; 0: it did not
  filesMax @5 :UInt64;          # files it and each of its VM processes may have open
}

# Commands. `program` is an id or a unique prefix of one; empty means the only program.
# Failures are exceptions marked with an ErrorCode (cluster/net/error_bridge.h).
interface Control {
  programs @0 () -> (programs :List(ProgramInfo));
  nodes @1 (program :Text) -> (nodes :List(Launch.NodeInfo));
  threads @2 (program :Text) -> (threads :List(Launch.ThreadInfo));
  # Returns when the request has been handed to the thread, or when it is known to be impossible.
  migrate @3 (program :Text, thread :UInt64, node :UInt32) -> ();
  stop @4 (program :Text) -> (id :Text);
  # An agent: the agents of its cluster. A launcher: none.
  agents @5 () -> (agents :List(AgentInfo));
  # Moves homes of blocks from one node to another; returns when they have moved.
  moveBlocks @6 (program :Text, source :UInt32, target :UInt32, bytes :UInt64) -> (moved :Launch.BlocksMoved);
  # A report of each node that answers (VmProcess.inspect).
  inspect @7 (program :Text, classes :UInt32, collect :Bool, countersOnly :Bool) -> (reports :List(Text));
  # Starts a node more for a running program; returns when it takes threads. `agent`: address of the one that is to start
  # it; empty: the launcher chooses.
  grow @8 (program :Text, agent :Text) -> (node :UInt32);
  # Tells a node of a running program to leave, if `begin`; says how far it is. `deadlineNanos`: then it stays; 0: none.
  drain @9 (program :Text, node :UInt32, begin :Bool, deadlineNanos :Int64) -> (drain :Launch.DrainInfo);
  # To a launcher: an agent has joined the cluster. A program that takes a node on each agent grows.
  agentJoined @10 (agent :Text) -> ();
  # Pins a thread where it is, or at `node` if `moves`; or unpins it.
  pin @11 (program :Text, thread :UInt64, pinned :Bool, moves :Bool, node :UInt32) -> ();
  # What the balancer has decided, oldest first.
  decisions @12 (program :Text) -> (policy :Text, dryRun :Bool, decisions :List(Launch.Decision));
  # The answer of each node to VmProcess.observe.
  observe @13 (program :Text, request :Text) -> (reports :List(Text));
}

interface VmHandle {
  # Returns when the process has ended, with the words for it ("killed by signal 9").
  ended @0 () -> (how :Text);
}

interface Registration {}

interface Agent extends(Control) {
  join @0 (address :Text) -> (agents :List(Text));
  startVm @1 (program :Text, node :UInt32) -> (vm :VmHandle, address :Text, pid :UInt32);
  # Lists a program here: its launcher answers for it.
  enlist @2 (program :Text, control :Control) -> (registration :Registration);
  # Programs registered at this agent itself, for other agents.
  localPrograms @3 () -> (programs :List(ProgramInfo));
  describe @4 () -> (agent :AgentInfo);
}
