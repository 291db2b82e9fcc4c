// Where something listens: "unix:PATH" or "HOST:PORT".
#pragma once

#include <cstdint>
#include <string>

#include "ir/support/result.h"

struct sockaddr;

namespace jvmc::cluster {

struct Address {
  bool isUnix = false;
  std::string path;  ///< Unix socket
  std::string host;
  uint16_t port = 0;

  /// "[::1]:7000", "localhost:7000", "127.0.0.1:7000", ":7000" (loopback), "unix:/run/x.sock".
  static Result<Address> parse(const std::string& text);
  std::string text() const;
};

/// What may be listened on.
enum class Reach : uint8_t {
  ThisMachine,  ///< Unix sockets and loopback addresses
  Network,      ///< any address of this machine that others can call: callers are encrypted there (tls.h)
};

/// A listening, non-blocking, close-on-exec socket. Port 0: any free one (see boundAddress). An address beyond `reach`
/// is refused, and so is the wildcard, which tells nobody where to call. A port in use is an error that says so.
Result<int> listenOn(const Address& address, Reach reach = Reach::ThisMachine);
bool isLoopback(const sockaddr* address);
/// Of a TCP or Unix socket's name.
Address addressOf(const sockaddr* name);
/// The address a listening TCP socket got.
Result<Address> boundAddress(int fd);

}  // namespace jvmc::cluster
