// The balancer's decisions for clusters that no test can start: 100,000 threads on 10 to 1000 simulated nodes. The
// loads are random but always the same, so the result is too; benchmarks/balance_bench.cpp measures the time.
#include <gtest/gtest.h>

#include "simulated_cluster.h"

namespace jvmc::cluster {
namespace {

class ScaleTest : public testing::TestWithParam<std::tuple<BalancePolicy, uint32_t>> {};

TEST_P(ScaleTest, ThreeRoundsEvenAHundredThousandThreadsOut) {
  const auto [policy, nodes] = GetParam();
  SimulatedCluster cluster(nodes, 100'000, policy);
  EXPECT_GT(cluster.imbalance(), 0.5) << "there is something to do";
  for (int round = 0; round < 3; ++round) cluster.round();
  EXPECT_LT(cluster.imbalance(), 0.05);
}

TEST_P(ScaleTest, WhatIsEvenStays) {
  const auto [policy, nodes] = GetParam();
  SimulatedCluster cluster(nodes, 10'000, policy);
  for (int round = 0; round < 10; ++round) cluster.round();
  size_t moves = 0;
  for (int round = 0; round < 10; ++round) moves += cluster.round();
  EXPECT_LT(moves, 200u) << "of 10,000 threads in 10 rounds";
}

INSTANTIATE_TEST_SUITE_P(Policies, ScaleTest,
                         testing::Combine(testing::Values(BalancePolicy::Threshold, BalancePolicy::Greedy,
                                                          BalancePolicy::Affinity),
                                          testing::Values(10u, 100u, 1000u)),
                         [](const auto& info) {
                           return std::string(nameOf(std::get<0>(info.param))) +
                                  std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace jvmc::cluster
