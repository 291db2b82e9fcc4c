# What two nodes of one program say to each other once they have greeted (hello.capnp).
#
# Each pair of nodes has three connections. The node with the larger id calls the one with the smaller, the control
# connection first; after that both sides are alike. This interface is spoken on the control connection, where each side
# is the other's bootstrap capability. The other two are data links: they carry the messages of object space, thread
# migration, balancer and membership as frames of their own (docs/reference/wire.md), without RPC.
#
# Disconnect. If one of the three breaks, the peer is lost for good: requests without an answer fail at both sides; whether
# the peer carried one out is unknown, except that a message never arrives twice. In this version the program then ends
# (launch.capnp, peerLost).
@0xd3a1c0de5f7b1002;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("jvmc::cluster::schema");

interface NodeLink {
  # Says that this side is alive; the answer says the same of the other.
  heartbeat @0 (view :UInt64) -> (view :UInt64);
}
