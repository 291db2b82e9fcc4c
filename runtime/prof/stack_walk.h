// Reads the stack of a guest thread without disturbing it: compiled frames by the chain of frame pointers, interpreted
// ones from the interpreter's own list, what lies below as data from the thread's portable frames.
//
//      innermost                                                                                    outermost
//      leaf pc │ return addresses (compiled code, helpers) │ interpreted │ compiled │ ... │ portable frames as data
//
// All code of ours keeps frame pointers, compiled guest code as well. A function that is just being entered has none
// yet: then its caller is missing from the stack.
//
// A stack is a list of words, innermost first. What they mean is found out later (profiler.h), so that reading is quick
// and safe in a signal handler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/thread.h"

namespace jvmc::rt {

/// A word with this bit: a frame of the interpreter or one that is data, `function << 32 | flat index`. Without it: an
/// address in machine code, of a call for all but the innermost.
inline constexpr uint64_t kPortableWord = uint64_t(1) << 63;
inline constexpr uint32_t kUnknownFlat = ~0u;
inline constexpr uint64_t portableWord(uint32_t function, uint32_t flat) {
  return kPortableWord | uint64_t(function) << 32 | flat;
}
inline constexpr uint32_t functionOfWord(uint64_t word) {
  return uint32_t(word >> 32) & 0x7FFF'FFFF;
}
inline constexpr size_t kWalkWordsMax = 192;

/// Where a walk begins.
struct StackStart {
  uint64_t pc = 0;  ///< of the innermost frame, 0: it does not count
  uint64_t sp = 0;  ///< everything below is free
  uint64_t fp = 0;  ///< frame pointer
  /// Registers as they are there: one of them may hold the program counter of the interpreter's innermost frame.
  std::span<const uint64_t> registers{};
};

/// Writes the words of the context's stack and gives their number, at most out.size(). The context runs on this OS
/// thread (which a signal may have interrupted anywhere) or stands still. Reads memory of the fiber only.
size_t walkStack(const ThreadContext& ctx, const StackStart& start, std::span<uint64_t> out);

/// The caller's own stack: from a helper, on the guest thread's fiber.
size_t walkOwnStack(const ThreadContext& ctx, std::span<uint64_t> out);

/// A thread that is data.
size_t walkFrames(const FrameStack& frames, std::span<uint64_t> out);

}  // namespace jvmc::rt
