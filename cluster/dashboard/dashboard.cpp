#include "cluster/dashboard/dashboard.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

#include "cluster/dashboard/http_gate.h"
#include "cluster/dashboard/metrics.h"
#include "cluster/dashboard/page_files.h"
#include "cluster/dashboard/state_json.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/rpc_connection.h"

namespace jvmc::cluster {

namespace {

constexpr auto kAskTime = 15 * kj::SECONDS;
constexpr auto kProfilePause = 500 * kj::MILLISECONDS;  // between two questions for profiles
constexpr auto kProfileLease = 5 * kj::SECONDS;
constexpr double kFlameLeast = 0.002;  // share of all time that a call must take to be shown

int64_t unixMillis() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

const char* typeOf(std::string_view name) {
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  return "text/plain; charset=utf-8";
}

uint64_t sinceOf(std::string_view target) {
  uint64_t since = 0;
  if (const auto text = queryValue(target, "since")) std::from_chars(text->data(), text->data() + text->size(), since);
  return since;
}

}  // namespace

Dashboard::Dashboard(IoLoop& loop, const HttpPlace& place, schema::Control::Client control, std::string program)
    : loop_(loop),
      control_(kj::mv(control)),
      program_(std::move(program)),
      server_(HttpServer::serve(loop, place, [this](std::string_view target) { return answer(target); })),
      watching_(watch().eagerlyEvaluate([](kj::Exception&& exception) {
        spdlog::error("the dashboard has stopped watching: {}", plainText(exception));
      })) {}

kj::Promise<void> Dashboard::watch() {
  const kj::TimePoint begun = loop_.timer().now();
  return sampleOnce().then([this, begun] {
    const kj::TimePoint now = loop_.timer().now();
    const kj::Duration rest = std::max(kSampleMillis * kj::MILLISECONDS - (now - begun), (now - begun) * kSampleShare);
    return loop_.timer().afterDelay(rest).then([this] { return watch(); });
  });
}

kj::Promise<void> Dashboard::sampleOnce() {
  return loop_.timer()
      .timeoutAfter(kAskTime, takeSample(control_, program_))
      .then([this](ProgramSample sample) { recorder_.take(std::move(sample)); },
            [this](kj::Exception&& exception) {
              const Error error = toError(exception);
              // A launcher that is gone is a program that has ended.
              const bool isOver = recorder_.latest() && exception.getType() == kj::Exception::Type::DISCONNECTED;
              recorder_.fail(unixMillis(),
                             isOver ? "the program has ended, or cannot be reached any more" : error.message);
            });
}

kj::Promise<HttpAnswer> Dashboard::answer(std::string_view target) {
  const std::string_view path = pathOf(target);
  if (path == "/api/state")
    return HttpAnswer{200, "application/json", stateJson(recorder_, sinceOf(target), unixMillis())};
  if (path == "/api/flame") return queryValue(target, "stop") ? stopProfile() : profile();
  if (path == "/metrics") {
    std::vector<ProgramSample> samples;
    if (recorder_.latest() && recorder_.problem().empty()) samples.push_back(*recorder_.latest());
    return HttpAnswer{200, kMetricsType, metricsText(samples)};
  }
  const std::string_view name = path == "/" ? "/index.html" : path;
  for (const PageFile& file : pageFiles())
    if (file.name == name) return HttpAnswer{200, typeOf(name), std::string(file.content)};
  return HttpAnswer{404, "text/plain; charset=utf-8", "there is nothing here\n"};
}

// ---------------------------------------------------------------- profile

kj::Promise<std::vector<std::string>> Dashboard::observe(const char* text) {
  auto request = control_.observeRequest();
  request.setProgram(program_);
  request.setRequest(text);
  return loop_.timer().timeoutAfter(kAskTime, request.send().then([](auto response) {
    std::vector<std::string> reports;
    for (auto report : response.getReports()) reports.emplace_back(report.cStr());
    return reports;
  }));
}

/// What has been gathered while pages asked; nodes end it by themselves when none asks any more.
kj::Promise<HttpAnswer> Dashboard::profile() {
  const auto drawn = [this] { return HttpAnswer{200, "application/json", flame_.json(kFlameLeast)}; };
  const kj::TimePoint now = loop_.timer().now();
  if (profiledAt_ && now - *profiledAt_ < kProfilePause) return drawn();  // another page has asked
  if (!profiledAt_ || now - *profiledAt_ > kProfileLease) flame_ = FlameTree();
  profiledAt_ = now;
  return observe(R"({"profile": {"kinds": ["cpu"], "hz": 100, "leaseMillis": 5000}})")
      .then([this, drawn](std::vector<std::string> reports) {
        for (const std::string& report : reports)
          if (auto added = flame_.add(report); !added.ok()) spdlog::warn("dashboard: {}", added.error().message);
        return drawn();
      });
}

kj::Promise<HttpAnswer> Dashboard::stopProfile() {
  profiledAt_.reset();
  return observe(R"({"profile": {"stop": true}})").then([](auto) { return HttpAnswer{200, "application/json", "{}"}; });
}

// ---------------------------------------------------------------- a process of its own

namespace {

kj::Promise<void> openDashboard(IoLoop& loop, const Endpoint& endpoint, const std::string& program, HttpPlace place,
                                kj::Own<RpcConnection>& connection, std::optional<Dashboard>& dashboard) {
  auto address = Address::parse(endpoint.address);
  if (!address.ok()) return toException(address.error());
  auto credentials = Credentials::read(endpoint.keyFile);
  if (!credentials.ok()) return toException(credentials.error());
  HelloInfo self;
  self.role = Role::Command;
  return callPeer(loop, *address, *credentials, self, nullptr)
      .then([&, program, place = std::move(place)](kj::Own<RpcConnection> opened) {
        connection = kj::mv(opened);
        dashboard.emplace(loop, place, connection->peer().castAs<schema::Control>(), program);
      });
}

}  // namespace

Status serveDashboard(const Endpoint& endpoint, const std::string& program, const HttpPlace& place,
                      const std::function<void()>& ready) {
  constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  for (int signal : kSignals) kj::UnixEventPort::captureSignal(signal);
  std::optional<Error> failure;
  kj::Own<RpcConnection> connection;
  std::optional<Dashboard> dashboard;
  IoLoop loop({});
  loop.atStop([&] {
    dashboard.reset();
    connection = nullptr;
  });
  loop.post([&] {
    for (int signal : kSignals)
      loop.detach(loop.io().unixEventPort.onSignal(signal).then([&](siginfo_t) { loop.stop(); }));
    loop.detach(openDashboard(loop, endpoint, program, place, connection, dashboard)
                    .then([&] { ready(); },
                          [&](kj::Exception&& exception) {
                            failure = toError(exception);
                            loop.stop();
                          }));
  });
  loop.runHere();
  if (failure) return *failure;
  return Unit{};
}

}  // namespace jvmc::cluster
