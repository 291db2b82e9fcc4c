// A fiber: the native stack on which one guest thread runs, its interpreter stack, and its ThreadContext.
//
//      low                                                                    high
//      | interpreter frames -> grow up | guard | reserve | <- native stack grows down |
//                                              ^ context.stackLimit
//
// Fibers come from a pool carved out of a few large mappings (one guarded mapping each would hit vm.max_map_count).
// `reserve` is what helpers, capture and overflow handling may use below the limit.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "runtime/abi/context.h"

namespace jvmc::rt {

class Fiber {
 public:
  virtual ~Fiber() = default;
  virtual ThreadContext& context() = 0;

  /// Runs `body` on this fiber until it returns or calls suspend(). Called by a worker, on its own stack.
  /// True: `body` has returned; false: it is suspended and resume() continues it, perhaps on another worker.
  virtual bool start(std::function<void()> body) = 0;
  virtual bool resume() = 0;
  /// Called on the fiber: gives control back to the worker. Registers of the caller are saved on the fiber's stack, so
  /// a conservative scan of [savedStackPointer(), stackTop) sees every reference.
  virtual void suspend() = 0;

  virtual uint64_t savedStackPointer() const = 0;  ///< while suspended
  virtual uint64_t stackTop() const = 0;
  virtual uint64_t* interpreterStack() = 0;  ///< base of the interpreter's frame area
  virtual size_t interpreterWords() const = 0;
};

struct FiberOptions {
  size_t nativeBytes = 1u << 20;
  size_t reserveBytes = 64u << 10;
  size_t interpreterBytes = 1u << 20;
  size_t maxFibers = 4096;
};

/// Thread-safe.
class FiberPool {
 public:
  static std::unique_ptr<FiberPool> create(FiberOptions options);
  virtual ~FiberPool() = default;
  /// A fiber with a reset context, or null if maxFibers are in use.
  virtual Fiber* acquire() = 0;
  /// Gives it back. A suspended one is discarded: what stands on its stack never goes on (and is not destroyed).
  virtual void release(Fiber*) = 0;
};

}  // namespace jvmc::rt
