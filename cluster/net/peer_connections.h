// The connections of a node to its peers, on the KJ loop: three for each pair, all called by the node with the larger
// id and greeted alike (schema/hello.capnp). The control connection speaks Cap'n Proto RPC and carries heartbeats; the
// small and the bulk link are handed over to the data plane (socket_node_net.h) as soon as they are greeted.
//
// This side notices a peer that falls silent although its sockets live.
#pragma once

#include <capnp/capability.h>

#include <array>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "cluster/net/rpc_connection.h"
#include "cluster/net/socket_node_net.h"
#include "schema/node.capnp.h"

namespace jvmc::cluster {

struct PeerConnectionsOptions {
  std::vector<NodeId> nodes;  ///< at first; may name this one
  uint64_t view = 1;
  int64_t heartbeatNanos = 1'000'000'000;  ///< between two heartbeats
  int64_t silenceNanos = 30'000'000'000;   ///< a peer that has not answered for so long is lost
};

/// Lives on the KJ loop.
class PeerConnections {
 public:
  PeerConnections(IoLoop& loop, SocketNodeNet& net, PeerConnectionsOptions options);
  ~PeerConnections() noexcept(false);

  /// Our side of the control connection to a peer, to be its bootstrap capability.
  schema::NodeLink::Client ownLink();
  /// Greeted connections. One that is there already is dropped.
  void addControl(NodeId peer, kj::Own<RpcConnection> connection);
  void addData(NodeId peer, DataLink kind, kj::Own<kj::AsyncIoStream> stream);
  bool has(NodeId peer, LinkRole role) const;
  /// The members from now on. Connections to others close, without anybody being lost.
  void setMembers(std::span<const NodeId> nodes);
  bool expects(NodeId peer) const { return peers_.contains(peer.value); }
  /// Completes when all connections to all members are there.
  kj::Promise<void> whenComplete();

 private:
  static constexpr size_t kLinks = 1 + kDataLinks;
  enum class LinkState : uint8_t { None, Opening, Open };
  struct Peer {
    std::array<LinkState, kLinks> links{};  // by LinkRole
    std::array<kj::Promise<void>, kDataLinks> opening{nullptr, nullptr};
    kj::Own<RpcConnection> connection;
    kj::Promise<void> watch = nullptr;  // its end and its heartbeats
  };
  class Link;

  void setOpen(NodeId peer, LinkRole role);
  void wakeIfComplete();
  bool complete() const;
  kj::Promise<void> heartbeats(schema::NodeLink::Client link);

  IoLoop& loop_;
  SocketNodeNet& net_;
  const PeerConnectionsOptions options_;
  std::map<uint32_t, Peer> peers_;  // all members but this one
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> awaitingComplete_;
};

}  // namespace jvmc::cluster
