// The profiler of one VM: takes samples of what its guest threads do, and adds them up by stack.
//
//   where                                 costs when on                          when off
//   Cpu    a signal (cpu_sampler.h)       a walk of the stack, `hz` times/s      nothing
//   Alloc  slow path of allocation        a walk every `allocBytes`              one branch there
//   Wait   a thread parks, wakes          a copy of its frames' heads            one branch there
//   Fetch  a fetched object has arrived   a walk                                 one branch there
//
// Samples are only noted where they arise, as words. A thread of the profiler's own, which lives as long as a profile
// is taken, finds out ten times a second which functions and lines they mean, and adds them up.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "runtime/abi/layout.h"
#include "runtime/prof/profile_data.h"

namespace jvmc::rt {

class Vm;

class Profiler {
 public:
  explicit Profiler(Vm& vm);
  ~Profiler();
  Profiler(const Profiler&) = delete;

  /// Begins, or goes on with other options. Owner's thread, like stop and take.
  void start(const ProfileOptions& options);
  void stop();
  bool isOn() const { return thread_.joinable(); }
  /// What has gathered since the last time.
  Profile take();

  /// The frames that words of a walk mean, innermost first.
  static std::vector<ProfileFrame> describe(Vm& vm, std::span<const uint64_t> words);

  /// Whether samples of this kind are wanted. Any thread; a relaxed load.
  bool wants(SampleKind kind) const { return wanted_.load(std::memory_order_relaxed) >> unsigned(kind) & 1; }

  /// A slow path of allocation has got `bytes` for an object of this class (or the object's own, if that is more).
  /// On the guest thread; only if wanted.
  void noteAllocation(ThreadContext& ctx, ClassIndex cls, uint64_t bytes);
  /// The thread was parked for `nanos` in its wait, and is still data. Under its mutex; only if wanted.
  void noteWait(const GuestThread& thread, uint64_t nanos);
  /// An object has been fetched for the thread, which waited for it. On the guest thread; only if wanted.
  void noteFetch(ThreadContext& ctx, ObjectRef object, uint32_t home, uint64_t bytes, uint64_t nanos);

 private:
  class Book;  // profile under construction
  struct Note {
    ProfileSample sample;
    ClassIndex cls = 0;
    bool hasClass = false;
    std::vector<uint64_t> words;
  };
  void put(Note note);
  void gather();
  void fallAsleep();
  void run();

  Vm& vm_;
  std::atomic<uint32_t> wanted_{0};
  std::atomic<uint64_t> allocBytes_{0};

  std::mutex mutex_;  // of what follows
  std::vector<Note> notes_;
  uint64_t lost_ = 0;

  std::mutex bookMutex_;
  std::unique_ptr<Book> book_;

  std::mutex runMutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point leaseEnd_{};  ///< the epoch: none
  std::thread thread_;
};

}  // namespace jvmc::rt
