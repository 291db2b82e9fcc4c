// Fibers on Boost.Context's fcontext: a switch saves six registers on the stack that is left and loads six others.
//
// The pool maps slabs of kSlabFibers slots. A slot is [interpreter area | guard page | native stack]. A guard page
// splits its mapping, so each guarded slot costs two of the 65,530 mappings a process may have; slots beyond
// kGuardedFibers do without (the stack-limit compare of guest code still holds there, and 64 KiB of reserve lie below
// it).
#include "runtime/fiber/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <mutex>
#include <new>
#include <vector>

#include "ir/support/check.h"
#include "runtime/fiber/sanitizer.h"

namespace jvmc::rt {
namespace {

namespace context = boost::context::detail;

constexpr size_t kSlabFibers = 64;
constexpr size_t kGuardedFibers = 8192;
/// Free fibers that keep their pages; others give them back to the system when released.
constexpr size_t kWarmFibers = 64;

class PooledFiber final : public Fiber {
 public:
  /// `memory`: interpreterBytes, guardBytes, nativeBytes one after another.
  PooledFiber(char* memory, const FiberOptions& options, size_t guardBytes)
      : interpreterStack_(memory),
        interpreterBytes_(options.interpreterBytes),
        nativeStack_(memory + options.interpreterBytes + guardBytes),
        nativeBytes_(options.nativeBytes),
        reserveBytes_(options.reserveBytes) {
    note_.setStack(nativeStack_, nativeBytes_);
  }
  ~PooledFiber() override {
    note_.forgetFrames();  // the memory will be someone else's
    note_.destroyFiber();
  }

  ThreadContext& context() override { return context_; }

  void reset() {
    context_.~ThreadContext();
    new (&context_) ThreadContext;
    context_.stackLimit = uint64_t(nativeStack_) + reserveBytes_;
    context_.stackTop = stackTop();
    context_.stackLow = uint64_t(nativeStack_);
    context_.pollLimit.store(context_.stackLimit, std::memory_order_relaxed);
    context_.fiber = this;
  }

  bool start(std::function<void()> body) override {
    JVMC_CHECK(state_ == State::Idle, int(state_));
    body_ = std::move(body);
    if (!note_.hasFiber()) note_.useNewFiber();
    note_.forgetFrames();
    here_ = context::make_fcontext(nativeStack_ + nativeBytes_, nativeBytes_, &PooledFiber::enter);
    return switchIn();
  }

  bool resume() override {
    JVMC_CHECK(state_ == State::Suspended, int(state_));
    return switchIn();
  }

  void suspend() override {
    JVMC_CHECK(state_ == State::Running, int(state_));
    state_ = State::Suspended;
    note_.beforeSwitchTo(workerNote_);
    worker_ = context::jump_fcontext(worker_, nullptr).fctx;
    note_.afterSwitch(&workerNote_);
  }

  uint64_t savedStackPointer() const override { return uint64_t(here_); }
  uint64_t stackTop() const override { return uint64_t(nativeStack_) + nativeBytes_; }
  uint64_t* interpreterStack() override { return reinterpret_cast<uint64_t*>(interpreterStack_); }
  size_t interpreterWords() const override { return interpreterBytes_ / 8; }

  /// What stands on its stack is never run again; nothing there owns anything but memory.
  void abandon() {
    JVMC_CHECK(state_ != State::Running);
    state_ = State::Idle;
    body_ = nullptr;
  }

  void dropPages() {
    madvise(interpreterStack_, interpreterBytes_, MADV_DONTNEED);
    madvise(nativeStack_, nativeBytes_, MADV_DONTNEED);
  }

 private:
  enum class State : uint8_t { Idle, Running, Suspended };

  /// On the worker's stack: runs the fiber until it suspends or ends.
  bool switchIn() {
    state_ = State::Running;
    workerNote_.useCurrentThread();
    workerNote_.beforeSwitchTo(note_);
    here_ = context::jump_fcontext(here_, this).fctx;
    workerNote_.afterSwitch();
    return state_ == State::Idle;
  }

