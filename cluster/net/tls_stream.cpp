#include "cluster/net/tls_stream.h"

#include <fcntl.h>
#include <kj/debug.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster/net/address.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

kj::Exception failure(std::string why) {
  return toException({ErrorCode::kRefused, std::move(why)});
}

kj::Exception closed() {
  return toException({ErrorCode::kUnavailable, "the other side closed the connection"});
}

}  // namespace

TlsStream::TlsStream(IoLoop& loop, kj::Own<kj::AsyncIoStream> stream, int fd,
                     std::shared_ptr<const TlsIdentity> identity, TlsSession::Side side)
    : stream_(kj::mv(stream)),
      identity_(std::move(identity)),
      session_(std::make_shared<TlsSession>(*identity_, fd, side)),
      own_(fd),
      ownCloser_(fd),
      observer_(loop.io().unixEventPort, own_, kj::UnixEventPort::FdObserver::OBSERVE_READ_WRITE) {}

kj::Promise<kj::Own<TlsStream>> TlsStream::open(IoLoop& loop, kj::Own<kj::AsyncIoStream> stream,
                                                std::shared_ptr<const TlsIdentity> identity, TlsSession::Side side) {
  const int fd = fcntl(KJ_ASSERT_NONNULL(stream->getFd()), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return toException({ErrorCode::kUnavailable, "no file descriptor is left"});
  auto secured = kj::heap<TlsStream>(loop, kj::mv(stream), fd, std::move(identity), side);
  auto done = secured->shakeHands();
  return done.then([secured = kj::mv(secured)]() mutable { return kj::mv(secured); });
}

kj::Promise<void> TlsStream::shakeHands() {
  auto progress = session_->handshake();
  switch (progress.state) {
    case TlsSession::State::Done:
      return kj::READY_NOW;
    case TlsSession::State::WantsRead:
      return observer_.whenBecomesReadable().then([this] { return shakeHands(); });
    case TlsSession::State::WantsWrite:
      return observer_.whenBecomesWritable().then([this] { return shakeHands(); });
    case TlsSession::State::Closed:
      return closed();
    case TlsSession::State::Failed:
      break;
  }
  return failure(std::move(progress.why));
}

kj::Promise<size_t> TlsStream::tryRead(void* buffer, size_t minBytes, size_t maxBytes) {
  return readOn(static_cast<kj::byte*>(buffer), minBytes, maxBytes, 0);
}

kj::Promise<size_t> TlsStream::readOn(kj::byte* buffer, size_t minBytes, size_t maxBytes, size_t done) {
  while (done < minBytes) {
    auto progress = session_->read({buffer + done, maxBytes - done});
    switch (progress.state) {
      case TlsSession::State::Done:
        done += progress.bytes;
        break;
      case TlsSession::State::WantsRead:
      case TlsSession::State::WantsWrite:  // cannot be in TLS 1.3 after the handshake
        return observer_.whenBecomesReadable().then(
            [this, buffer, minBytes, maxBytes, done] { return readOn(buffer, minBytes, maxBytes, done); });
      case TlsSession::State::Closed:
        return done;
      case TlsSession::State::Failed:
        return failure(std::move(progress.why));
    }
  }
  return done;
}

kj::Promise<void> TlsStream::write(const void* buffer, size_t size) {
  auto* bytes = static_cast<const kj::byte*>(buffer);
  while (size > 0) {
    auto progress = session_->write({bytes, size});
    switch (progress.state) {
      case TlsSession::State::Done:
        bytes += progress.bytes;
        size -= progress.bytes;
        break;
      case TlsSession::State::WantsRead:
      case TlsSession::State::WantsWrite:
        return observer_.whenBecomesWritable().then([this, bytes, size] { return write(bytes, size); });
      case TlsSession::State::Closed:
        return closed();
      case TlsSession::State::Failed:
        return failure(std::move(progress.why));
    }
  }
  return kj::READY_NOW;
}

kj::Promise<void> TlsStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  if (pieces.size() == 0) return kj::READY_NOW;
  return write(pieces[0].begin(), pieces[0].size()).then([this, pieces] {
    return write(pieces.slice(1, pieces.size()));
  });
}

Transport takeTransport(kj::Own<kj::AsyncIoStream> stream) {
  // KJ closes its own with the stream.
  Transport transport(fcntl(KJ_ASSERT_NONNULL(stream->getFd()), F_DUPFD_CLOEXEC, 0));
  if (auto* secured = dynamic_cast<TlsStream*>(stream.get()); secured && transport.fd >= 0) {
    transport.tls = secured->session();
    transport.tls->moveTo(transport.fd);
  }
  return transport;
}

bool staysOnMachine(int fd, bool accepted) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  auto* address = reinterpret_cast<sockaddr*>(&name);
  const int asked = accepted ? getsockname(fd, address, &length) : getpeername(fd, address, &length);
  return asked == 0 && (name.ss_family == AF_UNIX || isLoopback(address));
}

bool isUnixSocket(int fd) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) == 0 && name.ss_family == AF_UNIX;
}

std::string peerText(int fd) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return "somebody";
  if (name.ss_family == AF_UNIX) return "a Unix socket";
  return addressOf(reinterpret_cast<const sockaddr*>(&name)).text();
}

}  // namespace jvmc::cluster
