#include "cluster/net/rpc_node_net.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cluster/net/error_bridge.h"
#include "cluster/net/limits.h"

namespace jvmc::cluster {

namespace {

Bytes toBytes(capnp::Data::Reader data) {
  return Bytes(data.begin(), data.end());
}

Error droppedUnanswered() {
  return {ErrorCode::kInternal, "the request was dropped without an answer"};
}

}  // namespace

struct RpcNodeNet::Peer {
  kj::Own<RpcConnection> connection;
  schema::NodeLink::Client link;
  kj::Promise<void> watch;  // its end and its heartbeats
};

// ---------------------------------------------------------------- answering

/// Holds a slot of `unanswered_`. May be used and dropped on any thread, also when the net is gone.
class RpcNodeNet::RemoteResponder final : public Responder {
 public:
  RemoteResponder(IoLoop& loop, std::shared_ptr<std::atomic<RpcNodeNet*>> net, uint64_t slot)
      : loop_(loop), net_(std::move(net)), slot_(slot) {}
  ~RemoteResponder() override {
    if (!answered_) finish(droppedUnanswered());
  }
  void reply(Bytes payload) override { finish(std::move(payload)); }
  void fail(Error error) override { finish(std::move(error)); }

 private:
  void finish(Result<Bytes> result) {
    JVMC_CHECK(!answered_, slot_);
    answered_ = true;
    if (!net_->load()) return;
    if (loop_.onLoop()) {
      if (RpcNodeNet* net = net_->load()) net->answer(slot_, std::move(result));
      return;
    }
    loop_.post([net = net_, slot = slot_, result = std::move(result)]() mutable {
      if (RpcNodeNet* alive = net->load()) alive->answer(slot, std::move(result));
    });
  }

  IoLoop& loop_;
  std::shared_ptr<std::atomic<RpcNodeNet*>> net_;
  uint64_t slot_;
  bool answered_ = false;
};

/// For messages to oneself: `done` runs on the loop, in a later turn.
class RpcNodeNet::LocalResponder final : public Responder {
 public:
  LocalResponder(IoLoop& loop, std::function<void(Result<Bytes>)> done) : loop_(loop), done_(std::move(done)) {}
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

  IoLoop& loop_;
  std::function<void(Result<Bytes>)> done_;
};

/// What a peer calls.
class RpcNodeNet::Link final : public schema::NodeLink::Server {
 public:
  Link(std::shared_ptr<std::atomic<RpcNodeNet*>> net, NodeId peer) : net_(std::move(net)), peer_(peer) {}

  kj::Promise<void> exchange(ExchangeContext context) override {
    RpcNodeNet& net = this->net();
    auto params = context.getParams();
    if (params.getView() < net.options_.view)
      return toException({ErrorCode::kRefused,
                          fmt::format("message of view {}, this is view {}", params.getView(), net.options_.view)});
    if (params.getChannel() >= net.handlers_.size())
      return toException({ErrorCode::kInvalidInput, fmt::format("unknown channel {}", params.getChannel())});
    auto channel = Channel(params.getChannel());
    bool wantsReply = params.getWantsReply();
    Bytes payload = toBytes(params.getPayload());
    net.requestsReceived_.fetch_add(1, std::memory_order_relaxed);
    net.bytesReceived_.fetch_add(payload.size(), std::memory_order_relaxed);
    context.releaseParams();

    auto answered = net.handle(peer_, channel, std::move(payload));
    if (!wantsReply) {
      net.loop_.detach(answered.ignoreResult());
      return kj::READY_NOW;
    }
    return answered.then([context](Bytes reply) mutable {
      auto results = context.getResults(capnp::MessageSize{reply.size() / 8 + 8, 0});
      results.setPayload({reply.data(), reply.size()});
    });
  }

  kj::Promise<void> heartbeat(HeartbeatContext context) override {
    context.getResults().setView(net().options_.view);
    return kj::READY_NOW;
  }

 private:
  RpcNodeNet& net() {
    RpcNodeNet* net = net_->load();
    if (!net) kj::throwFatalException(toException({ErrorCode::kUnavailable, "the node is stopping"}));
    return *net;
  }

