// The thread context: what compiled code, the interpreter and the helpers share about the guest thread that runs on
// this fiber. Passed as the first argument everywhere; offsets are part of the ABI. A context belongs to a fiber stack,
// not to a guest thread: a parked thread is only frames.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/abi/class_info.h"
#include "runtime/abi/object.h"

namespace jvmc::rt {

class GuestThread;
class Vm;

/// Why control is returning through frames. Written only by the thread itself; read after every call that may
/// reach a safepoint. A callee that returns normally leaves None. No poll lies between a throw and its handler.
enum class Unwinding : uint32_t {
  None = 0,
  Exception = 1,  ///< `exception` is pending: go to the handler or return
  Capture = 2,    ///< store this frame with captureFrame() and return
};

/// pollLimit value that makes every poll and every stack check take its slow path.
inline constexpr uint64_t kPollRequested = ~uint64_t(0);

inline constexpr uint32_t kBarrierAlways = 1u << 31;

struct ThreadContext {
  /// Stack limit and poll request in one word: functions compare the stack pointer with it on entry, loops compare it
  /// with kPollRequested. Any thread may store kPollRequested (relaxed is enough, it is re-read); only the owner
  /// restores the limit, before it reads the request bits.
  std::atomic<uint64_t> pollLimit{0};
  Unwinding unwinding = Unwinding::None;
  uint32_t depth = 0;       ///< guest depth: live frames of functions that may recurse, data frames included
  uint64_t epoch = 0;       ///< T.epoch as an epoch word (writer bits 0)
  uint64_t writerSlot = 0;  ///< 16-bit slot leased at the first cached write, 0 = none
  ObjectRef exception = kNullRef;
  uint64_t allocCursor = 0;  ///< bump allocation: [cursor, limit) is zeroed and ours
  uint64_t allocLimit = 0;
  /// A reference store calls storeBarrier() first if `barrierFlags & (class word of the object | kBarrierAlways)` is
  /// not zero: kFlagOld in it asks for stores into old objects.
  std::atomic<uint32_t> barrierFlags{0};
  uint32_t depthLimit = 0;                       ///< depth at which StackOverflowError is thrown
  const ClassInfo* const* classes = nullptr;     ///< by ClassIndex
  FunctionCell* cells = nullptr;                 ///< by FunctionId
  const std::atomic<uint64_t>* clock = nullptr;  ///< node clock as an epoch word
  uint64_t lockOwner = 0;  ///< thread id << kLockOwnerShift, or 0 if the id is too large for thin locks
  ObjectRef threadObject = kNullRef;
  uint64_t safepointCountdown =
      ~uint64_t(0);  ///< zeal: safepoints until the next forced action (interpreter and helpers)

  uint64_t chunkStates = 0;  ///< the ChunkState of `address` is at chunkStates + (address >> kArrayChunkShift) * 16

  // -- below: runtime only, compiled code never looks
  GuestThread* thread = nullptr;
  Vm* vm = nullptr;
  uint64_t stackLimit = 0;  ///< what pollLimit is restored to
  uint64_t stackTop = 0;
  uint64_t stackLow = 0;      ///< the fiber's native stack is [stackLow, stackTop)
  uint64_t allocAreaEnd = 0;  ///< heap only: the allocation area reaches to here; [allocLimit, end) is not zeroed yet
  void* storeLog = nullptr;   ///< heap only: a buffer of runtime/gc/store_log.h
  void* fiber = nullptr;      ///< the rt::Fiber this context belongs to
  // The interpreter's part of the fiber; set up by the driver (runtime/frames/driver.cpp).
  uint64_t* interpTop = nullptr;    ///< next free word of the interpreter stack
  uint64_t* interpLimit = nullptr;  ///< its end
  void* interpFrame = nullptr;      ///< innermost interpreter frame (runtime/interp/interp_frame.h), null: none
  bool quiescent = false;   ///< stands still in a poll: no check of coherence made before it is relied on after it
  uint64_t tierSince = 0;   ///< cycle counter when the current tier was entered (runtime/frames/capture_stats.h)
  bool inCompiled = false;  ///< the current tier is compiled code
  // For who looks at the stack from outside (runtime/prof/stack_walk.h).
  void* interpActivation = nullptr;  ///< innermost activation of the interpreter's loop (InterpActivation)
  bool framesStand = false;          ///< guest code runs: nobody changes the thread's data frames meanwhile
};

#define JVMC_CONTEXT_OFFSET(field, offset) static_assert(offsetof(ThreadContext, field) == offset)
JVMC_CONTEXT_OFFSET(pollLimit, 0);
JVMC_CONTEXT_OFFSET(unwinding, 8);
JVMC_CONTEXT_OFFSET(depth, 12);
JVMC_CONTEXT_OFFSET(epoch, 16);
JVMC_CONTEXT_OFFSET(writerSlot, 24);
JVMC_CONTEXT_OFFSET(exception, 32);
JVMC_CONTEXT_OFFSET(allocCursor, 40);
JVMC_CONTEXT_OFFSET(allocLimit, 48);
JVMC_CONTEXT_OFFSET(barrierFlags, 56);
JVMC_CONTEXT_OFFSET(depthLimit, 60);
JVMC_CONTEXT_OFFSET(classes, 64);
JVMC_CONTEXT_OFFSET(cells, 72);
JVMC_CONTEXT_OFFSET(clock, 80);
JVMC_CONTEXT_OFFSET(lockOwner, 88);
JVMC_CONTEXT_OFFSET(threadObject, 96);
JVMC_CONTEXT_OFFSET(safepointCountdown, 104);
JVMC_CONTEXT_OFFSET(chunkStates, 112);
#undef JVMC_CONTEXT_OFFSET

}  // namespace jvmc::rt
