// A small HTTP server for looking: GET only, answers made in memory, on the loop that it is given (kj-http).
//
// Everything is limited: connections, the time for a head and for taking an answer, the size of a head (kj: 64 KiB).
// Who is let in: http_gate.h.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cluster/net/io_loop.h"
#include "ir/support/result.h"

namespace jvmc::cluster {

struct HttpAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

/// Answers a GET of `target` (path and query). On the loop.
using HttpHandler = std::function<kj::Promise<HttpAnswer>(std::string_view target)>;

/// A socket that listens, and how to reach it.
struct HttpPlace {
  int fd = -1;
  std::string host;  ///< as it was asked for
  uint16_t port = 0;
  std::string token;  ///< empty: none is wanted
  std::string url;    ///< for people, with the token
};

/// Listens on HOST:PORT; empty: a free port of 127.0.0.1. Beyond loopback a token is needed: `token`, or a random one.
/// `token`: empty: none, or "auto": a random one.
Result<HttpPlace> openHttpPlace(const std::string& address, const std::string& token);

/// Lives on the loop. Serves until it is destroyed.
class HttpServer {
 public:
  virtual ~HttpServer() noexcept(false) = default;
  /// Takes the socket.
  static kj::Own<HttpServer> serve(IoLoop& loop, const HttpPlace& place, HttpHandler handler);
};

}  // namespace jvmc::cluster
