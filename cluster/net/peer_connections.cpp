#include "cluster/net/peer_connections.h"

#include <algorithm>

#include "cluster/net/call_on.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/tls_stream.h"

namespace jvmc::cluster {

/// What a peer calls.
class PeerConnections::Link final : public schema::NodeLink::Server {
 public:
  explicit Link(uint64_t view) : view_(view) {}
  kj::Promise<void> heartbeat(HeartbeatContext context) override {
    context.getResults().setView(view_);
    return kj::READY_NOW;
  }

 private:
  uint64_t view_;
};

PeerConnections::PeerConnections(IoLoop& loop, SocketNodeNet& net, PeerConnectionsOptions options)
    : loop_(loop), net_(net), options_(std::move(options)) {
  setMembers(options_.nodes);
}

PeerConnections::~PeerConnections() noexcept(false) = default;

void PeerConnections::setMembers(std::span<const NodeId> nodes) {
  const auto isMember = [&](uint32_t id) { return std::find(nodes.begin(), nodes.end(), NodeId(id)) != nodes.end(); };
  std::erase_if(peers_, [&](const auto& peer) { return !isMember(peer.first); });
  for (NodeId node : nodes)
    if (node != net_.self()) peers_.try_emplace(node.value);
  wakeIfComplete();
}

schema::NodeLink::Client PeerConnections::ownLink() {
  return kj::heap<Link>(options_.view);
}

bool PeerConnections::has(NodeId peer, LinkRole role) const {
  const auto found = peers_.find(peer.value);
  return found != peers_.end() && found->second.links[size_t(role)] != LinkState::None;
}

void PeerConnections::addControl(NodeId peer, kj::Own<RpcConnection> connection) {
  if (!expects(peer) || has(peer, LinkRole::Control)) return;
  auto link = connection->peer().castAs<schema::NodeLink>();
  auto watch =
      connection->onDisconnect()
          .then([] { return std::string("the connection was lost"); },
                [](kj::Exception&& exception) { return plainText(exception); })
          .exclusiveJoin(heartbeats(kj::mv(link))
                             .then([] { return std::string(); },
                                   [](kj::Exception&& exception) { return "no heartbeat: " + plainText(exception); }))
          .then([this, peer](std::string reason) { net_.losePeer(peer, std::move(reason)); })
          .eagerlyEvaluate(nullptr);
  Peer& entry = peers_[peer.value];
  entry.connection = kj::mv(connection);
  entry.watch = kj::mv(watch);
  setOpen(peer, LinkRole::Control);
}

void PeerConnections::addData(NodeId peer, DataLink kind, kj::Own<kj::AsyncIoStream> stream) {
  const LinkRole role = kind == DataLink::Small ? LinkRole::Small : LinkRole::Bulk;
  if (!expects(peer) || has(peer, role)) return;
  Transport transport = takeTransport(kj::mv(stream));
  if (transport.fd < 0) return net_.losePeer(peer, "no file descriptor is left");
  Peer& entry = peers_[peer.value];
  entry.links[size_t(role)] = LinkState::Opening;
  entry.opening[size_t(kind)] =
      callOn(net_, loop_, [&net = net_, peer, kind, transport = std::move(transport)]() mutable {
        net.addLink(peer, kind, std::move(transport));
        return Status(Unit{});
      }).then([this, peer, role](Unit) {
          setOpen(peer, role);
        }).eagerlyEvaluate(nullptr);
}

void PeerConnections::setOpen(NodeId peer, LinkRole role) {
  peers_[peer.value].links[size_t(role)] = LinkState::Open;
  wakeIfComplete();
}

void PeerConnections::wakeIfComplete() {
  if (!complete()) return;
  for (auto& fulfiller : awaitingComplete_) fulfiller->fulfill();
  awaitingComplete_.clear();
}

bool PeerConnections::complete() const {
  for (const auto& [id, peer] : peers_)
    for (const LinkState link : peer.links)
      if (link != LinkState::Open) return false;
  return true;
}

kj::Promise<void> PeerConnections::whenComplete() {
  if (complete()) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  awaitingComplete_.push_back(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

kj::Promise<void> PeerConnections::heartbeats(schema::NodeLink::Client link) {
  return loop_.timer().afterDelay(options_.heartbeatNanos * kj::NANOSECONDS).then([this, link]() mutable {
    auto request = link.heartbeatRequest();
    request.setView(options_.view);
    return loop_.timer()
        .timeoutAfter(options_.silenceNanos * kj::NANOSECONDS, request.send().ignoreResult())
        .then([this, link]() mutable { return heartbeats(kj::mv(link)); });
  });
}

}  // namespace jvmc::cluster
