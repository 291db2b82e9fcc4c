#include "runtime/prof/tracer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

namespace jvmc::rt {
namespace {

TraceEvent eventOf(ThreadId thread, int64_t begin) {
  TraceEvent event;
  event.thread = thread;
  event.begin = event.end = begin;
  return event;
}

TEST(Tracer, NothingIsKeptWhileItIsOff) {
  Tracer tracer;
  EXPECT_FALSE(tracer.isOn());
  tracer.add(eventOf(1, 1));
  EXPECT_TRUE(tracer.take().events.empty());
}

TEST(Tracer, EachEventIsTakenOnce) {
  Tracer tracer;
  tracer.start(1024);
  for (int64_t i = 0; i < 10; ++i) tracer.add(eventOf(ThreadId(i) * kNodesMax + 1, i));
  EXPECT_EQ(tracer.take().events.size(), 10u);
  EXPECT_TRUE(tracer.take().events.empty());
  tracer.start(1024);  // goes on
  tracer.add(eventOf(1, 11));
  EXPECT_EQ(tracer.take().events.size(), 1u);
}

TEST(Tracer, TheOldestEventsAreLostAndCounted) {
  Tracer tracer;
  tracer.start(1024);  // 64 for each shard; one thread has one shard
  for (int64_t i = 0; i < 100; ++i) tracer.add(eventOf(1, i));
  const TraceTaken taken = tracer.take();
  ASSERT_EQ(taken.events.size(), 64u);
  EXPECT_EQ(taken.lost, 36u);
  EXPECT_EQ(taken.events.front().begin, 36);
  EXPECT_EQ(taken.events.back().begin, 99);
}

TEST(Tracer, ShortWaitsFetchesAndFlushesAreNotKeptIfAskedSo) {
  Tracer tracer;
  tracer.start(1024, 100);
  for (TraceKind kind : {TraceKind::Run, TraceKind::Wait, TraceKind::Fetch, TraceKind::Flush, TraceKind::Leave}) {
    for (int64_t nanos : {99, 100}) {
      TraceEvent event = eventOf(1, 0);
      event.kind = kind;
      event.end = nanos;
      tracer.add(event);
    }
  }
  std::map<TraceKind, std::vector<int64_t>> kept;
  for (const TraceEvent& event : tracer.take().events) kept[event.kind].push_back(event.end);
  const std::vector<int64_t> all{99, 100}, longOnes{100};
  EXPECT_EQ(kept, (std::map<TraceKind, std::vector<int64_t>>{{TraceKind::Run, all},
                                                             {TraceKind::Wait, longOnes},
                                                             {TraceKind::Fetch, longOnes},
                                                             {TraceKind::Flush, longOnes},
                                                             {TraceKind::Leave, all}}));
}

TEST(Tracer, NoEventIsTakenTwiceOrUncountedWhileManyThreadsAdd) {
  constexpr int64_t kThreads = 3, kEvents = 5000;
  Tracer tracer;
  tracer.start(1024);
  std::atomic<int64_t> running{kThreads};
  std::vector<std::thread> threads;
  for (int64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (int64_t i = 0; i < kEvents; ++i)
        if (tracer.isOn()) tracer.add(eventOf(ThreadId(i % 7) * kNodesMax, thread * kEvents + i));
      --running;
    });
  std::set<int64_t> seen;
  uint64_t lost = 0;
  for (bool isLast = false; !isLast;) {
    isLast = running == 0;
    const TraceTaken taken = tracer.take();
    for (const TraceEvent& event : taken.events) EXPECT_TRUE(seen.insert(event.begin).second);
    lost += taken.lost;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen.size() + lost, uint64_t(kThreads * kEvents));
}

TEST(Tracer, WhatWasNotTakenIsGoneWhenItStops) {
  Tracer tracer;
  tracer.start(1024);
  tracer.add(eventOf(1, 1));
  tracer.stop();
  EXPECT_FALSE(tracer.isOn());
  tracer.start(1024);
  EXPECT_TRUE(tracer.take().events.empty());
}

}  // namespace
}  // namespace jvmc::rt
