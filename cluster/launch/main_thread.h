// Work for a process's main thread, given by its I/O loop: what may block (building a VM, stopping its threads) must
// not stand in the loop's way.
#pragma once

#include <kj/async.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "cluster/net/error_bridge.h"
#include "cluster/net/io_loop.h"

namespace jvmc::cluster {

class MainThread {
 public:
  explicit MainThread(IoLoop& loop) : loop_(loop) {}

  /// Runs posted work until stop().
  void run();
  void stop();
  /// Any thread.
  void post(std::function<void()> work);

  /// On the loop: runs `work` (giving Result<T>) on the main thread; the promise belongs to the loop.
  template <class Work>
  auto call(Work work) {
    using Outcome = decltype(work());
    using Value = std::decay_t<decltype(*std::declval<Outcome&>())>;
    auto paf = kj::newPromiseAndFulfiller<Value>();
    // The fulfiller must die on the loop: the main thread only carries it.
    auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<Value>>>(kj::mv(paf.fulfiller));
    post([this, work = std::move(work), fulfiller]() mutable {
      auto outcome = std::make_shared<Outcome>(work());
      loop_.post([outcome, fulfiller = std::move(fulfiller)] {
        if (outcome->ok()) {
          (*fulfiller)->fulfill(std::move(**outcome));
        } else {
          (*fulfiller)->reject(toException(outcome->error()));
        }
      });
    });
    return kj::mv(paf.promise);
  }

 private:
  IoLoop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;  // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
};

}  // namespace jvmc::cluster
