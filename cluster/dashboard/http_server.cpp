#include "cluster/dashboard/http_server.h"

#include <fmt/format.h>
#include <kj/compat/http.h>
#include <spdlog/spdlog.h>

#include "cluster/dashboard/http_gate.h"
#include "cluster/net/address.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/rpc_connection.h"

namespace jvmc::cluster {

namespace {

constexpr size_t kConnectionsMax = 64;
constexpr auto kHeadTime = 10 * kj::SECONDS;
constexpr auto kIdleTime = 30 * kj::SECONDS;    // between two requests of a connection
constexpr auto kAnswerTime = 20 * kj::SECONDS;  // to make an answer and have it taken

/// Scripts, styles, pictures and data from here only; shown in no frame of another page.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const char* statusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 303:
      return "See Other";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

class Server final : public HttpServer, private kj::HttpService, private kj::TaskSet::ErrorHandler {
 public:
  Server(IoLoop& loop, const HttpPlace& place, HttpHandler handler)
      : loop_(loop),
        gate_(place.host, place.port, place.token),
        handler_(std::move(handler)),
        receiver_(
            loop.io().lowLevelProvider->wrapListenSocketFd(place.fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP)),
        server_(loop.timer(), *headers_, *this, settings()),
        tasks_(*this) {
    tasks_.add(acceptNext());
  }

 private:
  static kj::HttpServerSettings settings() {
    kj::HttpServerSettings settings;
    settings.headerTimeout = kHeadTime;
    settings.pipelineTimeout = kIdleTime;
    settings.canceledUploadGraceBytes = 0;
    return settings;
  }

  kj::Promise<void> acceptNext() {
    return receiver_->accept().then([this](kj::Own<kj::AsyncIoStream> stream) {
      if (connections_ < kConnectionsMax) {
        ++connections_;
        tasks_.add(server_.listenHttp(tuned(kj::mv(stream))).attach(kj::defer([this] { --connections_; })));
      }  // else it is closed at once
      return acceptNext();
    });
  }

  kj::Promise<void> request(kj::HttpMethod method, kj::StringPtr url, const kj::HttpHeaders& headers,
                            kj::AsyncInputStream& body, Response& response) override {
    const auto text = [&](kj::HttpHeaderId id) {
      return headers.get(id).map([](kj::StringPtr value) { return std::string_view(value.begin(), value.size()); });
    };
    HttpHead head;
    head.isGet = method == kj::HttpMethod::GET || method == kj::HttpMethod::HEAD;
    KJ_IF_MAYBE (length, body.tryGetLength())
      head.hasBody = *length != 0;
    else
      head.hasBody = true;
    head.target = {url.begin(), url.size()};
    head.host = text(kj::HttpHeaderId::HOST).orDefault({});
    head.cookie = text(cookie_).orDefault({});
    head.authorization = text(authorization_).orDefault({});

    HttpVerdict verdict = gate_.judge(head);
    if (verdict.status != 200) {
      spdlog::debug("dashboard: {} {}", verdict.status, pathOf(head.target));
      return send({verdict.status, "text/plain; charset=utf-8", verdict.reason + "\n"}, verdict, response);
    }
    auto answered = handler_(head.target)
                        .catch_([](kj::Exception&& exception) {
                          return HttpAnswer{503, "text/plain; charset=utf-8", plainText(exception) + "\n"};
                        })
                        .then([this, &response](HttpAnswer answer) { return send(std::move(answer), {}, response); });
    return loop_.timer().timeoutAfter(kAnswerTime, kj::mv(answered));
  }

  kj::Promise<void> send(HttpAnswer answer, const HttpVerdict& verdict, Response& response) {
    kj::HttpHeaders headers(*headers_);
    headers.set(kj::HttpHeaderId::CONTENT_TYPE, kj::str(answer.type.c_str()));
    const auto add = [&](const char* name, const std::string& value) {
      headers.add(kj::str(name), kj::str(value.c_str()));
    };
    add("Content-Security-Policy", kPolicy);
    add("X-Content-Type-Options", "nosniff");
    add("Referrer-Policy", "no-referrer");
    add("Cross-Origin-Resource-Policy", "same-origin");
    add("Cache-Control", "no-store");
    if (!verdict.location.empty()) add("Location", verdict.location);
    if (!verdict.cookie.empty()) add("Set-Cookie", verdict.cookie);
    if (answer.status == 401) add("WWW-Authenticate", "Bearer");
    if (answer.status == 405) add("Allow", "GET, HEAD");
    auto out = response.send(uint(answer.status), statusText(answer.status), headers, answer.body.size());
    auto owned = kj::heap<std::string>(std::move(answer.body));
    auto written = out->write(owned->data(), owned->size());
    return written.attach(kj::mv(out), kj::mv(owned));
  }

  void taskFailed(kj::Exception&& exception) override { spdlog::debug("dashboard: {}", plainText(exception)); }

  IoLoop& loop_;
  HttpGate gate_;
  HttpHandler handler_;
  kj::HttpHeaderTable::Builder builder_;
  kj::HttpHeaderId cookie_ = builder_.add("Cookie"), authorization_ = builder_.add("Authorization");
  kj::Own<kj::HttpHeaderTable> headers_ = builder_.build();
  kj::Own<kj::ConnectionReceiver> receiver_;
  kj::HttpServer server_;
  size_t connections_ = 0;
  kj::TaskSet tasks_;  // first to go: it uses the rest
};

}  // namespace

Result<HttpPlace> openHttpPlace(const std::string& text, const std::string& token) {
  auto address = Address::parse(text.empty() ? "127.0.0.1:0" : text);
  if (!address.ok()) return address.error();
  if (address->isUnix) return Error{ErrorCode::kInvalidInput, "a web page needs HOST:PORT"};
  HttpPlace place;
  place.token = token == "auto" ? newToken() : token;
  auto fd = listenOn(*address);
  if (!fd.ok() && fd.error().code == ErrorCode::kRefused) {
    fd = listenOn(*address, Reach::Network);
    if (place.token.empty()) place.token = newToken();
  }
  if (!fd.ok()) return fd.error();
  auto bound = boundAddress(*fd);
  if (!bound.ok()) return bound.error();
  place.fd = *fd;
  place.host = address->host;
  place.port = bound->port;
  Address shown = *address;
  shown.port = bound->port;
  place.url = fmt::format("http://{}/{}{}", shown.text(), place.token.empty() ? "" : "?token=", place.token);
  return place;
}

kj::Own<HttpServer> HttpServer::serve(IoLoop& loop, const HttpPlace& place, HttpHandler handler) {
  return kj::heap<Server>(loop, place, std::move(handler));
}

}  // namespace jvmc::cluster
