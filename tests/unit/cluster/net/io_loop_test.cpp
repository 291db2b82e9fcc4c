#include "cluster/net/io_loop.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/unit/cluster/support/loop_checks.h"

namespace jvmc::cluster {
namespace {

TEST(IoLoop, RunsTasksInOrderFromManyThreads) {
  IoLoop loop({});
  loop.startThread();
  test::expectTasksInOrderFromManyThreads(loop);
  std::promise<void> fired;
  loop.postAfter(1'000'000, [&] { fired.set_value(); });
  EXPECT_EQ(fired.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace jvmc::cluster
