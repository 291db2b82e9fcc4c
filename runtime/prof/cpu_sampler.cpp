#include "runtime/prof/cpu_sampler.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime/prof/stack_walk.h"

// glibc hides the member behind no name of its own.
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace jvmc::rt {
namespace {

constexpr size_t kRingWords = 16384;
constexpr size_t kHeadWords = 4;  // number of words of the stack, VM, thread, nanoseconds
constexpr size_t kAlternateStackBytes = 64u << 10;

/// One writer, the signal handler on the thread that owns it; one reader at a time.
class Ring {
 public:
  bool put(const uint64_t (&head)[kHeadWords], const uint64_t* words) {
    const size_t count = kHeadWords + head[0];
    const uint64_t end = end_.load(std::memory_order_relaxed);
    if (end + count - begin_.load(std::memory_order_acquire) > kRingWords) return false;
    for (size_t i = 0; i < kHeadWords; ++i) words_[(end + i) % kRingWords] = head[i];
    for (size_t i = 0; i < head[0]; ++i) words_[(end + kHeadWords + i) % kRingWords] = words[i];
    end_.store(end + count, std::memory_order_release);
    return true;
  }

  /// Calls take(head, words) for each entry.
  template <class Take>
  void drain(Take take) {
    uint64_t head[kHeadWords];
    std::vector<uint64_t> words;
    uint64_t begin = begin_.load(std::memory_order_relaxed);
    while (begin != end_.load(std::memory_order_acquire)) {
      for (size_t i = 0; i < kHeadWords; ++i) head[i] = words_[(begin + i) % kRingWords];
      words.resize(head[0]);
      for (size_t i = 0; i < head[0]; ++i) words[i] = words_[(begin + kHeadWords + i) % kRingWords];
      begin += kHeadWords + head[0];
      begin_.store(begin, std::memory_order_release);
      take(head, words);
    }
  }

 private:
  std::atomic<uint64_t> begin_{0}, end_{0};
  std::unique_ptr<uint64_t[]> words_{new uint64_t[kRingWords]};
};

/// An OS thread that runs guest code now and then.
struct Worker {
  pid_t id = 0;
  clockid_t clock = 0;
  std::atomic<ThreadContext*> running{nullptr};
  std::atomic<const Vm*> vm{nullptr};  // whose guest code it ran last
  std::atomic<Ring*> ring{nullptr};    // made at the first start
  std::atomic<uint64_t> lost{0};
  std::atomic<uint64_t> periodNanos{0};
  std::unique_ptr<Ring> ownRing;
  bool hasTimer = false;
  timer_t timer{};
};

struct Registry {
  std::mutex mutex;
  std::vector<Worker*> workers;
  struct Gathered {
    std::vector<std::pair<CpuSample, std::vector<uint64_t>>> samples;
    uint64_t lost = 0;
  };
  std::map<const Vm*, Gathered> vms;  // that want samples
  uint64_t periodNanos = 0;           // 0: nobody does
  bool handles = false;
};
Registry& registry() {
  static Registry& all = *new Registry;  // workers may end after static objects have gone
  return all;
}

// Reached only through functions that are not inlined: a fiber continues on another worker (see workers.cpp).
constinit thread_local Worker* workerOfThisThread = nullptr;
[[gnu::noinline]] Worker* thisWorker() {
  return workerOfThisThread;
}

#if defined(__x86_64__)
StackStart startOf(const ucontext_t& context, uint64_t (&registers)[6]) {
  const greg_t* g = context.uc_mcontext.gregs;
  const int kept[] = {REG_RBX, REG_R12, REG_R13, REG_R14, REG_R15, REG_R10};
  for (size_t i = 0; i < 6; ++i) registers[i] = uint64_t(g[kept[i]]);
  return {uint64_t(g[REG_RIP]), uint64_t(g[REG_RSP]), uint64_t(g[REG_RBP]), registers};
}
#elif defined(__aarch64__)
StackStart startOf(const ucontext_t& context, uint64_t (&registers)[6]) {
  for (size_t i = 0; i < 6; ++i) registers[i] = context.uc_mcontext.regs[19 + i];
  return {context.uc_mcontext.pc, context.uc_mcontext.sp, context.uc_mcontext.regs[29], registers};
}
#endif

void onSignal(int, siginfo_t* info, void* context) {
  const int savedErrno = errno;
  Worker* worker = thisWorker();
  Ring* ring = worker ? worker->ring.load(std::memory_order_acquire) : nullptr;
  if (ring) {
    uint64_t words[kWalkWordsMax], registers[6];
    const ThreadContext* ctx = worker->running.load(std::memory_order_relaxed);
    const uint64_t nanos = worker->periodNanos.load(std::memory_order_relaxed) * uint64_t(1 + info->si_overrun);
    uint64_t head[kHeadWords] = {0, uint64_t(worker->vm.load(std::memory_order_relaxed)), 0, nanos};
    if (ctx && ctx->thread) {
      head[2] = ctx->thread->ref.id;
      if (ctx->framesStand) head[0] = walkStack(*ctx, startOf(*static_cast<ucontext_t*>(context), registers), words);
    }
    if (!ring->put(head, words)) worker->lost.fetch_add(1, std::memory_order_relaxed);
  }
  errno = savedErrno;
}

void setTimer(Worker& worker, uint64_t periodNanos) {
  if (!worker.hasTimer) {
    if (periodNanos == 0) return;
    if (!worker.ownRing) {
      worker.ownRing = std::make_unique<Ring>();
      worker.ring.store(worker.ownRing.get(), std::memory_order_release);
    }
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event.sigev_notify_thread_id = worker.id;
    if (timer_create(worker.clock, &event, &worker.timer) != 0) return;  // no more timers: a worker goes unsampled
    worker.hasTimer = true;
  }
  worker.periodNanos.store(periodNanos, std::memory_order_relaxed);
  itimerspec when{};
  when.it_interval = {time_t(periodNanos / 1'000'000'000), long(periodNanos % 1'000'000'000)};
  when.it_value = when.it_interval;
  timer_settime(worker.timer, 0, &when, nullptr);
}

/// Registers the OS thread until it ends.
class Attachment {
 public:
  Attachment() {
    worker_.id = pid_t(syscall(SYS_gettid));
    pthread_getcpuclockid(pthread_self(), &worker_.clock);
    // The handler must not use up a fiber's stack.
    stack_t present{};
    if (sigaltstack(nullptr, &present) == 0 && present.ss_flags & SS_DISABLE) {
      memory_ = std::make_unique<char[]>(kAlternateStackBytes);
      stack_t mine{};
      mine.ss_sp = memory_.get();
      mine.ss_size = kAlternateStackBytes;
      sigaltstack(&mine, nullptr);
    }
    Registry& all = registry();
    std::scoped_lock lock(all.mutex);
    all.workers.push_back(&worker_);
    if (all.periodNanos) setTimer(worker_, all.periodNanos);
    workerOfThisThread = &worker_;
  }
  ~Attachment() {
    Registry& all = registry();
    std::scoped_lock lock(all.mutex);
    workerOfThisThread = nullptr;
    if (worker_.hasTimer) timer_delete(worker_.timer);
    std::erase(all.workers, &worker_);
    if (!memory_) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
  Attachment(const Attachment&) = delete;

 private:
  Worker worker_;
  std::unique_ptr<char[]> memory_;
};

[[gnu::noinline]] Worker* attachThisThread() {
  static thread_local Attachment attachment;
  return thisWorker();
}

void handleSignals() {
  struct sigaction action{};
  action.sa_sigaction = &onSignal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGPROF, &action, nullptr);
}

}  // namespace

[[gnu::noinline]] void CpuSampler::setRunning(ThreadContext* ctx) {
  Worker* worker = thisWorker();
  if (!worker) [[unlikely]]
    worker = attachThisThread();
  worker->running.store(ctx, std::memory_order_relaxed);
  if (ctx) worker->vm.store(ctx->vm, std::memory_order_relaxed);
}

void CpuSampler::start(const Vm& vm, uint32_t hz) {
  Registry& all = registry();
  std::scoped_lock lock(all.mutex);
  if (!std::exchange(all.handles, true)) handleSignals();
  all.vms[&vm];
  all.periodNanos = 1'000'000'000 / std::max(hz, 1u);
  for (Worker* worker : all.workers) setTimer(*worker, all.periodNanos);
}

void CpuSampler::stop(const Vm& vm) {
  Registry& all = registry();
  std::scoped_lock lock(all.mutex);
  all.vms.erase(&vm);
  if (!all.vms.empty()) return;
  all.periodNanos = 0;
  for (Worker* worker : all.workers) setTimer(*worker, 0);
}

uint64_t CpuSampler::drain(const Vm& vm, const std::function<void(const CpuSample&)>& take) {
  Registry::Gathered mine;
  {
    Registry& all = registry();
    std::scoped_lock lock(all.mutex);
    for (Worker* worker : all.workers) {
      Ring* ring = worker->ring.load(std::memory_order_acquire);
      if (!ring) continue;
      ring->drain([&](const uint64_t(&head)[kHeadWords], const std::vector<uint64_t>& words) {
        const auto whose = all.vms.find(reinterpret_cast<const Vm*>(head[1]));
        if (whose != all.vms.end()) whose->second.samples.push_back({{head[2], head[3], {}}, words});
      });
      if (const auto whose = all.vms.find(worker->vm.load()); whose != all.vms.end())
        whose->second.lost += worker->lost.exchange(0);
    }
    if (const auto found = all.vms.find(&vm); found != all.vms.end()) mine = std::exchange(found->second, {});
  }
  for (auto& [sample, words] : mine.samples) {
    sample.words = words;
    take(sample);
  }
  return mine.lost;
}

}  // namespace jvmc::rt
