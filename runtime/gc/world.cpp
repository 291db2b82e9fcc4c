// The world under one mutex. Stopping is rare; entering and leaving happen once a dispatch or a remote fetch.
//
//   running_         contexts in guest code that do not stand still, plus runtime threads with guest access
//   stopping_        a stop is wanted or under way; nobody enters
//
// Why no stop is missed: the stopper sets stopping_, then the poll limits. A context restores its own poll limit and
// then reads stopping_ with a read-modify-write. If that reads false, it comes before the stopper's exchange, which
// therefore sees the restored limit, and the stopper's store to the limit comes later and stays.
#include "runtime/gc/world.h"

#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "ir/support/check.h"
#include "runtime/gc/saved_stack.h"

namespace jvmc::rt {
namespace {

/// Whether this OS thread keeps a world from stopping, as a context in guest code or with GuestAccess, and how often.
/// Read through a function that is not inlined: a fiber may go on on another OS thread.
struct Presence {
  const World* world = nullptr;
  int depth = 0;
};
[[gnu::noinline]] Presence& presence() {
  static thread_local Presence here;
  asm volatile("");
  return here;
}

void come(const World& world) {
  Presence& here = presence();
  here.world = &world;
  ++here.depth;
}

void go() {
  Presence& here = presence();
  if (--here.depth == 0) here.world = nullptr;
}

class MutexWorld final : public World {
 public:
  void enter(ThreadContext& ctx) override {
    std::unique_lock lock(mutex_);
    waitForResume(lock);
    auto& record = records_[&ctx];
    if (!record) record = std::make_unique<Record>();
    JVMC_CHECK(!record->inGuest);
    record->inGuest = true;
    record->stack.clear();
    ctx.barrierFlags.store(barrierFlags_, std::memory_order_relaxed);
    ++running_;
    come(*this);
  }

  [[gnu::noinline]] void leave(ThreadContext& ctx) override {
    std::unique_lock lock(mutex_);
    Record& record = recordLocked(ctx);
    JVMC_CHECK(record.inGuest);
    record.inGuest = false;
    go();
    JVMC_SAVE_STACK(record.stack, ctx.stackTop);
    stopRunningLocked();
  }

  void remove(ThreadContext& ctx) override {
    std::unique_lock lock(mutex_);
    waitForResume(lock);
    JVMC_CHECK(!recordLocked(ctx).inGuest);
    records_.erase(&ctx);
  }

  [[gnu::noinline]] void safepoint(ThreadContext& ctx) override {
    if (!stopping_.fetch_or(0, std::memory_order_acq_rel)) return;
    std::unique_lock lock(mutex_);
    if (!stopping_.load()) return;
    JVMC_SAVE_STACK(recordLocked(ctx).stack, ctx.stackTop);
    standStill(lock);
  }

  [[gnu::noinline]] void stop(ThreadContext* self, const std::function<void()>& body) override {
    std::unique_lock lock(mutex_);
    if (self) JVMC_SAVE_STACK(recordLocked(*self).stack, self->stackTop);
    while (stopping_.load()) self ? standStill(lock) : waitForResume(lock);
    stopping_.exchange(1, std::memory_order_acq_rel);
    if (self) --running_;
    requestPollsLocked();
    stoodStill_.wait(lock, [&] { return running_ == 0; });
    lock.unlock();  // nobody enters, removes or stops while stopping_ is set
    body();
    lock.lock();
    if (self) ++running_;
    stopping_.store(0);
    resumed_.notify_all();
  }

  void forEachContext(const std::function<void(ThreadContext&)>& visit) override {
    for (auto& [ctx, record] : records_) visit(*ctx);
  }

  void forEachStack(const std::function<void(const uint64_t*, const uint64_t*)>& visit) override {
    for (auto& [ctx, record] : records_) visitSaved(record->stack, visit);
  }

  void visitStack(const ThreadContext& ctx,
                  const std::function<void(const uint64_t*, const uint64_t*)>& visit) override {
    visitSaved(records_.at(const_cast<ThreadContext*>(&ctx))->stack, visit);
  }

  uint64_t standingFrame(const ThreadContext& ctx) const override {
    const auto found = records_.find(const_cast<ThreadContext*>(&ctx));
    return found != records_.end() && found->second->stack.low ? found->second->stack.callerFrame : 0;
  }

  void pollAll() override {
    std::scoped_lock lock(mutex_);
    requestPollsLocked();
  }

  void setBarrierFlags(uint32_t flags) override {
    std::scoped_lock lock(mutex_);
    barrierFlags_ = flags;
    for (auto& [ctx, record] : records_) ctx->barrierFlags.store(flags, std::memory_order_relaxed);
  }

 protected:
  void enterRuntimeThread() override {
    std::unique_lock lock(mutex_);
    waitForResume(lock);
    ++running_;
  }

  void leaveRuntimeThread() override {
    std::scoped_lock lock(mutex_);
    stopRunningLocked();
  }

 private:
  struct Record {
    bool inGuest = false;
    SavedStack stack;
  };

  static void visitSaved(const SavedStack& stack, const std::function<void(const uint64_t*, const uint64_t*)>& visit) {
    visit(stack.copied.data(), stack.copied.data() + stack.copiedCount);
    if (stack.low) visit(stack.low, stack.high);
  }

  Record& recordLocked(ThreadContext& ctx) {
    auto it = records_.find(&ctx);
    JVMC_CHECK(it != records_.end());
    return *it->second;
  }

  void requestPollsLocked() {
    for (auto& [ctx, record] : records_)
      if (record->inGuest) ctx->pollLimit.store(kPollRequested, std::memory_order_release);
  }

  void stopRunningLocked() {
    if (--running_ == 0 && stopping_.load()) stoodStill_.notify_all();
  }

  void waitForResume(std::unique_lock<std::mutex>& lock) {
    resumed_.wait(lock, [&] { return !stopping_.load(); });
  }

  void standStill(std::unique_lock<std::mutex>& lock) {
    stopRunningLocked();
    waitForResume(lock);
    ++running_;
  }

  std::mutex mutex_;
  std::condition_variable resumed_, stoodStill_;
  std::atomic<uint32_t> stopping_{0};
  uint32_t running_ = 0;
  uint32_t barrierFlags_ = 0;
  std::unordered_map<ThreadContext*, std::unique_ptr<Record>> records_;
};

}  // namespace

World::GuestAccess::GuestAccess(World& world) : world_(world), nested_(presence().world == &world) {
  if (!nested_) world_.enterRuntimeThread();
  come(world_);
}
World::GuestAccess::~GuestAccess() {
  go();
  if (!nested_) world_.leaveRuntimeThread();
}

std::unique_ptr<World> World::create() {
  return std::make_unique<MutexWorld>();
}

}  // namespace jvmc::rt
