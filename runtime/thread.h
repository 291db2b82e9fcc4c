// A guest thread as data: what it is while it does not run, and all that moves when it moves.
//
//   New -> Ready -> Running -> { Ready, Parked, Shipped, Ended }
//                    Parked -> { Ready, Shipped }
//
// A running thread has a ThreadContext on a fiber (see runtime/fiber). A parked one is only frames: *park is capture*.
// While a marker's slow path waits for a remote object the fiber is suspended and the thread counts as Running.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/abi/context.h"
#include "runtime/abi/helpers.h"
#include "runtime/ids.h"

namespace jvmc::rt {

// ---------------------------------------------------------------- frames

/// One portable frame in memory: the header, then `slotCount` slots (order and liveness: ir/analysis/liveness.h).
/// Functions are named by FunctionId inside a node and by content hash on the wire (runtime/frames/codec.h).
struct FrameHeader {
  uint32_t function;  ///< FunctionId, or a RuntimeFrame
  uint32_t resumePoint;
  uint32_t slotCount;
  uint32_t reserved;
};
static_assert(sizeof(FrameHeader) == 16);

/// Frames of the runtime itself, between guest frames. They have no function; `slots` are theirs to define.
enum RuntimeFrame : uint32_t {
  /// A class initialiser runs above it (or is waited for). Slots: see runtime/frames/runtime_frames.h. When the
  /// initialiser
  /// ends, initialisation is finished (or failed) and the frame below goes on at its `before` point.
  kFrameClassInit = 0xFFFF'FF00,
  /// The thread waits for the home of a Thread object that it starts. Slots: see runtime/frames/runtime_frames.h.
  kFrameThreadStart = 0xFFFF'FF01,
  /// The thread is over and waits until its last writes are home. No slots.
  kFrameThreadEnd = 0xFFFF'FF02,
  /// A helper that flushes the thread's writes before it does its work (sleep, park, yield, fence) waits for the flush.
  kFrameAfterFlush = 0xFFFF'FF03,
};
inline bool isRuntimeFrame(uint32_t function) {
  return function >= 0xFFFF'FF00;
}

/// Frames as data, outermost first. Contiguous; the top can be taken off without touching the rest.
class FrameStack {
 public:
  bool empty() const { return starts_.empty(); }
  size_t depth() const { return starts_.size(); }
  const FrameHeader& header(size_t i) const { return *reinterpret_cast<const FrameHeader*>(&words_[starts_[i]]); }
  const uint64_t* slots(size_t i) const { return &words_[starts_[i] + 2]; }
  uint64_t* slots(size_t i) { return &words_[starts_[i] + 2]; }
  const FrameHeader& top() const { return header(depth() - 1); }

  /// Pushes a frame with uninitialised slots and returns them. The pointer is void at the next push.
  uint64_t* push(uint32_t function, uint32_t resumePoint, uint32_t slotCount);
  void pop();
  void clear();
  size_t bytes() const { return words_.size() * 8; }

 private:
  std::vector<uint64_t> words_;
  std::vector<uint32_t> starts_;
};

// ---------------------------------------------------------------- waiting

enum class WaitKind : uint8_t { None, Sleep, MonitorEnter, MonitorWait, Join, Park, ClassInit, Outside, Access, Yield };

/// "monitor", "sleep", ...; "" for None.
const char* waitName(WaitKind kind);

/// How the innermost frame goes on: with a value, or with an exception.
struct Resumption {
  enum class Kind : uint8_t { Value, Throw, ThrowObject } kind = Kind::Value;
  uint64_t value = 0;                               ///< Value: slot (ignored if the instruction has no result)
  BuiltinThrow builtin = BuiltinThrow::Arithmetic;  ///< Throw
  int32_t detail = 0;
  ObjectRef exception = kNullRef;  ///< ThrowObject
  bool acquire = false;            ///< the thread's epoch must be renewed before it goes on
  bool remote = false;             ///< the answer came from another node: renewing ticks the clock
};

/// What a parked thread waits for. `ticket` grows with every wait, so an answer to an earlier wait is recognised.
struct WaitState {
  WaitKind kind = WaitKind::None;
  uint64_t ticket = 0;
  ObjectRef object = kNullRef;
  int64_t remainingNanos = 0;  ///< timed waits, valid while the thread is detached from a node's timer; 0 = for ever
  bool interruptible = false;
};

/// Requests to a thread, set by anyone, handled by the thread at its next poll or by the scheduler while it is parked.
enum ThreadRequest : uint32_t {
  kRequestPreempt = 1u << 0,  ///< time slice is over
  kRequestMigrate = 1u << 1,  ///< move to `migrateTarget`
  kRequestCapture = 1u << 2,  ///< unwind into frames and go on (tests, mode switches)
  kRequestStop = 1u << 3,     ///< the program ends: unwind and never run again
  kRequestDump = 1u << 4,     ///< capture so that the frames can be inspected, then go on
};

enum class ThreadState : uint8_t { New, Ready, Running, Parked, Shipped, Ended };

/// Why the thread gave up its native stack; set together with Unwinding::Capture.
enum class CaptureReason : uint8_t { None, Park, Preempt, Migrate, Request, StackFull, Zeal, Stop };

struct ThreadStats {
  uint64_t cpuNanosInterpreter = 0, cpuNanosCompiled = 0;
  uint64_t captures = 0, capturedFrames = 0, capturedCompiledFrames = 0, moves = 0;
  // Not yet settled (runtime/frames/capture_stats.h): cycles since the thread got its fiber, and the capture under way.
  uint64_t cyclesInterpreter = 0, cyclesCompiled = 0;
  uint32_t framesOfCapture = 0, interpretedOfCapture = 0, innermostLoopDepth = 0;
  bool innermostInterpreted = false;
};

/// The interval between two renewals of a thread's epoch, and the number that the object space gave to what the thread
/// has read in it (cluster/objects/read_groups.h); 0 = nothing yet.
struct ReadInterval {
  uint64_t epoch = 0;
  uint32_t group = 0;
};

/// A guest thread. Owned by exactly one node's Scheduler at every moment, or by a transfer in flight.
class GuestThread {
 public:
  ThreadRef ref;
  uint32_t incarnation = 0;  ///< grows with every move
  std::string name;

