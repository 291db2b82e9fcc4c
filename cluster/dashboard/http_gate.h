// Whether an HTTP request may be answered at all: a pure function of its head.
//
// Who may be on the other side, and what keeps them out:
//   a page of another site, in a browser of this user   it can send requests but reads no answer (same origin); by
//                                                       rebinding its name to our address it could: so Host must be
//                                                       a name that nobody else controls
//   whoever reaches the port over the network           the token; on loopback there is none by default
//   a client that is confused or malicious              only GET and HEAD, without a body
// The connection is not encrypted: over a network, use a tunnel (docs/howto/dashboard.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ir/support/result.h"

namespace jvmc::cluster {

/// Head of a request. Views of the caller's bytes.
struct HttpHead {
  bool isGet = false;                ///< or HEAD
  bool hasBody = false;              ///< or claims to have one
  std::string_view target;           ///< path and query
  std::string_view host;             ///< the header; empty: none
  std::string_view cookie;           ///< the header
  std::string_view authorization{};  ///< the header
};

/// What becomes of it: an answer by whoever serves the path, or this.
struct HttpVerdict {
  int status = 200;        ///< 200: serve it
  std::string reason{};    ///< for the user, unless 200
  std::string location{};  ///< 303: go there
  std::string cookie{};    ///< Set-Cookie, with 303
};

class HttpGate {
 public:
  /// `host`: as given to --listen, accepted as Host besides localhost, this machine's name and literal addresses.
  /// `token`: empty: none is wanted. `port` names the cookie: cookies do not tell ports apart.
  HttpGate(std::string host, uint16_t port, std::string token);

  HttpVerdict judge(const HttpHead& head) const;
  const std::string& token() const { return token_; }

 private:
  bool knowsHost(std::string_view host) const;
  bool hasToken(const HttpHead& head) const;

  std::string host_, machine_, token_, cookieName_;
};

/// 128 random bits as 32 hexadecimal digits.
std::string newToken();
/// 16 to 128 characters that need no quoting in URLs and cookies.
Result<std::string> parseToken(const std::string& text);

/// "/a?x=1" is "/a"; the value of a query parameter, without decoding.
std::string_view pathOf(std::string_view target);
std::optional<std::string_view> queryValue(std::string_view target, std::string_view name);

}  // namespace jvmc::cluster
