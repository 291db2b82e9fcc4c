// Fibers: switching, moving between workers, depth up to the limit, and the pool's bookkeeping.
#include "runtime/fiber/fiber.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace jvmc::rt {
namespace {

/// Uses stack until `limit` is near, then returns the depth reached; every frame checks its own bytes on the way back.
[[gnu::noinline]] int burnStack(uint64_t limit, int depth) {
  volatile char frame[512];
  frame[0] = char(depth);
  frame[511] = char(depth);
  if (uint64_t(__builtin_frame_address(0)) < limit + 4096) return depth;
  int reached = burnStack(limit, depth + 1);
  EXPECT_EQ(frame[0], char(depth));
  EXPECT_EQ(frame[511], char(depth));
  return reached;
}

TEST(Fiber, RunsItsBodyOnItsOwnStack) {
  auto pool = FiberPool::create({});
  Fiber* fiber = pool->acquire();
  uint64_t address = 0;
  EXPECT_TRUE(fiber->start([&] { address = uint64_t(__builtin_frame_address(0)); }));
  EXPECT_LT(address, fiber->stackTop());
  EXPECT_GT(address, fiber->context().stackLimit);
  EXPECT_EQ(fiber->context().stackTop, fiber->stackTop());
  EXPECT_EQ(fiber->context().pollLimit.load(), fiber->context().stackLimit);
  EXPECT_EQ(fiber->context().fiber, fiber);
  pool->release(fiber);
}

TEST(Fiber, SuspendsAndResumesManyTimes) {
  auto pool = FiberPool::create({});
  Fiber* fiber = pool->acquire();
  int count = 0;
  bool done = fiber->start([&] {
    for (; count < 1000; ++count) fiber->suspend();
  });
  for (int expected = 0; !done; ++expected) {
    EXPECT_EQ(count, expected);
    EXPECT_LT(fiber->savedStackPointer(), fiber->stackTop());
    done = fiber->resume();
  }
  EXPECT_EQ(count, 1000);
  pool->release(fiber);
}

TEST(Fiber, ResumesOnAnotherWorkerWithItsLocals) {
  auto pool = FiberPool::create({});
  Fiber* fiber = pool->acquire();
  std::vector<long> ran;  // by the kernel's word: the compiler may cache what pthread_self() says
  EXPECT_FALSE(fiber->start([&] {
    std::string local = "kept across the move";
    ran.push_back(syscall(SYS_gettid));
    fiber->suspend();
    ran.push_back(syscall(SYS_gettid));
    EXPECT_EQ(local, "kept across the move");
  }));
  std::thread other([&] { EXPECT_TRUE(fiber->resume()); });
  other.join();
  ASSERT_EQ(ran.size(), 2u);
  EXPECT_NE(ran[0], ran[1]);
  pool->release(fiber);
}

TEST(Fiber, TwoFibersInterleaveOnOneWorker) {
  auto pool = FiberPool::create({});
  Fiber *a = pool->acquire(), *b = pool->acquire();
  std::string log;
  auto body = [&](Fiber* self, char name) {
    return [&log, self, name] {
      for (int i = 0; i < 3; ++i) {
        log += name;
        self->suspend();
      }
    };
  };
  EXPECT_FALSE(a->start(body(a, 'a')));
  EXPECT_FALSE(b->start(body(b, 'b')));
  bool aDone = false, bDone = false;
  while (!aDone || !bDone) {
    if (!aDone) aDone = a->resume();
    if (!bDone) bDone = b->resume();
  }
  EXPECT_EQ(log, "ababab");
  pool->release(a);
  pool->release(b);
}

TEST(Fiber, WholeStackDownToTheLimitIsUsable) {
  FiberOptions options;
  options.nativeBytes = 512 << 10;
  auto pool = FiberPool::create(options);
  Fiber* fiber = pool->acquire();
  int depth = 0;
  EXPECT_TRUE(fiber->start([&] { depth = burnStack(fiber->context().stackLimit, 0); }));
  EXPECT_GT(depth, 200);
  pool->release(fiber);
}

TEST(FiberPool, ReusesFibersWithAFreshContext) {
  auto pool = FiberPool::create({});
  Fiber* fiber = pool->acquire();
  fiber->context().depth = 77;
  fiber->context().pollLimit = kPollRequested;
  fiber->interpreterStack()[0] = 5;
  pool->release(fiber);
  EXPECT_EQ(pool->acquire(), fiber);
  EXPECT_EQ(fiber->context().depth, 0u);
  EXPECT_NE(fiber->context().pollLimit.load(), kPollRequested);
  pool->release(fiber);
}

TEST(FiberPool, SaysNoWhenAllFibersAreInUse) {
  FiberOptions options;
  options.nativeBytes = 128 << 10;
  options.interpreterBytes = 16 << 10;
  options.maxFibers = 130;  // more than two slabs
  auto pool = FiberPool::create(options);
  std::vector<Fiber*> fibers;
  while (Fiber* fiber = pool->acquire()) fibers.push_back(fiber);
  EXPECT_EQ(fibers.size(), 130u);
  for (Fiber* fiber : fibers) {
    fiber->interpreterStack()[fiber->interpreterWords() - 1] = 1;
    EXPECT_TRUE(fiber->start([] {}));
    pool->release(fiber);
  }
  EXPECT_NE(pool->acquire(), nullptr);
  pool->release(fibers.back());
}

}  // namespace
}  // namespace jvmc::rt
