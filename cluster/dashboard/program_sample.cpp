#include "cluster/dashboard/program_sample.h"

#include <algorithm>
#include <chrono>

#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

kj::Promise<ProgramView> describe(schema::Control::Client& control, const std::string& program) {
  return control.programsRequest().send().then([program](auto response) -> kj::Promise<ProgramView> {
    for (auto info : response.getPrograms())
      if (program == info.getId().cStr()) return decode(info);
    return toException({ErrorCode::kNotFound, "program " + program + " has ended"});
  });
}

template <class Request>
auto about(Request request, const std::string& program) {
  request.setProgram(program);
  return request;
}

/// Completes when all parts of `sample` have come.
kj::Promise<void> fill(ProgramSample& sample, schema::Control::Client& control, const std::string& program) {
  auto parts = kj::heapArrayBuilder<kj::Promise<void>>(5);
  parts.add(describe(control, program).then([&sample](ProgramView view) { sample.program = std::move(view); }));
  parts.add(about(control.nodesRequest(), program).send().then([&sample](auto response) {
    sample.nodes = decodeList<NodeView>(response.getNodes());
    std::sort(sample.nodes.begin(), sample.nodes.end(), [](auto& a, auto& b) { return a.node < b.node; });
  }));
  parts.add(about(control.threadsRequest(), program).send().then([&sample](auto response) {
    sample.threads = decodeList<ThreadView>(response.getThreads());
    std::stable_sort(sample.threads.begin(), sample.threads.end(), [](auto& a, auto& b) { return a.id < b.id; });
  }));
  parts.add(
      about(control.decisionsRequest(), program)
          .send()
          .then([&sample](auto response) { sample.decisions = decodeList<DecisionView>(response.getDecisions()); },
                [](kj::Exception&&) {}));  // without a balancer there are none
  auto counters = about(control.inspectRequest(), program);
  counters.setCountersOnly(true);
  parts.add(counters.send().then([&sample](auto response) {
    for (auto report : response.getReports()) sample.counters.emplace_back(report.cStr());
  }));
  return kj::joinPromises(parts.finish());
}

}  // namespace

kj::Promise<ProgramSample> takeSample(schema::Control::Client control, std::string program) {
  auto sample = kj::heap<ProgramSample>();
  sample->unixMillis =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  auto filled = fill(*sample, control, program);
  return filled.attach(kj::mv(control)).then([sample = kj::mv(sample)]() mutable { return std::move(*sample); });
}

}  // namespace jvmc::cluster
