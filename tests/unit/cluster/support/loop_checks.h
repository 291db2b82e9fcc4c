// What every loop of cluster/net must do.
#pragma once

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace jvmc::cluster::test {

/// Tasks of one thread run in the order of posting, whatever other threads post meanwhile. `loop` is running.
template <class Loop>
void expectTasksInOrderFromManyThreads(Loop& loop) {
  constexpr int kThreads = 4, kTasks = 2000;
  std::vector<int> last(kThreads, -1);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i)
        loop.post([&, t, i] {
          EXPECT_EQ(last[t], i - 1);
          last[t] = i;
        });
    });
  for (auto& thread : threads) thread.join();
  loop.runSync([&] { EXPECT_EQ(last, std::vector<int>(kThreads, kTasks - 1)); });
}

}  // namespace jvmc::cluster::test
