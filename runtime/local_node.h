// One VM alone in a process: the object space in which everything is home, regions one after another, the outside world
// given by the caller, and the end of the program decided here. `irc run` and the tests are built on it.
#pragma once

#include <functional>
#include <memory>

#include "runtime/vm.h"

namespace jvmc::rt {

/// How a program ended.
struct ProgramEnd {
  int32_t exitCode = 0;
  uint64_t uncaught = 0;  ///< threads that ended by an uncaught exception
};

/// Answers go to the scheduler. Called once, before any guest code runs.
using MakeOutsideWorld = std::function<std::unique_ptr<OutsideWorld>(Scheduler&)>;

class LocalNode {
 public:
  virtual ~LocalNode() = default;
  /// `report` gets the text of each uncaught exception, without a last newline; from any thread.
  static std::unique_ptr<LocalNode> create(const ir::Module& module, VmOptions options, MakeCodeProvider makeCode,
                                           MakeOutsideWorld makeOutside,
                                           std::function<void(const std::string&)> report);

  virtual Vm& vm() = 0;
  /// Runs the program: until its last thread has ended, or requestExit was called.
  virtual ProgramEnd run() = 0;
  /// The program called `program.exit`. Any thread; returns at once.
  virtual void requestExit(int32_t code) = 0;
};

}  // namespace jvmc::rt
