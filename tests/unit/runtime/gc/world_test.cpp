// Stopping the world with small C++ mutators that poll, block and come back.
#include "runtime/gc/world.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "runtime/fiber/fiber.h"

namespace jvmc::rt {
namespace {

using namespace std::chrono_literals;

/// What generated code does at a poll.
void poll(World& world, ThreadContext& ctx) {
  if (ctx.pollLimit.load(std::memory_order_relaxed) != kPollRequested) return;
  ctx.pollLimit.store(ctx.stackLimit, std::memory_order_relaxed);
  world.safepoint(ctx);
}

/// A thread that counts in guest code until told to stop, polling, and now and then leaving and entering.
class CountingMutator {
 public:
  CountingMutator(World& world, bool leaves)
      : thread_([this, &world, leaves] {
          world.enter(context_);
          for (uint64_t i = 1; !done_.load(std::memory_order_relaxed); ++i) {
            count = i;  // not atomic: the stopper may only read it because the world stands still
            poll(world, context_);
            if (leaves && i % 64 == 0) {
              world.leave(context_);
              world.enter(context_);
            }
          }
          world.leave(context_);
          world.remove(context_);
        }) {}
  ~CountingMutator() {
    done_ = true;
    thread_.join();
  }

  uint64_t count = 0;

 private:
  ThreadContext context_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST(World, StandsStillWhileTheBodyRuns) {
  auto world = World::create();
  std::vector<std::unique_ptr<CountingMutator>> mutators;
  for (int i = 0; i < 6; ++i) mutators.push_back(std::make_unique<CountingMutator>(*world, i % 2 == 1));
  for (int round = 0; round < 200; ++round) {
    world->stop(nullptr, [&] {
      std::vector<uint64_t> before, after;
      for (auto& m : mutators) before.push_back(m->count);
      std::this_thread::yield();
      for (auto& m : mutators) after.push_back(m->count);
      EXPECT_EQ(before, after);
    });
  }
}

TEST(World, MutatorsThatStopEachOtherTakeTurns) {
  auto world = World::create();
  int inside = 0, total = 0;  // guarded by the stops themselves
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      ThreadContext ctx;
      world->enter(ctx);
      for (int i = 0; i < 200; ++i) {
        world->stop(&ctx, [&] {
          EXPECT_EQ(++inside, 1);
          ++total;
          --inside;
        });
        poll(*world, ctx);
      }
      world->leave(ctx);
      world->remove(ctx);
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(total, 800);
}

TEST(World, RuntimeThreadWithGuestAccessHoldsOffAStop) {
  auto world = World::create();
  std::atomic<bool> stopped{false}, inside{false}, released{false};
  std::thread runtimeThread([&] {
    World::GuestAccess access(*world);
    inside = true;
    std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(stopped.load());
    released = true;
  });
  while (!inside) std::this_thread::yield();
  world->stop(nullptr, [&] {
    stopped = true;
    EXPECT_TRUE(released.load());
  });
  runtimeThread.join();
}

TEST(World, NobodyEntersWhileStopped) {
  auto world = World::create();
  std::atomic<bool> entered{false};
  std::thread mutator;
  world->stop(nullptr, [&] {
    mutator = std::thread([&] {
      ThreadContext ctx;
      world->enter(ctx);
      entered = true;
      world->leave(ctx);
      world->remove(ctx);
    });
    std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(entered.load());
  });
  mutator.join();
  EXPECT_TRUE(entered.load());
}

TEST(World, BarrierFlagsReachContextsInsideAndThoseThatEnterLater) {
  auto world = World::create();
  ThreadContext first, second;
  world->enter(first);
  world->setBarrierFlags(1);
  world->enter(second);
  EXPECT_EQ(first.barrierFlags.load(), 1u);
  EXPECT_EQ(second.barrierFlags.load(), 1u);
  world->leave(first);
  world->leave(second);
}

/// Reads another fiber's stack as the collector does: red zones between its variables are no error here.
[[gnu::no_sanitize("address", "thread")]] void copyWords(std::vector<uint64_t>& to, const uint64_t* low,
                                                         const uint64_t* high) {
  to.resize(size_t(high - low));
  for (uint64_t& word : to) word = *low++;
}

/// Every word that a scan would see now.
std::multiset<uint64_t> scannedWords(World& world) {
  std::multiset<uint64_t> words;
  std::vector<uint64_t> stack;
  world.stop(nullptr, [&] {
    world.forEachStack([&](const uint64_t* low, const uint64_t* high) {
      copyWords(stack, low, high);
      words.insert(stack.begin(), stack.end());
    });
  });
  return words;
}

TEST(World, StackOfASuspendedFiberIsScannedIncludingCallerRegisters) {
  auto world = World::create();
  auto pool = FiberPool::create({});
  Fiber* fiber = pool->acquire();
  ThreadContext& ctx = fiber->context();
  volatile uint64_t seed = 0x1234'5678'9abc'0000;
  EXPECT_FALSE(fiber->start([&] {
    world->enter(ctx);
    uint64_t inRegister = seed + 1;       // live across the calls below: in a callee-saved register or on the stack
    asm volatile("" : "+r"(inRegister));  // so that the compiler cannot keep `seed` and add later
    volatile uint64_t onStack[1] = {seed + 2};
    world->leave(ctx);
    fiber->suspend();
    world->enter(ctx);
    EXPECT_EQ(inRegister + onStack[0], 2 * seed + 3);
    world->leave(ctx);
  }));
  auto words = scannedWords(*world);
  EXPECT_GE(words.count(seed + 1), 1u);
  EXPECT_GE(words.count(seed + 2), 1u);
  EXPECT_TRUE(fiber->resume());
  world->remove(ctx);
  words = scannedWords(*world);
  EXPECT_TRUE(words.empty());
  pool->release(fiber);
}

}  // namespace
}  // namespace jvmc::rt
