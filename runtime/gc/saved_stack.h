// The part of a native stack that a conservative scan must look at, taken where a context stands still.
//
//      low | ... frames of the world's own functions ... | cfa | frames of guest code and helpers ... | stackTop
//            ^ callee-saved registers of the guest lie here, so these words are copied
//
// The copy matters for leave(): it returns, its frame goes away, and the registers it had saved are registers again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "ir/support/check.h"

namespace jvmc::rt {

struct SavedStack {
  static constexpr size_t kMaxCopied = 256;
  const uint64_t* low = nullptr;  ///< null: nothing to scan
  const uint64_t* high = nullptr;
  std::array<uint64_t, kMaxCopied> copied;
  size_t copiedCount = 0;
  uint64_t callerFrame = 0;  ///< frame pointer of the caller: where a walk of the frames begins

  void clear() {
    low = high = nullptr;
    copiedCount = 0;
  }

  /// Use JVMC_SAVE_STACK. `cfa` is the end of the frame of the function that saves.
  [[gnu::noinline, gnu::no_sanitize("address", "thread", "undefined")]] void save(const void* cfa, uint64_t stackTop) {
    clear();
    if (!stackTop) return;  // a context without a stack of its own (tests) has nothing to scan
    const auto* from = static_cast<const volatile uint64_t*>(__builtin_frame_address(0));
    const auto* end = static_cast<const uint64_t*>(cfa);
    copiedCount = size_t(end - const_cast<const uint64_t*>(from));
    JVMC_CHECK(copiedCount <= kMaxCopied, copiedCount);
    for (size_t i = 0; i < copiedCount; ++i) copied[i] = from[i];
    // Frame pointers are chained: this function's, its caller's (which goes away), the frame that stays.
    callerFrame = *reinterpret_cast<const volatile uint64_t*>(*from);
    low = end;
    high = reinterpret_cast<const uint64_t*>(stackTop);
  }
};

/// Saves the stack of the *calling* function's caller. The function must not be inlined.
#define JVMC_SAVE_STACK(saved, stackTop)            \
  do {                                              \
    __builtin_unwind_init(); /* spills registers */ \
    (saved).save(__builtin_dwarf_cfa(), stackTop);  \
  } while (0)

}  // namespace jvmc::rt
