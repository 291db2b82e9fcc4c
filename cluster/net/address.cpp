#include "cluster/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace jvmc::cluster {

namespace {

Error systemError(const std::string& what, int error) {
  return {ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(error))};
}

bool isWildcard(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr == htonl(INADDR_ANY);
  return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

Result<int> bindAndListen(int family, const sockaddr* address, socklen_t length, const std::string& text) {
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return systemError("cannot make a socket", errno);
  int one = 1;
  if (family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, address, length) == 0 && listen(fd, 128) == 0) return fd;
  int error = errno;
  close(fd);
  if (error == EADDRINUSE)
    return Error{ErrorCode::kIo, fmt::format("cannot listen on {}: the address is in use by another process", text)};
  return systemError("cannot listen on " + text, error);
}

Result<int> listenOnUnix(const Address& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.path.size() >= sizeof name.sun_path)
    return Error{ErrorCode::kInvalidInput, fmt::format("socket path is too long: {}", address.path)};
  std::memcpy(name.sun_path, address.path.data(), address.path.size());
  return bindAndListen(AF_UNIX, reinterpret_cast<sockaddr*>(&name), sizeof name, address.text());
}

Result<int> listenOnTcp(const Address& address, Reach reach) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  std::string port = std::to_string(address.port);
  if (int error = getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found))
    return Error{ErrorCode::kNotFound, fmt::format("unknown host '{}': {}", address.host, gai_strerror(error))};
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  if (isWildcard(found->ai_addr))
    return Error{ErrorCode::kRefused,
                 fmt::format("refusing to listen on {}: name the address of this machine that others are to call",
                             address.text())};
  if (reach == Reach::ThisMachine && !isLoopback(found->ai_addr))
    return Error{ErrorCode::kRefused,
                 fmt::format("refusing to listen on {}: it can be reached from other machines, so connections must be "
                             "encrypted, and there is no certificate (see `jvmcluster keygen`)",
                             address.text())};
  return bindAndListen(found->ai_family, found->ai_addr, found->ai_addrlen, address.text());
}

}  // namespace

Result<Address> Address::parse(const std::string& text) {
  Address address;
  if (text.starts_with("unix:")) {
    address.isUnix = true;
    address.path = text.substr(5);
    if (address.path.empty())
      return Error{ErrorCode::kInvalidInput, "the path of a Unix socket is missing after 'unix:'"};
    return address;
  }
  size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    return Error{ErrorCode::kInvalidInput,
                 fmt::format("'{}' is not an address: expected HOST:PORT or unix:PATH", text)};
  address.host = text.substr(0, colon);
  if (address.host.size() >= 2 && address.host.front() == '[' && address.host.back() == ']')
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty()) address.host = "127.0.0.1";
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc() || stop != end || colon + 1 == text.size())
    return Error{ErrorCode::kInvalidInput, fmt::format("'{}' has no valid port (0 to 65535)", text)};
  return address;
}

std::string Address::text() const {
  if (isUnix) return "unix:" + path;
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

bool isLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return (ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24) == 127;
  if (address->sa_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  return false;
}

Result<int> listenOn(const Address& address, Reach reach) {
  return address.isUnix ? listenOnUnix(address) : listenOnTcp(address, reach);
}

Address addressOf(const sockaddr* name) {
  Address address;
  char host[INET6_ADDRSTRLEN] = "";
  if (name->sa_family == AF_INET) {
    auto* in = reinterpret_cast<const sockaddr_in*>(name);
    inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
    address.port = ntohs(in->sin_port);
  } else if (name->sa_family == AF_INET6) {
    auto* in = reinterpret_cast<const sockaddr_in6*>(name);
    inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
    address.port = ntohs(in->sin6_port);
  } else if (name->sa_family == AF_UNIX) {
    address.isUnix = true;
    address.path = reinterpret_cast<const sockaddr_un*>(name)->sun_path;
  }
  address.host = host;
  return address;
}

Result<Address> boundAddress(int fd) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return systemError("getsockname", errno);
  return addressOf(reinterpret_cast<const sockaddr*>(&name));
}

}  // namespace jvmc::cluster
