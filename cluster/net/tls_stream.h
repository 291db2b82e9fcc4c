// A TLS session as a KJ stream, and what a greeted stream is to those who work with sockets themselves.
#pragma once

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include "cluster/net/io_loop.h"
#include "cluster/net/tls.h"

namespace jvmc::cluster {

/// Lives on the loop. Reading and writing may go on at the same time, each by one caller.
class TlsStream final : public kj::AsyncIoStream {
 public:
  /// Encrypts `stream`, which is fresh. Completes when both sides have accepted each other's certificates.
  static kj::Promise<kj::Own<TlsStream>> open(IoLoop& loop, kj::Own<kj::AsyncIoStream> stream,
                                              std::shared_ptr<const TlsIdentity> identity, TlsSession::Side side);

  PeerCertificate peer() const { return session_->peer(); }
  const std::shared_ptr<TlsSession>& session() const { return session_; }
  kj::Maybe<int> getFd() const override { return stream_->getFd(); }

  kj::Promise<size_t> tryRead(void* buffer, size_t minBytes, size_t maxBytes) override;
  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  kj::Promise<void> whenWriteDisconnected() override { return stream_->whenWriteDisconnected(); }
  void shutdownWrite() override { stream_->shutdownWrite(); }
  void abortRead() override { stream_->abortRead(); }

  TlsStream(IoLoop& loop, kj::Own<kj::AsyncIoStream> stream, int fd, std::shared_ptr<const TlsIdentity> identity,
            TlsSession::Side side);

 private:
  kj::Promise<void> shakeHands();
  kj::Promise<size_t> readOn(kj::byte* buffer, size_t minBytes, size_t maxBytes, size_t done);

  kj::Own<kj::AsyncIoStream> stream_;  // for its socket only
  std::shared_ptr<const TlsIdentity> identity_;
  std::shared_ptr<TlsSession> session_;
  int own_;  // a descriptor of the socket for the observer: KJ watches the other one
  kj::AutoCloseFd ownCloser_;
  kj::UnixEventPort::FdObserver observer_;
};

/// Takes the socket out of a greeted stream. -1 if no descriptor is left.
Transport takeTransport(kj::Own<kj::AsyncIoStream> stream);

/// The acceptor's end of the connection is on a loopback address, or it is a Unix socket: it does not leave the
/// machine. `accepted`: we are the acceptor.
bool staysOnMachine(int fd, bool accepted);
/// "10.0.0.7:41030", "a Unix socket": the other end.
std::string peerText(int fd);
/// So the other end is one of the machine's own users, who has got at the program's folder.
bool isUnixSocket(int fd);

}  // namespace jvmc::cluster
