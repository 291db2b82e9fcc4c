# What two nodes of one program say to each other once they have greeted (hello.capnp).
#
# Each pair of nodes has one connection. The node with the larger id calls the one with the smaller; after that both sides
# are alike: each is the other's bootstrap capability and calls it.
#
# Payloads are opaque here. Object space, thread migration, balancer and membership define their own encodings, each
# documented at its codec. Ids of objects, threads and nodes in them are plain numbers that mean the same everywhere:
# no capability is ever passed on to a third node.
#
# Lifetimes. A call lives until its answer or until the connection is lost. There are no other ids.
#
# Order. Two calls may be handled in the order they were sent, but nobody may rely on it.
#
# Disconnect. All calls in flight fail at both sides; whether the peer carried one out is unknown, except that a message
# never arrives twice. In this version the peer is then lost for good and the program ends (launch.capnp, peerLost).
@0xd3a1c0de5f7b1002;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("jvmc::cluster::schema");

interface NodeLink {
  # One message. `channel` is a jvmc::cluster::Channel; `view` the sender's view number: a receiver with a later view
  # refuses. `wantsReply` false: the answer is empty and comes as soon as the message has been handed over.
  exchange @0 (view :UInt64, channel :UInt8, wantsReply :Bool, payload :Data) -> (payload :Data);

  # Says that this side is alive; the answer says the same of the other.
  heartbeat @1 (view :UInt64) -> (view :UInt64);
}
