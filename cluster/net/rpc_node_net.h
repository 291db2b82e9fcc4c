// NodeNet over Cap'n Proto RPC: one connection for each pair of nodes (schema/node.capnp).
//
//   worker thread            I/O loop                        peer's I/O loop              any thread of the peer
//   request() --post--> exchange call ---------------------> handler(responder) ... later: responder.reply()
//                       done(result)  <--------------------- answer              <--post--
//
// A peer whose connection breaks, or that does not answer heartbeats, is lost for good: its calls fail, and the owner
// is told once.
#pragma once

#include <capnp/capability.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/net/node_net.h"
#include "cluster/net/rpc_connection.h"
#include "schema/node.capnp.h"

namespace jvmc::cluster {

struct RpcNodeNetOptions {
  NodeId self{0};
  uint32_t nodeCount = 1;
  uint64_t view = 1;                                           ///< number of the view these nodes form
  int64_t heartbeatNanos = 1'000'000'000;                      ///< between two heartbeats
  int64_t silenceNanos = 20'000'000'000;                       ///< a peer that has not answered for so long is lost
  std::function<void(NodeId, std::string reason)> onPeerLost;  ///< on the loop, once for each peer
};

struct NetStats {
  uint64_t requestsSent = 0, bytesSent = 0;  ///< to other nodes, notifications included
  uint64_t requestsReceived = 0, bytesReceived = 0;
};

class RpcNodeNet final : public NodeNet {
 public:
  RpcNodeNet(IoLoop& loop, RpcNodeNetOptions options);
  /// On the loop, or after it has stopped.
  ~RpcNodeNet() override;

  NodeId self() const override { return options_.self; }
  std::vector<NodeId> nodes() const override;
  void request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) override;
  void notify(NodeId to, Channel channel, Bytes payload) override;
  void setHandler(Channel channel, Handler handler) override;
  void post(std::function<void()> task) override { loop_.post(std::move(task)); }
  void postAfter(int64_t nanos, std::function<void()> task) override { loop_.postAfter(nanos, std::move(task)); }

  // -- on the loop
  /// Our side of the link to `peer`, to be its bootstrap capability.
  schema::NodeLink::Client linkFor(NodeId peer);
  /// A greeted connection. Refused (dropped) if there is one already.
  void addPeer(NodeId peer, kj::Own<RpcConnection> connection);
  bool isConnected(NodeId peer) const { return peers_.count(peer.value) > 0; }
  /// Completes when all nodes of the view are connected.
  kj::Promise<void> whenComplete();
  /// Closes all connections; no peer counts as lost by that.
  void close();

  NetStats stats() const;

 private:
  struct Peer;
  class Link;
  class LocalResponder;
  class RemoteResponder;
  friend class Link;

  void send(NodeId to, Channel channel, bool wantsReply, Bytes payload, std::function<void(Result<Bytes>)> done);
  void sendToSelf(Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done);
  kj::Promise<Bytes> handle(NodeId from, Channel channel, Bytes payload);
  void answer(uint64_t slot, Result<Bytes> result);
  Handler handlerOf(Channel channel);
  kj::Promise<void> heartbeats(NodeId peer, schema::NodeLink::Client link);
  void losePeer(NodeId peer, std::string reason);

  IoLoop& loop_;
  RpcNodeNetOptions options_;
  std::mutex handlersMutex_;
  std::array<Handler, 3> handlers_;

  // On the loop only.
  std::map<uint32_t, kj::Own<Peer>> peers_;
  std::map<uint64_t, kj::Own<kj::PromiseFulfiller<Bytes>>> unanswered_;  // by slot: requests that a responder holds
  uint64_t nextSlot_ = 0;
  bool closed_ = false;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> awaitingComplete_;

  /// Responders outlive us: they look here first. Cleared on the loop.
  std::shared_ptr<std::atomic<RpcNodeNet*>> alive_;
  std::atomic<uint64_t> requestsSent_{0}, bytesSent_{0}, requestsReceived_{0}, bytesReceived_{0};
};

}  // namespace jvmc::cluster
