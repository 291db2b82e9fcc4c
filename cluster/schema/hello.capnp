# The first words on every connection: who are you, and do you know the cluster key?
#
# Roles. The *acceptor* listens (a VM process, an agent, a launcher's control socket); the *caller* connected to it. Nothing
# but these three messages is understood before the caller is known: the RPC layer sees no byte of a stranger.
#
#     caller                                   acceptor
#        |  <--------------- Challenge ------------ |      a fresh nonce; sent at once
#        |  ---------------- Hello ---------------> |      who, for which program; body proved with the key
#        |  <--------------- Welcome -------------- |      ok and the acceptor's own proof, or a refusal in words
#        |  <======== Cap'n Proto RPC, both ways ======> |      or frames (docs/reference/wire.md), on a data link
#
# Framing. Each message stands alone: the four bytes "JVMC", its length in bytes as a little-endian u32 (a multiple of 8, at
# most 4096), then one flat Cap'n Proto message. Anything else ends the connection with one log line at the acceptor.
#
# States of the acceptor: awaiting Hello (at most 5 s, at most 64 connections at a time) -> admitted | refused (closed after
# the Welcome has been written). A caller that disappears in between leaves nothing behind.
#
# Proofs. proof(Hello)   = HMAC-SHA256(key, "jvmcluster hello 1"   | Challenge.nonce | Hello.body)
#         proof(Welcome) = HMAC-SHA256(key, "jvmcluster welcome 1" | Challenge.nonce | HelloBody.nonce)
# Both nonces are 32 random bytes, so neither proof can be replayed or reflected. The key never travels.
#
# Versions. `version` names this whole wire format. It is looked at before anything else of a message; an acceptor that
# knows another one says so in a refusal. Within a version, fields and methods are only added.
@0xd3a1c0de5f7b1001;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("jvmc::cluster::schema");

struct Challenge {
  version @0 :UInt32;
  nonce @1 :Data;
}

struct Hello {
  version @0 :UInt32;
  body @1 :Data;    # a flat message with a HelloBody as root: exactly the bytes that are proved
  proof @2 :Data;
}

enum Role {
  launcher @0;  # to a VM process: owns the program
  node @1;      # to a VM process: a peer of the same program
  agent @2;     # to an agent: another agent of the cluster
  command @3;   # to an agent or a launcher: run --cluster, ps, nodes, migrate, stop
}

struct HelloBody {
  nonce @0 :Data;
  role @1 :Role;
  program @2 :Text;       # id of the program; empty when talking to an agent
  node @3 :UInt32;        # role node: the caller's id in the program
  moduleHash @4 :Data;    # role node: must agree; XXH3-128 of the module's bytes
  plan @5 :AddressPlan;   # role node: must agree
  view @6 :UInt64;        # role node: number of the caller's view
  link @7 :LinkRole;      # role node: what this connection is for
}

enum LinkRole {
  control @0;  # RPC (node.capnp)
  small @1;    # frames with payloads of at most 64 KiB
  bulk @2;     # frames with larger payloads
}

struct AddressPlan {
  base @0 :UInt64;
  regionShift @1 :UInt32;
  regionCount @2 :UInt32;
}

struct Welcome {
  version @0 :UInt32;
  accepted @1 :Bool;
  reason @2 :Text;   # of a refusal, for people
  proof @3 :Data;    # of an acceptance
}
