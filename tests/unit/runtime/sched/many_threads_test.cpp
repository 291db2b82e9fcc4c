// A hundred thousand parked threads on one node: no native thread or stack for any of them, less than 1 KiB each, and
// all of them wake up again.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/sanitized.h"
#include "tests/unit/runtime/sched/fake_vm.h"

namespace jvmc::rt {
namespace {

constexpr int kThreads = kSanitizedBuild ? 5'000 : 100'000;
constexpr bool kMeasure = !kSanitizedBuild;

size_t nativeThreads() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "Threads:") {
      size_t n;
      status >> n;
      return n;
    }
  return 0;
}

/// A fiber pool's worth of scripts is not part of the price: they stand for guest code.
struct OneScript {
  static Did run(Guest& g, std::atomic<int>& woken) {
    if (g.thread.frames.empty()) {
      g.thread.frames.push(0, 1, 6)[0] = 1;
      return g.sleep(3600'000'000'000);
    }
    ++woken;
    return g.end();
  }
};

TEST(ManyThreads, a_hundred_thousand_sleepers_cost_less_than_a_kibibyte_each) {
  FakeVm vm;
  std::atomic<int> woken{0};
  std::vector<ThreadRef> threads;
  threads.reserve(kThreads);
  auto script = [&woken](Guest& g) { return OneScript::run(g, woken); };
  // Scripts are registered by spawn() as well: measure what they take and leave it out.
  Scripts other;
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < kThreads; ++i) other.add(ThreadId(i), script);
  size_t scripts = mallinfo2().uordblks - before;
  before = mallinfo2().uordblks;
  int64_t start = nowNanos();
  for (int i = 0; i < kThreads; ++i) threads.push_back(vm.spawn(script));
  auto parked = [&] {
    size_t n = 0;
    for (const ThreadSnapshot& each : vm.scheduler().snapshot()) n += each.state == ThreadState::Parked;
    return n;
  };
  while (parked() < size_t(kThreads)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  int64_t asleep = nowNanos();
  size_t bytes = (mallinfo2().uordblks - before - scripts) / kThreads;
  EXPECT_LT(nativeThreads(), 20u);
  for (const ThreadRef& thread : threads) vm.interrupt(thread);
  vm.scheduler().waitIdle();
  int64_t end = nowNanos();
  EXPECT_EQ(woken, kThreads);
  if (!kMeasure) return;
  RecordProperty("bytes_per_thread", int(bytes));
  printf("%zu bytes a parked thread; %.2f us to create and park, %.2f us to interrupt, wake and end\n", bytes,
         double(asleep - start) / 1e3 / kThreads, double(end - asleep) / 1e3 / kThreads);
  EXPECT_LT(bytes, 1024u);
}

}  // namespace
}  // namespace jvmc::rt
