// The port between the runtime and whoever makes machine code. The runtime owns cells and frames; the provider fills
// cells.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/module.h"
#include "runtime/abi/calling_convention.h"
#include "runtime/abi/layout.h"

namespace jvmc::rt {

/// Which tools of the operating system shall know compiled functions by name. Costs nothing while all are off.
struct NativeTools {
  bool perfMap = false;  ///< write /tmp/perf-PID.map
  bool jitDump = false;  ///< write $JITDUMPDIR/jit-PID.dump (/tmp), with the code
  bool gdb = false;      ///< hand symbols to a debugger that is, or will be, attached

  bool operator==(const NativeTools&) const = default;
};

struct CodeOptions {
  bool checked = false;      ///< the program has peers: coherence checks are compiled in
  bool synchronous = false;  ///< mode `jit`: nothing is ever interpreted; a function that cannot be compiled is fatal
  uint64_t passSeed = 0;     ///< non-zero: a random subset of passes for each function
  uint32_t compileThreads = 1;
  /// For measurements only, and with `synchronous`: code without polls, without checks after calls of functions that
  /// neither wait nor execute `throw`, without store barriers, depth count and stack check. It cannot be moved or
  /// preempted, holds up a collection by another thread, and is wrong for a program in which an instruction throws.
  bool unmovable = false;
  NativeTools tools = {};
  /// Told after each function and continuation that was compiled, on the compile thread. May be empty.
  std::function<void(ir::FunctionId function, std::optional<uint32_t> resumePoint, int64_t nanos)> compiled{};
};

struct CodeStats {
  uint64_t functions = 0, continuations = 0, codeBytes = 0, compileNanos = 0, failures = 0;
};

/// A place of the stored program that machine code stands for.
struct CodeSite {
  ir::FunctionId function;
  ir::SourceLoc loc;
};

/// Compiles functions and continuations and installs them into cells. One per VM. All methods are thread-safe.
class CodeProvider {
 public:
  virtual ~CodeProvider() = default;

  /// Makes `function` compiled: at once (synchronous mode, returns when cell.enter is set) or in the background.
  /// Asking again is cheap. Never collects, never unwinds; a worker may call it while holding no lock.
  virtual void requestFunction(ir::FunctionId function) = 0;

  /// Code that goes on at `resumePoint` of the baseline function, or null if it is not there yet (then it is being
  /// compiled; background mode only). Cost when present: a hash look-up.
  virtual ContinuationFn requestContinuation(ir::FunctionId function, uint32_t resumePoint) = 0;

  virtual CodeStats stats() const = 0;

  /// The function whose compiled code or continuation contains `pc`; invalid if none. For profilers and crash reports.
  virtual ir::FunctionId functionAt(uint64_t pc) const = 0;
  /// What the instruction at `pc` stands for: the innermost function, the places that it is inlined at, the compiled
  /// function. Empty if `pc` lies in no compiled code. Takes locks: not for signal handlers.
  virtual std::vector<CodeSite> sitesAt(uint64_t pc) const = 0;
};

}  // namespace jvmc::rt
