#include "cluster/net/message_loop.h"

#include <gtest/gtest.h>

#include <future>

#include "tests/unit/cluster/support/loop_checks.h"

namespace jvmc::cluster {
namespace {

TEST(MessageLoop, RunsTasksInOrderFromManyThreadsWithAndWithoutSpinning) {
  for (bool spin : {false, true}) {
    MessageLoopOptions options;
    if (spin) options.maySpin = [] { return true; };
    MessageLoop loop(options);
    loop.start();
    test::expectTasksInOrderFromManyThreads(loop);
  }
}

TEST(MessageLoop, TimersFireInOrderAndNotEarly) {
  MessageLoop loop;
  loop.start();
  std::vector<int> fired;
  std::promise<void> done;
  const auto begun = std::chrono::steady_clock::now();
  loop.postAfter(20'000'000, [&] {
    fired.push_back(3);
    done.set_value();
  });
  loop.postAfter(200'000, [&] { fired.push_back(1); });
  loop.runSync([&] { loop.postAfter(5'000'000, [&] { fired.push_back(2); }); });
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(20));
}

TEST(MessageLoop, EndsAtOnceWithTasksAndTimersOutstanding) {
  MessageLoop loop;
  loop.start();
  loop.postAfter(int64_t(3600) * 1'000'000'000, [] { FAIL(); });
  loop.runSync([] {});
}

}  // namespace
}  // namespace jvmc::cluster
