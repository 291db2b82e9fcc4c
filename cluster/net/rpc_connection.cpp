#include "cluster/net/rpc_connection.h"

#include <fmt/format.h>
#include <kj/debug.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cstring>

#include "cluster/net/buffered_stream.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/limits.h"
#include "cluster/net/tls_stream.h"

namespace jvmc::cluster {

namespace {

using capnp::rpc::twoparty::Side;

constexpr int kTcpRtoMaxMs = 44;  // TCP_RTO_MAX_MS of linux/tcp.h, which the system's headers need not know

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

/// Encrypts what leaves the machine. Whoever is called must be a node.
kj::Promise<kj::Own<kj::AsyncIoStream>> secureCall(IoLoop& loop, kj::Own<kj::AsyncIoStream> stream,
                                                   const Credentials& credentials) {
  if (staysOnMachine(KJ_ASSERT_NONNULL(stream->getFd()), /*accepted=*/false)) return kj::mv(stream);
  if (!credentials.identity)
    return toException({ErrorCode::kRefused,
                        "it is on another machine, so the connection must be encrypted, and there is no certificate "
                        "beside the key (see `jvmcluster keygen`)"});
  return TlsStream::open(loop, kj::mv(stream), credentials.identity, TlsSession::Side::Caller)
      .then([](kj::Own<TlsStream> secured) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        const PeerCertificate peer = secured->peer();
        if (peer.isNode) return kj::Own<kj::AsyncIoStream>(kj::mv(secured));
        return toException({ErrorCode::kRefused, fmt::format("its certificate, of '{}', is not a node's", peer.name)});
      });
}

}  // namespace

kj::Own<kj::AsyncIoStream> tuned(kj::Own<kj::AsyncIoStream> stream) {
  KJ_IF_MAYBE (fd, stream->getFd()) {
    int one = 1;  // fails on Unix sockets, which need no such thing
    (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int pauseMax = 1000;  // of Linux 6.15; others find out later that a network is back
    (void)setsockopt(*fd, IPPROTO_TCP, kTcpRtoMaxMs, &pauseMax, sizeof pauseMax);
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

kj::Promise<kj::Own<kj::AsyncIoStream>> callStream(IoLoop& loop, Address address, Credentials credentials,
                                                   HelloInfo self) {
  auto greeted = connectTo(loop, address)
                     .then([&loop, credentials](kj::Own<kj::AsyncIoStream> raw) {
                       return secureCall(loop, tuned(kj::mv(raw)), credentials);
                     })
                     .then([key = credentials.key, self = std::move(self)](kj::Own<kj::AsyncIoStream> stream) mutable {
                       auto done = greet(*stream, key, std::move(self));
                       return done.then([stream = kj::mv(stream)]() mutable { return kj::mv(stream); });
                     });
  return loop.timer()
      .timeoutAfter(kHelloNanos * kj::NANOSECONDS, kj::mv(greeted))
      .catch_([address](kj::Exception&& exception) -> kj::Promise<kj::Own<kj::AsyncIoStream>> {
        Error error = toError(exception);
        if (error.code == ErrorCode::kInternal) error.code = ErrorCode::kUnavailable;
        return toException(std::move(error).withContext("cannot connect to " + address.text()));
      });
}

kj::Promise<kj::Own<RpcConnection>> callPeer(IoLoop& loop, Address address, Credentials credentials, HelloInfo self,
                                             capnp::Capability::Client own) {
  return callStream(loop, std::move(address), std::move(credentials), std::move(self))
      .then([own = kj::mv(own)](kj::Own<kj::AsyncIoStream> stream) mutable {
        return kj::heap<RpcConnection>(kj::mv(stream), Side::CLIENT, kj::mv(own));
      });
}

// ---------------------------------------------------------------- accepting

Listener::Listener(IoLoop& loop, int fd, Credentials credentials, AdmitCaller admit, OnCaller onCaller)
    : loop_(loop),
      credentials_(std::move(credentials)),
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
  const int fd = KJ_ASSERT_NONNULL(stream->getFd());
  const std::string who = peerText(fd);
  auto received = [&]() -> kj::Promise<void> {
    if (staysOnMachine(fd, /*accepted=*/true)) return receive(kj::mv(stream), {"", true});
    if (!credentials_.identity) return toException({ErrorCode::kRefused, "there is no certificate to encrypt with"});
    return TlsStream::open(loop_, kj::mv(stream), credentials_.identity, TlsSession::Side::Acceptor)
        .then([this](kj::Own<TlsStream> secured) {
          PeerCertificate certificate = secured->peer();
          return receive(kj::mv(secured), std::move(certificate));
        });
  }();
  return loop_.timer()
      .timeoutAfter(kHelloNanos * kj::NANOSECONDS, kj::mv(received))
      .catch_([who, isOurs = isUnixSocket(fd)](kj::Exception&& exception) {
        if (isOurs && exception.getType() == kj::Exception::Type::DISCONNECTED)
          spdlog::info("{} hung up before it had greeted: its program is over", who);
        else
          spdlog::warn("refused a connection from {}: {}", who, plainText(exception));
      })
      .attach(kj::defer([this] { --pendingHellos_; }));
}

/// `certificate` is the caller's; one that stays on the machine needs none.
kj::Promise<void> Listener::receive(kj::Own<kj::AsyncIoStream> stream, PeerCertificate certificate) {
  auto admit = kj::heap<AdmitCaller>([this, certificate](const HelloInfo& caller) -> kj::Promise<std::string> {
    const bool mustBeNode = caller.role == Role::Node || caller.role == Role::Agent;
    if (mustBeNode && !certificate.isNode)
      return fmt::format("the certificate of '{}' is a user's: it may not be {}", certificate.name,
                         caller.role == Role::Node ? "a node" : "an agent");
    return admit_(caller);
  });
  auto received = receiveGreeting(*stream, credentials_.key, *admit);
  return received.attach(kj::mv(admit)).then([this, stream = kj::mv(stream), certificate](HelloInfo info) mutable {
    if (certificate.name.empty())
      spdlog::debug("a {} has connected", roleName(info.role));
    else
      spdlog::info("'{}' has connected as {}", certificate.name, roleName(info.role));
    onCaller_(std::move(info), kj::mv(stream));
  });
}

void Listener::taskFailed(kj::Exception&& exception) {
  spdlog::error("accepting connections failed: {}", plainText(exception));
}

}  // namespace jvmc::cluster
