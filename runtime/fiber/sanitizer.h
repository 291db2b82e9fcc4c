// What AddressSanitizer and ThreadSanitizer must be told about a switch of stacks. Empty in other builds.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JVMC_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define JVMC_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define JVMC_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define JVMC_TSAN 1
#endif

#if JVMC_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if JVMC_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace jvmc::rt {

/// One side of a switch: the stack that is left and comes back later. Sequence on both sides:
///     leaving.beforeSwitchTo(entering); <switch>; here.afterSwitch();
class SwitchNote {
 public:
  void setStack(const void* bottom, size_t bytes) {
    bottom_ = bottom;
    bytes_ = bytes;
  }

#if JVMC_TSAN
  void useNewFiber() { tsanFiber_ = __tsan_create_fiber(0); }
  void useCurrentThread() { tsanFiber_ = __tsan_get_current_fiber(); }
  void destroyFiber() {
    if (tsanFiber_) __tsan_destroy_fiber(tsanFiber_);
  }
  bool hasFiber() const { return tsanFiber_ != nullptr; }
#else
  void useNewFiber() {}
  void useCurrentThread() {}
  void destroyFiber() {}
  bool hasFiber() const { return true; }
#endif

  /// A new body starts on this stack: forget what the last one left poisoned.
  void forgetFrames() {
#if JVMC_ASAN
    ASAN_UNPOISON_MEMORY_REGION(bottom_, bytes_);
#endif
  }

  /// `forGood`: control never comes back to this stack.
  void beforeSwitchTo(SwitchNote& target, bool forGood = false) {
#if JVMC_ASAN
    __sanitizer_start_switch_fiber(forGood ? nullptr : &fakeStack_, target.bottom_, target.bytes_);
#endif
#if JVMC_TSAN
    __tsan_switch_to_fiber(target.tsanFiber_, 0);
#endif
  }

  /// Now running on this note's stack. `previous`, if given, learns the bounds of the stack that was left.
  void afterSwitch(SwitchNote* previous = nullptr) {
#if JVMC_ASAN
    const void* bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(fakeStack_, &bottom, &bytes);
    fakeStack_ = nullptr;
    if (previous) previous->setStack(bottom, bytes);
#endif
  }

 private:
  const void* bottom_ = nullptr;
  size_t bytes_ = 0;
#if JVMC_ASAN
  void* fakeStack_ = nullptr;
#endif
#if JVMC_TSAN
  void* tsanFiber_ = nullptr;
#endif
};

}  // namespace jvmc::rt
