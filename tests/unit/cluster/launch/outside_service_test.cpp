// Every outside call is carried out once, however often it is asked.
#include "cluster/launch/outside_service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>

namespace jvmc::cluster {
namespace {

rt::OutsideCall callOf(uint64_t thread, uint64_t number) {
  rt::OutsideCall call;
  call.thread.id = thread;
  call.number = number;
  return call;
}

class OutsideServiceTest : public testing::Test {
 protected:
  OutsideServiceTest() {
    loop_.startThread();
    loop_.runSync([&] {
      service_ = std::make_unique<OutsideService>(loop_, [this](const rt::OutsideCall& call) {
        ++executed_[{call.thread.id, call.number}];
        if (gate_) gate_->get_future().wait();
        rt::OutsideResult result;
        result.value = call.thread.id * 1000 + call.number;
        return std::optional(result);
      });
    });
  }
  ~OutsideServiceTest() noexcept override {
    loop_.runSync([&] { service_ = nullptr; });
  }

  /// The answer's value, or an error's words in `error`.
  std::future<uint64_t> ask(uint64_t thread, uint64_t number) {
    auto answer = std::make_shared<std::promise<uint64_t>>();
    loop_.post([this, thread, number, answer] {
      loop_.detach(service_->call(callOf(thread, number))
                       .then([answer](rt::OutsideResult result) { answer->set_value(result.value); },
                             [answer](kj::Exception&&) { answer->set_value(UINT64_MAX); }));
    });
    return answer->get_future();
  }

  IoLoop loop_{{}};
  std::unique_ptr<OutsideService> service_;
  std::map<std::pair<uint64_t, uint64_t>, int> executed_;  // one executor at a time in these tests
  std::unique_ptr<std::promise<void>> gate_;
};

TEST_F(OutsideServiceTest, RepeatsTheAnswerOfACallWithoutCarryingItOutAgain) {
  EXPECT_EQ(ask(7, 0).get(), 7000u);
  EXPECT_EQ(ask(7, 0).get(), 7000u);
  EXPECT_EQ(ask(7, 1).get(), 7001u);
  EXPECT_EQ(ask(7, 1).get(), 7001u);
  for (auto& [call, count] : executed_) EXPECT_EQ(count, 1);
}

TEST_F(OutsideServiceTest, AQuestionWhileTheCallRunsGetsTheSameAnswer) {
  gate_ = std::make_unique<std::promise<void>>();
  auto first = ask(7, 0), second = ask(7, 0);
  loop_.runSync([] {});
  gate_->set_value();
  EXPECT_EQ(first.get(), 7000u);
  EXPECT_EQ(second.get(), 7000u);
  EXPECT_EQ((executed_[{7, 0}]), 1);
}

TEST_F(OutsideServiceTest, RefusesCallsThatAreNotTheThreadsNext) {
  EXPECT_EQ(ask(7, 5).get(), UINT64_MAX) << "nothing came before it";
  EXPECT_EQ(ask(7, 0).get(), 7000u);
  EXPECT_EQ(ask(7, 1).get(), 7001u);
  EXPECT_EQ(ask(7, 0).get(), UINT64_MAX) << "an old one";
  EXPECT_EQ(ask(7, 3).get(), UINT64_MAX) << "one was left out";
  EXPECT_EQ(ask(8, 0).get(), 8000u) << "threads do not mind each other";
  EXPECT_EQ(executed_.size(), 3u);
}

TEST(OutsideService, CallsThatBlockDoNotHoldUpOtherThreads) {
  IoLoop loop{{}};
  loop.startThread();
  std::promise<void> release;
  auto released = release.get_future().share();
  std::atomic<int> done{0};
  std::unique_ptr<OutsideService> service;
  loop.runSync([&] {
    service = std::make_unique<OutsideService>(loop, [&, released](const rt::OutsideCall& call) {
      if (call.thread.id != 100) released.wait();
      return std::optional(rt::OutsideResult{});
    });
  });
  std::promise<void> passed;
  loop.post([&] {
    for (uint64_t thread = 0; thread < 20; ++thread)
      loop.detach(service->call(callOf(thread, 0)).then([&](rt::OutsideResult) { ++done; }));
    loop.detach(service->call(callOf(100, 0)).then([&](rt::OutsideResult) { passed.set_value(); }));
  });
  EXPECT_EQ(passed.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(done, 0);
  release.set_value();
  for (int i = 0; i < 1000 && done < 20; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(done, 20);
  loop.runSync([&] { service = nullptr; });
}

}  // namespace
}  // namespace jvmc::cluster
