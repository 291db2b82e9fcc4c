// Watches one program and serves what it sees as a web page: the page itself, its data (/api/state?since=N, JSON), and
// metrics for Prometheus (/metrics). Design: docs/internals/dashboard.md.
#pragma once

#include <functional>
#include <optional>

#include "cluster/dashboard/flame.h"
#include "cluster/dashboard/http_server.h"
#include "cluster/dashboard/recorder.h"
#include "cluster/launch/endpoint.h"

namespace jvmc::cluster {

/// Lives on the loop. Watches and serves until it is destroyed.
class Dashboard {
 public:
  /// `control` answers for `program`. Takes the socket of `place`.
  Dashboard(IoLoop& loop, const HttpPlace& place, schema::Control::Client control, std::string program);

 private:
  /// Between two samples: often enough that a move looks like one, and at most 1/20 of the time that asking takes.
  static constexpr int64_t kSampleMillis = 500;
  static constexpr int64_t kSampleShare = 20;

  kj::Promise<void> watch();
  kj::Promise<void> sampleOnce();
  kj::Promise<HttpAnswer> answer(std::string_view target);
  kj::Promise<HttpAnswer> profile();
  kj::Promise<HttpAnswer> stopProfile();
  kj::Promise<std::vector<std::string>> observe(const char* request);

  IoLoop& loop_;
  schema::Control::Client control_;
  std::string program_;
  Recorder recorder_;
  FlameTree flame_;
  std::optional<kj::TimePoint> profiledAt_;  // the last time that the nodes were asked for their profiles
  kj::Own<HttpServer> server_;
  kj::Promise<void> watching_;
};

/// Serves a dashboard of a program that runs at `endpoint` until SIGINT, SIGTERM or SIGHUP, even when the program has
/// ended. Call on the main thread when no other threads exist. `ready` is told the address.
Status serveDashboard(const Endpoint& endpoint, const std::string& program, const HttpPlace& place,
                      const std::function<void()>& ready);

}  // namespace jvmc::cluster
