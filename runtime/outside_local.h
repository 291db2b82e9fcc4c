// The outside world in this process: `irc run` uses both halves, the launcher of a cluster only the executor.
//
// - OutsideExecutor does what a call asks for, once for each (thread, number): a repeated number gets the stored
// result.
// - LocalOutsideWorld puts two I/O threads in front of it, so that guest threads never block a worker: one for standard
//   input, which may wait for a person, one for everything else, in the order of the calls.
//
// Output is not buffered: what `io.print` has returned from is in the kernel, in the order of the calls, and nothing
// needs flushing when the program exits or crashes.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "runtime/outside.h"

namespace jvmc::rt {

/// Natives: io.print, io.eprint, io.read_line, io.open, io.read, io.write, io.close, io.read_file, io.write_file,
/// time.wall_nanos, program.exit (docs/reference/natives.md).
///
/// io.open modes: 0 read, 1 write (created, emptied), 2 append (created). Handles 0, 1, 2 are the standard streams.
/// io.read gives 1 to `max` bytes, or null at the end; io.read_line a line without its newline, or null at the end.
/// Failures (no such file, disk full, pipe closed) are IoErrors that name what was tried.
class OutsideExecutor {
 public:
  struct Options {
    int input = 0, output = 1, error = 2;      ///< descriptors, not owned
    std::function<void(int32_t code)> onExit;  ///< program.exit; called on the executing thread
    /// Nobody reads standard output any more (`program | head`); called on the executing thread, the call is not
    /// answered. Unset: that is an IoError as any other.
    std::function<void()> onOutputClosed;
  };
  explicit OutsideExecutor(Options options);
  ~OutsideExecutor();
  OutsideExecutor(const OutsideExecutor&) = delete;

  /// Runs the call, or replays the result of the thread's last number. nullopt: there is nothing to answer: the call is
  /// being executed already, is older than the last one, exited the program, or was cut off by interruptInput().
  /// Any thread; blocks as long as the operation does.
  std::optional<OutsideResult> execute(const OutsideCall& call);

  /// Reads from standard input return, now and from now on.
  void interruptInput();

  /// True if the call may wait for standard input.
  static bool readsInput(const OutsideCall& call);

 private:
  struct LastCall {
    uint64_t number = 0;
    bool done = false;
    OutsideResult result;
  };
  class InputReader;
  class Files;

  std::optional<OutsideResult> run(const OutsideCall& call);

  Options options_;
  std::unique_ptr<InputReader> input_;
  std::unique_ptr<Files> files_;
  std::mutex mutex_;
  std::unordered_map<ThreadId, LastCall> last_;
};

class LocalOutsideWorld final : public OutsideWorld {
 public:
  /// Called on an I/O thread with the answer, e.g. Scheduler::completeOutside.
  using Answer = std::function<void(const ThreadRef&, uint64_t ticket, OutsideResult)>;

  LocalOutsideWorld(OutsideExecutor::Options options, Answer answer);
  /// Calls that have not begun are dropped.
  ~LocalOutsideWorld() override;

  void call(OutsideCall call) override;

 private:
  struct Lane {
    std::condition_variable filled;
    std::deque<OutsideCall> calls;
    std::thread thread;
  };
  void serve(Lane& lane);

  OutsideExecutor executor_;
  Answer answer_;
  std::mutex mutex_;
  bool stop_ = false;
  Lane input_, other_;
};

}  // namespace jvmc::rt