  static void enter(context::transfer_t from) noexcept {
    PooledFiber& self = *static_cast<PooledFiber*>(from.data);
    self.worker_ = from.fctx;
    self.note_.afterSwitch(&self.workerNote_);
    self.body_();
    self.body_ = nullptr;
    self.state_ = State::Idle;
    self.note_.beforeSwitchTo(self.workerNote_, /*forGood=*/true);
    context::jump_fcontext(self.worker_, nullptr);
    JVMC_UNREACHABLE("an ended fiber was resumed");
  }

  ThreadContext context_;
  char* interpreterStack_;
  size_t interpreterBytes_;
  char* nativeStack_;
  size_t nativeBytes_;
  size_t reserveBytes_;
  std::function<void()> body_;
  context::fcontext_t here_ = nullptr;    // while it does not run: where it goes on (its stack pointer)
  context::fcontext_t worker_ = nullptr;  // while it runs: where the worker goes on
  State state_ = State::Idle;
  SwitchNote note_, workerNote_;
};

class MappedFiberPool final : public FiberPool {
 public:
  explicit MappedFiberPool(FiberOptions options) : options_(options), guardBytes_(size_t(sysconf(_SC_PAGESIZE))) {
    auto roundUp = [&](size_t bytes) { return (bytes + guardBytes_ - 1) & ~(guardBytes_ - 1); };
    options_.interpreterBytes = roundUp(options_.interpreterBytes);
    options_.nativeBytes = roundUp(options_.nativeBytes);
    JVMC_CHECK(options_.reserveBytes < options_.nativeBytes, options_.reserveBytes, options_.nativeBytes);
  }

  ~MappedFiberPool() override {
    JVMC_CHECK(free_.size() == fibers_.size(), free_.size(), fibers_.size());
    fibers_.clear();
    for (char* slab : slabs_) munmap(slab, kSlabFibers * slotBytes());
  }

  Fiber* acquire() override {
    PooledFiber* fiber = takeFree();
    if (fiber) fiber->reset();
    return fiber;
  }

  void release(Fiber* released) override {
    auto* fiber = static_cast<PooledFiber*>(released);
    fiber->abandon();
    bool cold;
    {
      std::scoped_lock lock(mutex_);
      cold = free_.size() >= kWarmFibers;
    }
    if (cold) fiber->dropPages();
    std::scoped_lock lock(mutex_);
    free_.push_back(fiber);
  }

 private:
  size_t slotBytes() const { return options_.interpreterBytes + guardBytes_ + options_.nativeBytes; }

  PooledFiber* takeFree() {
    std::scoped_lock lock(mutex_);
    if (free_.empty() && !addFiberLocked()) return nullptr;
    PooledFiber* fiber = free_.back();  // the last one released: its pages are warm
    free_.pop_back();
    return fiber;
  }

  bool addFiberLocked() {
    if (fibers_.size() >= options_.maxFibers) return false;
    size_t indexInSlab = fibers_.size() % kSlabFibers;
    if (indexInSlab == 0) {
      void* slab = mmap(nullptr, kSlabFibers * slotBytes(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (slab == MAP_FAILED) return false;
      madvise(slab, kSlabFibers * slotBytes(), MADV_NOHUGEPAGE);  // a thread's first frames must not cost 2 MiB
      slabs_.push_back(static_cast<char*>(slab));
    }
    char* memory = slabs_.back() + indexInSlab * slotBytes();
    if (fibers_.size() < kGuardedFibers && mprotect(memory + options_.interpreterBytes, guardBytes_, PROT_NONE) != 0)
      return false;
    fibers_.push_back(std::make_unique<PooledFiber>(memory, options_, guardBytes_));
    free_.push_back(fibers_.back().get());
    return true;
  }

  FiberOptions options_;
  const size_t guardBytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PooledFiber>> fibers_;
  std::vector<PooledFiber*> free_;
  std::vector<char*> slabs_;
};

}  // namespace

std::unique_ptr<FiberPool> FiberPool::create(FiberOptions options) {
  return std::make_unique<MappedFiberPool>(options);
}

}  // namespace jvmc::rt
