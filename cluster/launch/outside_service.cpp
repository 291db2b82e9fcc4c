#include "cluster/launch/outside_service.h"

#include <fmt/format.h>

#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

/// Threads that carry calls out. Shared with them, so that one that blocks may outlive the service.
struct OutsideService::Executors {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;  // guarded by mutex, as all below
  size_t threads = 0, idle = 0;
  bool closed = false;

  static void run(std::shared_ptr<Executors> self, std::function<void()> task) {
    std::unique_lock lock(self->mutex);
    if (self->closed) return;
    self->tasks.push_back(std::move(task));
    if (self->idle >= self->tasks.size() || self->threads >= kMaxExecutors) {
      self->changed.notify_one();
      return;
    }
    ++self->threads;
    std::thread([self] { self->work(); }).detach();
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [&] { return closed || !tasks.empty(); });
      --idle;
      if (closed) return;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }
};

OutsideService::OutsideService(IoLoop& loop, Execute execute) : loop_(loop), executors_(std::make_shared<Executors>()) {
  execute_ = std::make_shared<Execute>(std::move(execute));
}

OutsideService::~OutsideService() {
  close();
}

void OutsideService::close() {
  closed_ = true;
  *alive_ = nullptr;
  // Whoever still waits is never answered: an error would look like one of the outside world to a thread that ends.
  abandoned_.merge(lastCalls_);
  std::lock_guard lock(executors_->mutex);
  executors_->closed = true;
  executors_->tasks.clear();
  executors_->changed.notify_all();
}

kj::Promise<rt::OutsideResult> OutsideService::call(rt::OutsideCall call) {
  if (closed_) return kj::Promise<rt::OutsideResult>(kj::NEVER_DONE);
  auto [entry, isFirst] = lastCalls_.try_emplace(call.thread.id);
  LastCall& last = entry->second;
  uint64_t expected = isFirst ? 0 : last.number + 1;
  if (!isFirst && call.number == last.number && last.done) return rt::OutsideResult(last.result);

  auto paf = kj::newPromiseAndFulfiller<rt::OutsideResult>();
  if (!isFirst && call.number == last.number) {
    last.waiting.push_back(kj::mv(paf.fulfiller));
    return kj::mv(paf.promise);
  }
  if (call.number != expected || (!isFirst && !last.done)) {
    std::string why = fmt::format("outside call {} of thread {} where call {} was expected", call.number,
                                  call.thread.id, last.done || isFirst ? expected : last.number);
    if (isFirst) lastCalls_.erase(entry);
    return toException({ErrorCode::kInvalidInput, std::move(why)});
  }
  last = LastCall{};
  last.number = call.number;
  last.waiting.push_back(kj::mv(paf.fulfiller));
  Executors::run(executors_, [loop = &loop_, alive = alive_, execute = execute_, call = std::move(call)] {
    auto result = (*execute)(call);
    if (!result) return;
    loop->post([alive, thread = call.thread.id, number = call.number, result = std::move(*result)]() mutable {
      if (*alive) (*alive)->finished(thread, number, std::move(result));
    });
  });
  return kj::mv(paf.promise);
}

void OutsideService::finished(rt::ThreadId thread, uint64_t number, rt::OutsideResult result) {
  LastCall& last = lastCalls_[thread];
  JVMC_CHECK(last.number == number && !last.done, last.number, number);
  last.done = true;
  last.result = std::move(result);
  for (auto& fulfiller : last.waiting) fulfiller->fulfill(rt::OutsideResult(last.result));
  last.waiting.clear();
}

}  // namespace jvmc::cluster
