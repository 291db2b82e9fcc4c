#include "cluster/net/rpc_connection.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cstring>

#include "cluster/net/buffered_stream.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/limits.h"

namespace jvmc::cluster {

namespace {

using capnp::rpc::twoparty::Side;

/// Readers may look at a payload twice (once to check, once to copy); the frame check bounds the message itself.
capnp::ReaderOptions readerOptions() {
  return {kMaxMessageBytes / sizeof(capnp::word) * 3, 32};
}

kj::Promise<kj::Own<kj::AsyncIoStream>> connectTo(IoLoop& loop, const Address& address) {
  auto& network = loop.io().provider->getNetwork();
  std::string text = address.isUnix ? "unix:" + address.path : address.text();
  return network.parseAddress(text.c_str(), address.port).then([](kj::Own<kj::NetworkAddress> parsed) {
    auto connected = parsed->connect();
    return connected.attach(kj::mv(parsed));
  });
}

}  // namespace

kj::Own<kj::AsyncIoStream> tuned(kj::Own<kj::AsyncIoStream> stream) {
  KJ_IF_MAYBE (fd, stream->getFd()) {
    int one = 1;  // fails on Unix sockets, which need no such thing
    (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  return stream;
}

RpcConnection::RpcConnection(kj::Own<kj::AsyncIoStream> greeted, Side side, capnp::Capability::Client own)
    : stream_(kj::heap<BufferedStream>(kj::mv(greeted), kMaxMessageBytes)),
      network_(*stream_, side, readerOptions()),
      rpc_(capnp::makeRpcServer(network_, kj::mv(own))),
      side_(side),
      disconnected_(network_.onDisconnect().fork()) {}

capnp::Capability::Client RpcConnection::peer() {
  capnp::MallocMessageBuilder message;
  auto vat = message.initRoot<capnp::rpc::twoparty::VatId>();
  vat.setSide(side_ == Side::CLIENT ? Side::SERVER : Side::CLIENT);
  return rpc_.bootstrap(vat);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> callStream(IoLoop& loop, Address address, ClusterKey key, HelloInfo self) {
  return connectTo(loop, address)
      .then([&loop, key, self = std::move(self)](kj::Own<kj::AsyncIoStream> raw) mutable {
        auto stream = tuned(kj::mv(raw));
        auto greeted = loop.timer().timeoutAfter(kHelloNanos * kj::NANOSECONDS, greet(*stream, key, std::move(self)));
        return greeted.then([stream = kj::mv(stream)]() mutable { return kj::mv(stream); });
      })
      .catch_([address](kj::Exception&& exception) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        Error error = toError(exception);
        if (error.code == ErrorCode::kInternal) error.code = ErrorCode::kUnavailable;
        return toException(std::move(error).withContext("cannot connect to " + address.text()));
      });
}

kj::Promise<kj::Own<RpcConnection>> callPeer(IoLoop& loop, Address address, ClusterKey key, HelloInfo self,
                                             capnp::Capability::Client own) {
  return callStream(loop, std::move(address), key, std::move(self))
      .then([own = kj::mv(own)](kj::Own<kj::AsyncIoStream> stream) mutable {
        return kj::heap<RpcConnection>(kj::mv(stream), Side::CLIENT, kj::mv(own));
      });
}

// ---------------------------------------------------------------- accepting

Listener::Listener(IoLoop& loop, int fd, ClusterKey key, AdmitCaller admit, OnCaller onCaller)
    : loop_(loop),
      key_(key),
      admit_(std::move(admit)),
      onCaller_(std::move(onCaller)),
      receiver_(loop.io().lowLevelProvider->wrapListenSocketFd(fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP)),
      tasks_(*this) {
  tasks_.add(acceptNext());
}

kj::Promise<void> Listener::acceptNext() {
  return receiver_->accept().then([this](kj::Own<kj::AsyncIoStream> stream) {
    if (pendingHellos_ >= kMaxPendingHellos) {
      spdlog::warn("refused a connection: {} others have not greeted yet", pendingHellos_);
    } else {
      tasks_.add(greetCaller(tuned(kj::mv(stream))));
    }
    return acceptNext();
  });
}

kj::Promise<void> Listener::greetCaller(kj::Own<kj::AsyncIoStream> stream) {
  ++pendingHellos_;
  auto received = loop_.timer().timeoutAfter(kHelloNanos * kj::NANOSECONDS, receiveGreeting(*stream, key_, admit_));
  return received
      .then(
          [this, stream = kj::mv(stream)](HelloInfo info) mutable {
            spdlog::debug("a {} has connected", roleName(info.role));
            onCaller_(std::move(info), kj::mv(stream));
          },
          [](kj::Exception&& exception) { spdlog::warn("refused a connection: {}", plainText(exception)); })
      .attach(kj::defer([this] { --pendingHellos_; }));
}

void Listener::taskFailed(kj::Exception&& exception) {
  spdlog::error("accepting connections failed: {}", plainText(exception));
}

}  // namespace jvmc::cluster
