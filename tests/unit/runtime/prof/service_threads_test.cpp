#include "runtime/prof/service_threads.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>

namespace jvmc::rt {
namespace {

uint64_t ownCpuNanos() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return uint64_t(time.tv_sec) * 1'000'000'000 + uint64_t(time.tv_nsec);
}

/// Uses so much CPU time each time that it is asked to.
class Burner {
 public:
  explicit Burner(const char* name)
      : thread_([this, name] {
          pthread_setname_np(pthread_self(), name);
          for (uint32_t done = 0; !stopped_;) {
            asked_.wait(done);
            for (const uint64_t begin = ownCpuNanos(); ownCpuNanos() - begin < kNanos;) {
            }
            done_ = ++done;
            done_.notify_all();
          }
        }) {}
  ~Burner() {
    stopped_ = true;  // it may see that at once, and burn no more: nobody waits for it
    ++asked_;
    asked_.notify_all();
    thread_.join();
  }
  void burn() {
    const uint32_t before = done_;
    ++asked_;
    asked_.notify_all();
    done_.wait(before);
  }

  static constexpr uint64_t kNanos = 5'000'000;

 private:
  std::atomic<uint32_t> asked_{0}, done_{0};
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

TEST(ServiceThreads, TellWhatTheyHaveUsedSinceTheLastTime) {
  Burner compiler("jvmc-compiler"), other("something");
  compiler.burn();
  other.burn();
  ServiceThreads services;
  std::map<std::string, uint64_t> told;
  const auto take = [&told](const char* name, uint64_t nanos) { told[name] += nanos; };
  services.drain(take);
  EXPECT_LT(told["[compiler]"], Burner::kNanos) << "what it has done before counts for nobody";
  told.clear();
  compiler.burn();
  other.burn();
  services.drain(take);
  EXPECT_GE(told["[compiler]"], Burner::kNanos);
  EXPECT_LT(told["[compiler]"], 2 * Burner::kNanos);
  EXPECT_EQ(told.size(), 1u) << "threads of other names are not told of";
  told.clear();
  services.drain(take);
  EXPECT_LT(told["[compiler]"], Burner::kNanos);
}

}  // namespace
}  // namespace jvmc::rt
