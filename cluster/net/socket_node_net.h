// NodeNet over sockets: the data plane between the nodes of a program. Two connections lead to each peer, so that large
// payloads delay no small message: the small link and the bulk link (message_link.h). The frames are in
// message_frame.h; who makes and greets the connections is in peer_connections.h.
//
//   worker thread          I/O thread (MessageLoop)           peer's I/O thread
//   request() --write()--------------------------------->  handler(responder)  ... later, any thread:
//                          done(result)  <-----------------  responder.reply()
//
// What bounds the memory that messages take is told in peer_exchange.h. Handlers, completions, posted tasks and timers
// all run on the one I/O thread.
//
// A peer is lost when one of its connections breaks, sends nonsense, or somebody says so (heartbeats). It is lost for
// good: both connections close, its requests fail, the owner is told once.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cluster/net/message_loop.h"
#include "cluster/net/node_net.h"
#include "cluster/net/peer_exchange.h"

namespace jvmc::cluster {

struct SocketNodeNetOptions {
  NodeId self{0};
  std::vector<NodeId> nodes{NodeId(0)};                        ///< at first; ascending, `self` included
  uint32_t view = 1;                                           ///< number of the view these nodes form
  std::function<void(NodeId, std::string reason)> onPeerLost;  ///< on the I/O thread, once for each peer
};

class SocketNodeNet final : public NodeNet, private ExchangeOwner {
 public:
  /// `loop` must be started, and outlive this and every responder.
  SocketNodeNet(MessageLoop& loop, SocketNodeNetOptions options);
  /// Closes.
  ~SocketNodeNet() override;

  NodeId self() const override { return options_.self; }
  std::vector<NodeId> nodes() const override;
  std::vector<NodeId> places() const override;
  void request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) override;
  void reuse(Bytes payload) override { loop_.spare().give(std::move(payload)); }
  void requestInPieces(NodeId to, Channel channel, Payload payload, std::function<void(Result<Bytes>)> done) override;
  void notify(NodeId to, Channel channel, Bytes payload) override;
  void setHandler(Channel channel, Handler handler) override;
  void post(std::function<void()> task) override { loop_.post(std::move(task)); }
  void postAfter(int64_t nanos, std::function<void()> task) override { loop_.postAfter(nanos, std::move(task)); }
  uint64_t asked(NodeId node) const override;
  bool answered(NodeId node, uint64_t count) const override;
  NetStats stats() const override;

  // -- any thread but one that holds what a handler waits for
  /// Takes a greeted connection to `peer`. It is closed if there is one already or the peer is lost.
  void addLink(NodeId peer, DataLink kind, Transport transport);
  /// Does nothing if the peer is lost already.
  void losePeer(NodeId peer, std::string reason);
  /// The members from now on, and those of them to which threads and blocks may go, both ascending. To nodes that are
  /// no members any more one may go on talking; when their connections close, they do not count as lost.
  void setMembers(std::vector<NodeId> nodes, std::vector<NodeId> places);
  /// Closes all connections; no peer counts as lost by that. Requests without an answer fail.
  void close();

 private:
  class RemoteResponder;
  class LocalResponder;
  class IgnoringResponder;

  void sendToSelf(Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done);
  void onRequest(NodeId from, Frame frame) override;
  void onNotify(NodeId from, Frame frame) override;
  void onBroken(NodeId peer, std::string why) override;
  void deliver(NodeId from, Channel channel, Bytes payload, std::shared_ptr<Responder> responder);
  PeerExchange* peerOf(NodeId node) const {
    return node.index() < peers_.size() ? peers_[node.index()].get() : nullptr;
  }

  MessageLoop& loop_;
  const SocketNodeNetOptions options_;
  std::array<std::shared_ptr<PeerExchange>, rt::kNodesMax> peers_;  // by node; none for this one
  const std::shared_ptr<Responder> ignoring_;                       // for notifications

  mutable std::mutex membersMutex_;
  std::vector<NodeId> nodes_, places_;  // guarded by membersMutex_

  mutable std::mutex selfMutex_;
  uint64_t askedSelf_ = 0;             // guarded by selfMutex_
  std::set<uint64_t> selfUnanswered_;  // likewise

  std::mutex handlersMutex_;
  std::array<Handler, kChannels> handlers_;  // guarded by handlersMutex_
  std::atomic<uint64_t> handlersVersion_{1};

  // On the loop only.
  std::array<Handler, kChannels> knownHandlers_;  // as of knownVersion_
  uint64_t knownVersion_ = 0;
  const std::shared_ptr<bool> alive_;  // false after close()
};

}  // namespace jvmc::cluster
