// How busy a simulated node is, as the balancer's meter asks it of a scheduler: threads that want a core each, or
// nothing, on a few workers. When they want more than there is, all get less.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "ir/support/check.h"
#include "runtime/sched/scheduler.h"
#include "tests/simulator/events.h"

namespace jvmc::sim {

class SimLoad final : public rt::Scheduler {
 public:
  SimLoad(const Events& events, uint32_t workers) : events_(events), cpuOfWorkers_(workers) {}

  /// Made up from its id: some threads compute all the time, the others wait for something and want nothing.
  static double shareOf(rt::ThreadId thread) { return (thread * 0x9E37'79B9'7F4A'7C15 >> 40) % 5 < 3 ? 1 : 0; }

  void add(const rt::ThreadRef& thread) {
    advance();
    wanted_ += shareOf(thread.id);
    threads_[thread.id] = {thread, 0};
  }
  void remove(rt::ThreadId thread) {
    advance();
    if (threads_.erase(thread)) wanted_ -= shareOf(thread);
  }
  double wanted() const { return wanted_; }

  // -- rt::Scheduler: what the meter asks
  std::vector<rt::ThreadSnapshot> snapshot() const override {
    advance();
    std::vector<rt::ThreadSnapshot> all;
    all.reserve(threads_.size());
    for (const auto& [id, thread] : threads_) {
      rt::ThreadSnapshot& one = all.emplace_back();
      one.ref = thread.ref;
      one.state = shareOf(id) > 0 ? rt::ThreadState::Running : rt::ThreadState::Parked;
      one.wait.kind = shareOf(id) > 0 ? rt::WaitKind::None : rt::WaitKind::Sleep;
      one.stats.cpuNanosInterpreter = thread.cpuNanos;
      one.cpuNanosRecent = uint64_t(shareOf(id) * given() * 100e6);
      one.frameBytes = 200;
    }
    return all;
  }
  size_t threadCount() const override { return threads_.size(); }
  uint32_t occupiedWorkers() const override { return uint32_t(std::min<size_t>(workers(), size_t(wanted_ + 0.5))); }
  uint32_t queuedThreads() const override { return wanted_ > double(workers()) ? uint32_t(wanted_) - workers() : 0; }
  std::vector<uint64_t> workerCpuNanos() const override {
    advance();
    return cpuOfWorkers_;
  }

  // -- what it does not
  bool adopt(std::unique_ptr<rt::GuestThread>) override { JVMC_UNREACHABLE(); }
  bool isHere(rt::ThreadId) const override { JVMC_UNREACHABLE(); }
  bool deliver(const rt::ThreadRef&, const rt::ThreadMail&) override { JVMC_UNREACHABLE(); }
  bool completeOutside(const rt::ThreadRef&, uint64_t, rt::OutsideResult) override { JVMC_UNREACHABLE(); }
  std::shared_ptr<Suspension> prepareSuspend(rt::ThreadContext&) override { JVMC_UNREACHABLE(); }
  void suspend(rt::ThreadContext&, std::shared_ptr<Suspension>) override { JVMC_UNREACHABLE(); }
  void resume(Suspension&) override { JVMC_UNREACHABLE(); }
  void armTimer(rt::GuestThread&, int64_t) override { JVMC_UNREACHABLE(); }
  rt::Timers& timers() override { JVMC_UNREACHABLE(); }
  void beginWaits() override { JVMC_UNREACHABLE(); }
  void noteWaits() override { JVMC_UNREACHABLE(); }
  void noteRuns() override { JVMC_UNREACHABLE(); }
  void visitThreads(const std::function<void(const rt::GuestThread&, bool, bool)>&) const override {
    JVMC_UNREACHABLE();
  }
  void waitIdle() override { JVMC_UNREACHABLE(); }
  void stopAll() override { JVMC_UNREACHABLE(); }
  void visitRoots(const std::function<void(rt::ObjectRef)>&) override { JVMC_UNREACHABLE(); }
  void visitAnswers(const std::function<void(const rt::Resumption&)>&) override { JVMC_UNREACHABLE(); }

 private:
  struct Thread {
    rt::ThreadRef ref;
    uint64_t cpuNanos = 0;
  };

  uint32_t workers() const { return uint32_t(cpuOfWorkers_.size()); }
  /// The share of what it wants that each thread gets.
  double given() const { return wanted_ > workers() ? workers() / wanted_ : 1; }
  void advance() const {
    const double nanos = double(events_.now() - then_);
    then_ = events_.now();
    if (nanos <= 0) return;
    for (auto& [id, thread] : threads_) thread.cpuNanos += uint64_t(nanos * shareOf(id) * given());
    for (uint64_t& cpu : cpuOfWorkers_) cpu += uint64_t(nanos * std::min(1.0, wanted_ / workers()));
  }

  const Events& events_;
  double wanted_ = 0;
  mutable int64_t then_ = 0;
  mutable std::vector<uint64_t> cpuOfWorkers_;
  mutable std::map<rt::ThreadId, Thread> threads_;
};

}  // namespace jvmc::sim
