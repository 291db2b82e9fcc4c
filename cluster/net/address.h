// Where something listens: "unix:PATH" or "HOST:PORT".
#pragma once

#include <cstdint>
#include <string>

#include "ir/support/result.h"

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

/// A listening, non-blocking, close-on-exec socket. Port 0: any free one (see boundAddress). A TCP host must be a
/// loopback address: other hosts are refused until connections are encrypted. A port in use is an error that says so.
Result<int> listenOn(const Address& address);
/// The address a listening TCP socket got.
Result<Address> boundAddress(int fd);

}  // namespace jvmc::cluster
