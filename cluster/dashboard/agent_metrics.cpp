#include "cluster/dashboard/agent_metrics.h"

#include "cluster/dashboard/http_gate.h"
#include "cluster/dashboard/metrics.h"

namespace jvmc::cluster {

namespace {

constexpr auto kAskTime = 8 * kj::SECONDS;  // scrapers wait for ten

}  // namespace

AgentMetrics::AgentMetrics(IoLoop& loop, const HttpPlace& place, NodesHere nodesHere, ControlOf controlOf)
    : loop_(loop),
      nodesHere_(std::move(nodesHere)),
      controlOf_(std::move(controlOf)),
      server_(HttpServer::serve(loop, place, [this](std::string_view target) { return answer(target); })) {}

kj::Promise<HttpAnswer> AgentMetrics::answer(std::string_view target) {
  if (pathOf(target) != "/metrics") return HttpAnswer{404, "text/plain; charset=utf-8", "see /metrics\n"};
  kj::Vector<kj::Promise<kj::Maybe<ProgramSample>>> asks;
  for (const auto& [program, nodes] : nodesHere_()) {
    auto sampled = controlOf_(program).then(
        [id = program](schema::Control::Client control) mutable { return takeSample(kj::mv(control), std::move(id)); });
    asks.add(loop_.timer()
                 .timeoutAfter(kAskTime, kj::mv(sampled))
                 .then(
                     [here = nodes](ProgramSample sample) -> kj::Maybe<ProgramSample> {
                       std::erase_if(sample.nodes, [&](const NodeView& node) { return !here.contains(node.node); });
                       return sample;
                     },
                     // It starts or ends just now: it is there the next time, or not any more.
                     [](kj::Exception&&) -> kj::Maybe<ProgramSample> { return nullptr; }));
  }
  return kj::joinPromises(asks.releaseAsArray()).then([](kj::Array<kj::Maybe<ProgramSample>> parts) {
    std::vector<ProgramSample> samples;
    for (auto& part : parts)
      KJ_IF_MAYBE (sample, part) samples.push_back(std::move(*sample));
    return HttpAnswer{200, kMetricsType, metricsText(samples)};
  });
}

}  // namespace jvmc::cluster
