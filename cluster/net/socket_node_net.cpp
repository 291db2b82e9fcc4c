#include "cluster/net/socket_node_net.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "ir/support/check.h"

namespace jvmc::cluster {

namespace {

Error droppedUnanswered() {
  return {ErrorCode::kInternal, "the request was dropped without an answer"};
}

Error stopping() {
  return {ErrorCode::kUnavailable, "the node is stopping"};
}

}  // namespace

// ---------------------------------------------------------------- answering

/// May be used and dropped on any thread, also when the net is gone.
class SocketNodeNet::RemoteResponder final : public Responder {
 public:
  RemoteResponder(std::shared_ptr<PeerExchange> peer, Channel channel, uint64_t id)
      : peer_(std::move(peer)), channel_(channel), id_(id) {}
  ~RemoteResponder() override {
    if (!answered_) finish(droppedUnanswered());
  }
  void reply(Bytes payload) override { finish(std::move(payload)); }
  void fail(Error error) override { finish(std::move(error)); }

 private:
  void finish(Result<Bytes> result) {
    JVMC_CHECK(!answered_, id_);
    answered_ = true;
    peer_->answer(channel_, id_, std::move(result));
  }

  std::shared_ptr<PeerExchange> peer_;
  Channel channel_;
  uint64_t id_;
  bool answered_ = false;
};

/// For messages to oneself: `done` runs on the loop, in a later turn.
class SocketNodeNet::LocalResponder final : public Responder {
 public:
  LocalResponder(MessageLoop& loop, std::function<void(Result<Bytes>)> done) : loop_(loop), done_(std::move(done)) {}
  ~LocalResponder() override {
    if (done_) finish(droppedUnanswered());
  }
  void reply(Bytes payload) override { finish(std::move(payload)); }
  void fail(Error error) override { finish(std::move(error)); }

 private:
  void finish(Result<Bytes> result) {
    JVMC_CHECK(done_ != nullptr);
    loop_.post([done = std::move(done_), result = std::move(result)]() mutable { done(std::move(result)); });
    done_ = nullptr;
  }

  MessageLoop& loop_;
  std::function<void(Result<Bytes>)> done_;
};

/// For notifications.
class SocketNodeNet::IgnoringResponder final : public Responder {
  void reply(Bytes) override {}
  void fail(Error) override {}
};

// ---------------------------------------------------------------- peers

SocketNodeNet::SocketNodeNet(MessageLoop& loop, SocketNodeNetOptions options)
    : loop_(loop),
      options_(std::move(options)),
      ignoring_(std::make_shared<IgnoringResponder>()),
      alive_(std::make_shared<bool>(true)) {
  // For all that may ever join: whoever sends needs no lock to find one.
  ExchangeOwner& owner = *this;
  for (NodeId peer(0); peer.value < rt::kNodesMax; ++peer.value)
    if (peer != options_.self) peers_[peer.index()] = std::make_shared<PeerExchange>(loop, peer, options_.view, owner);
  nodes_ = places_ = options_.nodes;
}

SocketNodeNet::~SocketNodeNet() {
  close();
}

void SocketNodeNet::close() {
  loop_.runSync([this] {
    if (!*alive_) return;
    *alive_ = false;
    for (auto& peer : peers_)
      if (peer) peer->end(stopping());
  });
}

std::vector<NodeId> SocketNodeNet::nodes() const {
  std::lock_guard lock(membersMutex_);
  return nodes_;
}

std::vector<NodeId> SocketNodeNet::places() const {
  std::lock_guard lock(membersMutex_);
  return places_;
}

void SocketNodeNet::setMembers(std::vector<NodeId> nodes, std::vector<NodeId> places) {
  std::lock_guard lock(membersMutex_);
  nodes_ = std::move(nodes);
  places_ = std::move(places);
}

uint64_t SocketNodeNet::asked(NodeId peer) const {
  if (peer == options_.self) {
    std::lock_guard lock(selfMutex_);
    return askedSelf_;
  }
  const PeerExchange* exchange = peerOf(peer);
  return exchange ? exchange->asked() : 0;
}

bool SocketNodeNet::answered(NodeId peer, uint64_t count) const {
  if (peer == options_.self) {
    std::lock_guard lock(selfMutex_);
    return selfUnanswered_.empty() || *selfUnanswered_.begin() >= count;
  }
  const PeerExchange* exchange = peerOf(peer);
  return !exchange || exchange->answered(count);
}

NetStats SocketNodeNet::stats() const {
  NetStats sum;
  for (const auto& peer : peers_) {
    if (!peer) continue;
    const NetStats part = peer->stats();
    for (size_t i = 0; i < kChannels; ++i) {
      sum.channels[i].messagesSent += part.channels[i].messagesSent;
      sum.channels[i].bytesSent += part.channels[i].bytesSent;
      sum.channels[i].messagesReceived += part.channels[i].messagesReceived;
      sum.channels[i].bytesReceived += part.channels[i].bytesReceived;
    }
  }
  return sum;
}

void SocketNodeNet::addLink(NodeId peer, DataLink kind, Transport transport) {
  PeerExchange* exchange = peerOf(peer);
  if (!exchange) {
    ::close(transport.fd);
    return;
  }
  loop_.runSync([&] { exchange->addLink(kind, std::move(transport)); });
}

void SocketNodeNet::losePeer(NodeId peer, std::string reason) {
  loop_.post([this, alive = alive_, peer, reason = std::move(reason)]() mutable {
    if (*alive && peerOf(peer)) onBroken(peer, std::move(reason));
  });
}

void SocketNodeNet::onBroken(NodeId peer, std::string why) {
  const Error lost{ErrorCode::kUnavailable, fmt::format("node {} is lost: {}", peer.value, why)};
  if (peerOf(peer)->end(lost) && isMember(peer) && options_.onPeerLost) options_.onPeerLost(peer, std::move(why));
}

// ---------------------------------------------------------------- messages out

void SocketNodeNet::request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) {
  if (to == options_.self) return sendToSelf(channel, std::move(payload), std::move(done));
  if (PeerExchange* peer = peerOf(to)) return peer->ask(channel, std::move(payload), std::move(done));
  loop_.post([to, done = std::move(done)] {
    done(Error{ErrorCode::kUnavailable, fmt::format("there is no node {}", to.value)});
  });
}