  std::shared_ptr<std::atomic<RpcNodeNet*>> net_;
  NodeId peer_;
};

// ---------------------------------------------------------------- the net

RpcNodeNet::RpcNodeNet(IoLoop& loop, RpcNodeNetOptions options)
    : loop_(loop), options_(std::move(options)), alive_(std::make_shared<std::atomic<RpcNodeNet*>>(this)) {}

RpcNodeNet::~RpcNodeNet() {
  close();
}

void RpcNodeNet::close() {
  closed_ = true;
  alive_->store(nullptr);
  unanswered_.clear();
  awaitingComplete_.clear();
  peers_.clear();
}

std::vector<NodeId> RpcNodeNet::nodes() const {
  std::vector<NodeId> all;
  for (uint32_t i = 0; i < options_.nodeCount; ++i) all.emplace_back(i);
  return all;
}

NetStats RpcNodeNet::stats() const {
  return {requestsSent_, bytesSent_, requestsReceived_, bytesReceived_};
}

void RpcNodeNet::setHandler(Channel channel, Handler handler) {
  std::lock_guard lock(handlersMutex_);
  handlers_[size_t(channel)] = std::move(handler);
}

NodeNet::Handler RpcNodeNet::handlerOf(Channel channel) {
  std::lock_guard lock(handlersMutex_);
  return handlers_[size_t(channel)];
}

// ---------------------------------------------------------------- peers

schema::NodeLink::Client RpcNodeNet::linkFor(NodeId peer) {
  return kj::heap<Link>(alive_, peer);
}

void RpcNodeNet::addPeer(NodeId peer, kj::Own<RpcConnection> connection) {
  if (closed_ || peers_.count(peer.value)) return;
  auto link = connection->peer().castAs<schema::NodeLink>();
  auto watch =
      connection->onDisconnect()
          .then([] { return std::string("the connection was lost"); },
                [](kj::Exception&& exception) { return plainText(exception); })
          .exclusiveJoin(heartbeats(peer, link)
                             .then([] { return std::string(); },
                                   [](kj::Exception&& exception) { return "no heartbeat: " + plainText(exception); }))
          .then([this, peer](std::string reason) {
            // Not from within the promise that losing the peer destroys.
            loop_.post([alive = alive_, peer, reason = std::move(reason)] {
              if (RpcNodeNet* net = alive->load()) net->losePeer(peer, reason);
            });
          })
          .eagerlyEvaluate(nullptr);
  peers_.emplace(peer.value, kj::heap<Peer>(Peer{kj::mv(connection), kj::mv(link), kj::mv(watch)}));
  if (peers_.size() + 1 < options_.nodeCount) return;
  for (auto& fulfiller : awaitingComplete_) fulfiller->fulfill();
  awaitingComplete_.clear();
}

kj::Promise<void> RpcNodeNet::whenComplete() {
  if (peers_.size() + 1 >= options_.nodeCount) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  awaitingComplete_.push_back(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

kj::Promise<void> RpcNodeNet::heartbeats(NodeId peer, schema::NodeLink::Client link) {
  return loop_.timer().afterDelay(options_.heartbeatNanos * kj::NANOSECONDS).then([this, peer, link]() mutable {
    auto request = link.heartbeatRequest();
    request.setView(options_.view);
    return loop_.timer()
        .timeoutAfter(options_.silenceNanos * kj::NANOSECONDS, request.send().ignoreResult())
        .then([this, peer, link]() mutable { return heartbeats(peer, kj::mv(link)); });
  });
}

void RpcNodeNet::losePeer(NodeId peer, std::string reason) {
  auto found = peers_.find(peer.value);
  if (closed_ || found == peers_.end()) return;
  auto gone = kj::mv(found->second);
  peers_.erase(found);
  if (options_.onPeerLost) options_.onPeerLost(peer, std::move(reason));
}

// ---------------------------------------------------------------- messages

void RpcNodeNet::request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) {
  if (to == options_.self) return sendToSelf(channel, std::move(payload), std::move(done));
  send(to, channel, true, std::move(payload), std::move(done));
}

void RpcNodeNet::notify(NodeId to, Channel channel, Bytes payload) {
  auto ignore = [](Result<Bytes>) {};
  if (to == options_.self) return sendToSelf(channel, std::move(payload), ignore);
  send(to, channel, false, std::move(payload), ignore);
}

void RpcNodeNet::sendToSelf(Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) {
  loop_.post([this, channel, payload = std::move(payload), done = std::move(done), alive = alive_]() mutable {
    auto responder = std::make_shared<LocalResponder>(loop_, std::move(done));
    if (!alive->load()) return responder->fail({ErrorCode::kUnavailable, "the node is stopping"});
    Handler handler = handlerOf(channel);
    if (!handler) return responder->fail({ErrorCode::kUnavailable, "no handler for the channel"});
    handler(options_.self, std::move(payload), std::move(responder));
  });
}

void RpcNodeNet::send(NodeId to, Channel channel, bool wantsReply, Bytes payload,
                      std::function<void(Result<Bytes>)> done) {
  if (!loop_.onLoop()) {
    loop_.post([this, alive = alive_, to, channel, wantsReply, payload = std::move(payload),
                done = std::move(done)]() mutable {
      if (!alive->load()) return done(Error{ErrorCode::kUnavailable, "the node is stopping"});
      send(to, channel, wantsReply, std::move(payload), std::move(done));
    });
    return;
  }
  auto failLater = [&](ErrorCode code, std::string why) {
    loop_.post([done = std::move(done), error = Error{code, std::move(why)}] { done(error); });
  };
  if (payload.size() > kMaxPayloadBytes)
    return failLater(ErrorCode::kRefused, fmt::format("a payload of {} bytes is too large", payload.size()));
  auto found = peers_.find(to.value);
  if (found == peers_.end())
    return failLater(ErrorCode::kUnavailable, fmt::format("node {} is not connected", to.value));

  requestsSent_.fetch_add(1, std::memory_order_relaxed);
  bytesSent_.fetch_add(payload.size(), std::memory_order_relaxed);
  auto call = found->second->link.exchangeRequest(capnp::MessageSize{payload.size() / 8 + 16, 0});
  call.setView(options_.view);
  call.setChannel(uint8_t(channel));
  call.setWantsReply(wantsReply);
  call.setPayload({payload.data(), payload.size()});
  auto sharedDone = std::make_shared<std::function<void(Result<Bytes>)>>(std::move(done));
  loop_.detach(call.send().then(
      [sharedDone](capnp::Response<schema::NodeLink::ExchangeResults> response) {
        (*sharedDone)(toBytes(response.getPayload()));
      },
      [sharedDone, to](kj::Exception&& exception) {
        (*sharedDone)(toError(exception).withContext(fmt::format("node {}", to.value)));
      }));
}

kj::Promise<Bytes> RpcNodeNet::handle(NodeId from, Channel channel, Bytes payload) {
  Handler handler = handlerOf(channel);
  if (!handler) return toException({ErrorCode::kUnavailable, "no handler for the channel"});
  uint64_t slot = nextSlot_++;
  auto paf = kj::newPromiseAndFulfiller<Bytes>();
  unanswered_.emplace(slot, kj::mv(paf.fulfiller));
  handler(from, std::move(payload), std::make_shared<RemoteResponder>(loop_, alive_, slot));
  return kj::mv(paf.promise);
}

void RpcNodeNet::answer(uint64_t slot, Result<Bytes> result) {
  auto found = unanswered_.find(slot);
  if (found == unanswered_.end()) return;
  auto fulfiller = kj::mv(found->second);
  unanswered_.erase(found);
  if (!result.ok()) return fulfiller->reject(toException(result.error()));
  if (result->size() > kMaxPayloadBytes)
    return fulfiller->reject(
        toException({ErrorCode::kRefused, fmt::format("an answer of {} bytes is too large", result->size())}));
  fulfiller->fulfill(std::move(*result));
}

}  // namespace jvmc::cluster
