#include "cluster/net/io_loop.h"

#include <gtest/gtest.h>

#include <future>

namespace jvmc::cluster {
namespace {

TEST(IoLoop, RunsTasksInOrderFromManyThreads) {
  IoLoop loop({});
  loop.startThread();
  std::vector<int> last(4, -1);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i)
        loop.post([&, t, i] {
          EXPECT_EQ(last[t], i - 1);
          last[t] = i;
        });
    });
  for (auto& thread : threads) thread.join();
  loop.runSync([&] { EXPECT_EQ(last, std::vector<int>(4, 1999)); });
  std::promise<void> fired;
  loop.postAfter(1'000'000, [&] { fired.set_value(); });
  EXPECT_EQ(fired.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

}  // namespace
}  // namespace jvmc::cluster
