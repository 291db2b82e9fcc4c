// What the loops of this folder share.
#pragma once

#include <functional>
#include <future>

namespace jvmc::cluster {

/// Runs `task` on the loop's thread and waits for it; at once if the caller is on that thread. The loop must be
/// running.
template <class Loop>
void runAndWait(Loop& loop, const std::function<void()>& task) {
  if (loop.onLoop()) return task();
  std::promise<void> done;
  loop.post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace jvmc::cluster