  // What moves. Touched by the running thread itself, or by the scheduler under `mutex` while it is not running.
  FrameStack frames;
  Resumption resumption;  ///< consumed when the innermost frame goes on
  WaitState wait;
  uint64_t outsideCalls = 0;    ///< number of the next `outside` call
  bool interrupted = false;     ///< under `mutex`, always
  bool parkPermit = false;      ///< under `mutex`, always
  bool pinned = false;          ///< by the program or a command: nobody moves it but drains. Under `mutex`, always
  int64_t guestClockFloor = 0;  ///< the guest's monotonic clock never goes below this, nanoseconds
  /// ClassIds whose initialisation this thread is running; follows from its kFrameClassInit frames once it is captured.
  std::vector<uint32_t> initialising;
  std::vector<uint64_t> trace;  ///< frames passed by the pending exception: function << 32 | flat index
  FrameStack captured;          ///< native frames during a capture, innermost first; empty at all other times

  // What does not.
  std::mutex mutex;
  ThreadState state = ThreadState::New;
  CaptureReason captureReason = CaptureReason::None;
  bool ending = false;                    ///< what it leaves (exit code, report) is not in its image: it moves no more
  std::optional<Resumption> earlyAnswer;  ///< arrived for `wait.ticket` before the thread had finished parking
  std::atomic<uint32_t> requests{0};
  NodeId migrateTarget;
  std::atomic<ThreadContext*> context{nullptr};  ///< while it has a fiber
  uint64_t epoch = 0;                            ///< T.epoch while it has no context, as an epoch word
  uint64_t writerSlot = 0;                       ///< lease, 0 = none
  void* writeSet = nullptr;                      ///< the object space's, see ObjectSpace
  ReadInterval reads;                            ///< likewise
  int32_t exitCode = 0;                          ///< once ended, main: what it returned, 1 after an uncaught exception
  std::string report;                            ///< once ended by an uncaught exception: the text for stderr
  ThreadStats stats;
  int64_t allocSampleLeft = 0;  ///< bytes until an allocation is noted, while a profile of these is taken; 0: not begun

  /// Sets a request bit and makes the next poll take its slow path. Called by the running thread itself, or with
  /// `mutex` held: the context stays this thread's meanwhile.
  void request(ThreadRequest bit);

  // -- called by the running thread itself; each takes `mutex`, because mail may arrive at the same time.

  /// Announces a wait and returns its ticket. From now on an Answer with this ticket ends the wait, even before the
  /// thread has been captured. The thread then either captures with reason Park, or calls endWait(). An interruptible
  /// wait need not look at `interrupted` first: the scheduler ends it at once.
  uint64_t beginWait(WaitKind kind, ObjectRef object, bool interruptible);
  /// The wait was answered at once: nothing is awaited any more.
  void endWait();
  /// Gives the interrupt flag or the unpark permit and clears it.
  bool takeInterrupted();
  void setPinned(bool value);
  bool takeParkPermit();
};

}  // namespace jvmc::rt
