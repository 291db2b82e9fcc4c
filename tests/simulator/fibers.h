// What runs on a stack of its own and may stop in the middle of it, while the simulator goes on with other events:
// threads in slow paths, and the helper threads of a node.
#pragma once

#include <memory>
#include <utility>

#include "cluster/objects/helper_thread.h"
#include "runtime/fiber/fiber.h"
#include "tests/simulator/events.h"

namespace jvmc::sim {

/// A node's helper thread as a fiber. What it waits for is looked at again in an event of its own.
class FiberThread final : public cluster::HelperThread {
 public:
  FiberThread(Events& events, rt::FiberPool& fibers, Actor node) : events_(events), fibers_(fibers), node_(node) {}
  ~FiberThread() override {
    *alive_ = false;
    if (fiber_) fibers_.release(fiber_);
  }

  void start(std::function<void()> body) override {
    body_ = std::move(body);
    isOver_ = false;
    goOnSoon();
  }
  void wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& ready) override {
    while (!ready()) {
      lock.unlock();
      fiber_->suspend();
      lock.lock();
    }
  }
  void notify() override { goOnSoon(); }
  void join() override {
    while (!isOver_ && fiber_) goOn();
    isOver_ = true;
  }

 private:
  void goOnSoon() {
    if (isOver_ || std::exchange(isDue_, true)) return;
    constexpr int64_t kWakeNanosMax = 50 * kMicros;
    events_.at(node_, events_.between(1, kWakeNanosMax), [this, alive = alive_] {
      if (!*alive) return;
      isDue_ = false;
      goOn();
    });
  }
  void goOn() {
    if (isOver_) return;
    const bool begins = !fiber_;
    if (begins) fiber_ = fibers_.acquire();
    isOver_ = begins ? fiber_->start([this] { body_(); }) : fiber_->resume();
    if (isOver_) fibers_.release(std::exchange(fiber_, nullptr));
  }

  Events& events_;
  rt::FiberPool& fibers_;
  const Actor node_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::function<void()> body_;
  rt::Fiber* fiber_ = nullptr;
  bool isOver_ = true;
  bool isDue_ = false;
};

}  // namespace jvmc::sim