void SocketNodeNet::requestInPieces(NodeId to, Channel channel, Payload payload,
                                    std::function<void(Result<Bytes>)> done) {
  PeerExchange* peer = peerOf(to);
  if (to == options_.self || !peer) return NodeNet::requestInPieces(to, channel, std::move(payload), std::move(done));
  peer->ask(channel, std::move(payload), std::move(done));
}

void SocketNodeNet::notify(NodeId to, Channel channel, Bytes payload) {
  if (to == options_.self) return sendToSelf(channel, std::move(payload), [](Result<Bytes>) {});
  if (PeerExchange* peer = peerOf(to)) peer->notify(channel, std::move(payload));
}

void SocketNodeNet::sendToSelf(Channel channel, Bytes payload, std::function<void(Result<Bytes>)> then) {
  std::unique_lock lock(selfMutex_);
  const uint64_t number = askedSelf_++;
  selfUnanswered_.insert(number);
  lock.unlock();
  auto done = [this, number, then = std::move(then), alive = alive_](Result<Bytes> result) {
    then(std::move(result));
    if (!*alive) return;
    std::lock_guard inner(selfMutex_);
    selfUnanswered_.erase(number);
  };
  loop_.post([this, channel, payload = std::move(payload), done = std::move(done), alive = alive_]() mutable {
    auto responder = std::make_shared<LocalResponder>(loop_, std::move(done));
    if (!*alive) return responder->fail(stopping());
    deliver(options_.self, channel, std::move(payload), std::move(responder));
  });
}

// ---------------------------------------------------------------- messages in

void SocketNodeNet::setHandler(Channel channel, Handler handler) {
  std::lock_guard lock(handlersMutex_);
  handlers_[size_t(channel)] = std::move(handler);
  handlersVersion_.fetch_add(1, std::memory_order_release);
}

void SocketNodeNet::onRequest(NodeId from, Frame frame) {
  const FrameHeader header = frame.header;
  auto responder = std::make_shared<RemoteResponder>(peers_[from.index()], header.channel, header.id);
  if (header.view < options_.view)
    return responder->fail(
        {ErrorCode::kRefused, fmt::format("message of view {}, this is view {}", header.view, options_.view)});
  deliver(from, header.channel, std::move(frame.payload), std::move(responder));
}

void SocketNodeNet::onNotify(NodeId from, Frame frame) {
  if (frame.header.view < options_.view) return;
  deliver(from, frame.header.channel, std::move(frame.payload), ignoring_);
}

void SocketNodeNet::deliver(NodeId from, Channel channel, Bytes payload, std::shared_ptr<Responder> responder) {
  if (knownVersion_ != handlersVersion_.load(std::memory_order_acquire)) {
    std::lock_guard lock(handlersMutex_);
    knownVersion_ = handlersVersion_.load(std::memory_order_relaxed);
    knownHandlers_ = handlers_;
  }
  const Handler& handler = knownHandlers_[size_t(channel)];
  if (!handler) return responder->fail({ErrorCode::kUnavailable, "no handler for the channel"});
  handler(from, std::move(payload), std::move(responder));
}

}  // namespace jvmc::cluster
