// How long the balancer's leader thinks: decide() on simulated loads of 100,000 threads, evenly dealt out and not. That
// three rounds even them out is a unit test (tests/unit/cluster/balance/scale_test.cpp).
#include <benchmark/benchmark.h>

#include "tests/unit/cluster/balance/simulated_cluster.h"

namespace jvmc::cluster {
namespace {

constexpr uint32_t kThreads = 100'000;

void decideUneven(benchmark::State& state, BalancePolicy policy) {
  SimulatedCluster cluster(uint32_t(state.range(0)), kThreads, policy);
  cluster.history = cluster.decision().history;  // the second report of the same: it is acted upon
  size_t moves = 0;
  for (auto _ : state) moves = cluster.decision().moves.size();
  state.counters["moves"] = double(moves);
}

void decideEven(benchmark::State& state, BalancePolicy policy) {
  SimulatedCluster cluster(uint32_t(state.range(0)), kThreads, policy);
  for (int round = 0; round < 5; ++round) cluster.round();
  for (auto _ : state) benchmark::DoNotOptimize(cluster.decision());
  state.counters["imbalance"] = cluster.imbalance();
}

void addAll(const char* name, void (*body)(benchmark::State&, BalancePolicy), BalancePolicy policy) {
  benchmark::RegisterBenchmark((std::string(name) + "/" + nameOf(policy)).c_str(), body, policy)
      ->ArgName("nodes")
      ->Arg(10)
      ->Arg(100)
      ->Arg(1000)
      ->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  for (BalancePolicy policy : {BalancePolicy::Threshold, BalancePolicy::Greedy, BalancePolicy::Affinity}) {
    addAll("uneven", decideUneven, policy);
    addAll("even", decideEven, policy);
  }
  return true;
}();

}  // namespace
}  // namespace jvmc::cluster
