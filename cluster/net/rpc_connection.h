// One greeted connection with Cap'n Proto RPC on it, both ways; and making such connections by calling or accepting.
#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include <functional>
#include <string>

#include "cluster/net/address.h"
#include "cluster/net/handshake.h"
#include "cluster/net/io_loop.h"
#include "cluster/net/tls.h"

namespace jvmc::cluster {

/// Lives on the loop. Dropping it closes the connection; calls in flight then fail.
class RpcConnection {
 public:
  /// `own` is what the peer gets as our bootstrap capability.
  RpcConnection(kj::Own<kj::AsyncIoStream> greeted, capnp::rpc::twoparty::Side side, capnp::Capability::Client own);

  /// The peer's bootstrap capability.
  capnp::Capability::Client peer();
  /// Completes when the connection is lost, for whatever reason. May be asked for several times.
  kj::Promise<void> onDisconnect() { return disconnected_.addBranch(); }

 private:
  kj::Own<kj::AsyncIoStream> stream_;
  capnp::TwoPartyVatNetwork network_;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc_;
  capnp::rpc::twoparty::Side side_;
  kj::ForkedPromise<void> disconnected_;
};

/// Connects, encrypts if the connection leaves the machine, and greets. Fails with words that name the address.
kj::Promise<kj::Own<kj::AsyncIoStream>> callStream(IoLoop& loop, Address address, Credentials credentials,
                                                   HelloInfo self);

/// As callStream, and starts RPC.
kj::Promise<kj::Own<RpcConnection>> callPeer(IoLoop& loop, Address address, Credentials credentials, HelloInfo self,
                                             capnp::Capability::Client own);

/// Accepts and greets until it is dropped. Every caller that fails to greet costs one log line and nothing else.
class Listener final : private kj::TaskSet::ErrorHandler {
 public:
  /// Runs on the loop with a caller that has greeted.
  using OnCaller = std::function<void(HelloInfo, kj::Own<kj::AsyncIoStream>)>;

  /// Takes `fd`, a listening socket.
  Listener(IoLoop& loop, int fd, Credentials credentials, AdmitCaller admit, OnCaller onCaller);

 private:
  kj::Promise<void> acceptNext();
  kj::Promise<void> greetCaller(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> receive(kj::Own<kj::AsyncIoStream> stream, PeerCertificate certificate);
  void taskFailed(kj::Exception&& exception) override;

  IoLoop& loop_;
  Credentials credentials_;
  AdmitCaller admit_;
  OnCaller onCaller_;
  size_t pendingHellos_ = 0;
  kj::Own<kj::ConnectionReceiver> receiver_;
  kj::TaskSet tasks_;
};

/// Small messages must not wait (TCP_NODELAY), and what was lost is sent again at least every second
/// (TCP_RTO_MAX_MS).
kj::Own<kj::AsyncIoStream> tuned(kj::Own<kj::AsyncIoStream> stream);

}  // namespace jvmc::cluster
