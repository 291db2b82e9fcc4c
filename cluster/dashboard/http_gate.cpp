#include "cluster/dashboard/http_gate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "cluster/net/key.h"
#include "cluster/net/same_text.h"

namespace jvmc::cluster {

namespace {

bool sameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool isLiteralAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

/// "name:80", "[::1]:80", "name" without the port; empty if it is none of these.
std::string_view withoutPort(std::string_view host) {
  std::string_view name = host, port;
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return {};
    name = host.substr(1, end - 1);
    port = host.substr(end + 1);
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon);
  }
  const bool isPort =
      port.empty() || (port.size() >= 2 && port.size() <= 6 && port[0] == ':' &&
                       std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }));
  return isPort ? name : std::string_view();
}

/// Of the cookie `name` in a Cookie header.
std::string_view cookieValue(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const size_t end = std::min(header.find(';'), header.size());
    std::string_view one = header.substr(0, end);
    while (one.starts_with(' ')) one.remove_prefix(1);
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
      return one.substr(name.size() + 1);
    header.remove_prefix(std::min(end + 1, header.size()));
  }
  return {};
}

}  // namespace

HttpGate::HttpGate(std::string host, uint16_t port, std::string token)
    : host_(std::move(host)), token_(std::move(token)), cookieName_(fmt::format("jvmcluster-{}", port)) {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) == 0) machine_ = name;
}

HttpVerdict HttpGate::judge(const HttpHead& head) const {
  if (!head.isGet) return {405, "only GET and HEAD are served here"};
  if (head.hasBody) return {400, "requests have no body here"};
  if (!knowsHost(head.host)) return {403, "this is not a name of this server (header Host); use its address"};
  if (token_.empty()) return {};
  if (const auto given = queryValue(head.target, "token"); given && sameText(token_, *given)) {
    // Out of the address bar, the history and the Referer.
    return {303, "", "/", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict", cookieName_, token_)};
  }
  if (hasToken(head)) return {};
  return {401,
          "a token is needed: open the address that jvmcluster has printed, or send 'Authorization: Bearer TOKEN'"};
}

/// A literal address or localhost cannot be the name of another site. The port does not matter: it may be that of a
/// tunnel.
bool HttpGate::knowsHost(std::string_view host) const {
  const std::string name(withoutPort(host));
  if (name.empty() || name.size() > 255) return false;
  return sameName(name, "localhost") || isLiteralAddress(name) || sameName(name, host_) ||
         (!machine_.empty() && sameName(name, machine_));
}

bool HttpGate::hasToken(const HttpHead& head) const {
  constexpr std::string_view kBearer = "Bearer ";
  if (head.authorization.starts_with(kBearer)) return sameText(token_, head.authorization.substr(kBearer.size()));
  return sameText(token_, cookieValue(head.cookie, cookieName_));
}

std::string newToken() {
  const Nonce random = randomNonce();
  std::string token;
  for (size_t i = 0; i < 16; ++i) token += fmt::format("{:02x}", random[i]);
  return token;
}

Result<std::string> parseToken(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
  if (plain && text.size() >= 16 && text.size() <= 128) return text;
  return Error{ErrorCode::kInvalidInput, "a token has 16 to 128 letters, digits, '-', '_' or '.'"};
}

std::string_view pathOf(std::string_view target) {
  return target.substr(0, target.find('?'));
}

std::optional<std::string_view> queryValue(std::string_view target, std::string_view name) {
  const size_t mark = target.find('?');
  if (mark == std::string_view::npos) return std::nullopt;
  std::string_view query = target.substr(mark + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
      return one.substr(name.size() + 1);
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return std::nullopt;
}

}  // namespace jvmc::cluster
