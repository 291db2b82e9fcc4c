// Encryption of connections that leave the machine: TLS 1.3, and both sides show a certificate of the cluster
// (certificates.h). Whether a connection leaves it is decided by the acceptor's address alone, so both sides agree.
//
// The greeting (handshake.h) comes inside: the certificate says which machine or user it is, the greeting what for.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "cluster/net/key.h"

struct ssl_ctx_st;
struct ssl_st;

namespace jvmc::cluster {

/// Whose certificate it is.
struct PeerCertificate {
  std::string name;
  bool isNode = false;  ///< may be an agent and run nodes; others may only use the cluster
};

/// This process's certificate and key, and whom it accepts. Immutable; shared by all connections.
class TlsIdentity {
 public:
  /// Reads ca.crt, identity.crt and identity.key in `folder`. NotFound if there is none of them. Refuses a key file
  /// that others may read, and a certificate that is not the cluster's or not valid now.
  static Result<std::shared_ptr<const TlsIdentity>> read(const std::string& folder);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;

  const PeerCertificate& own() const { return own_; }

 private:
  friend class TlsSession;
  explicit TlsIdentity(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
  PeerCertificate own_;
};

/// One encrypted connection on a non-blocking socket. Thread-safe; never blocks.
class TlsSession {
 public:
  enum class State : uint8_t { Done, WantsRead, WantsWrite, Closed, Failed };
  struct Progress {
    State state = State::Done;
    size_t bytes = 0;   ///< Done: read or written, at least one
    std::string why{};  ///< Failed: in words
  };
  enum class Side : uint8_t { Caller, Acceptor };

  TlsSession(const TlsIdentity& identity, int fd, Side side);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;

  /// To be called again when the socket is ready, until Done. Then peer() is known.
  Progress handshake();
  Progress read(std::span<uint8_t> into);
  Progress write(std::span<const uint8_t> bytes);
  /// Bytes have been decrypted that nobody has read: the socket need not become readable for them.
  bool holdsBytes() const;
  /// Goes on with another descriptor of the same socket.
  void moveTo(int fd);
  PeerCertificate peer() const;

 private:
  Progress progressOf(int result);

  mutable std::mutex mutex_;
  ssl_st* const ssl_;
};

/// A greeted socket, for those who read and write it themselves.
struct Transport {
  Transport(int fd, std::shared_ptr<TlsSession> tls = nullptr) : fd(fd), tls(std::move(tls)) {}
  int fd;                           ///< the owner closes it
  std::shared_ptr<TlsSession> tls;  ///< null: in the clear
};

/// What a process shows to others and demands of them.
struct Credentials {
  ClusterKey key;
  std::shared_ptr<const TlsIdentity> identity{};  ///< null: only Unix sockets and loopback addresses can be used

  /// The key in `keyFile`, and the certificate beside it if there is one.
  static Result<Credentials> read(const std::string& keyFile);
  /// The same; makes the key if there is none.
  static Result<Credentials> readOrCreateKey(const std::string& keyFile);
};

}  // namespace jvmc::cluster
