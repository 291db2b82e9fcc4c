// Stopping the world: which fibers may touch guest memory now, and how to make them all stand still.
//
// A context is *in guest code* from enter() to leave(). Stopping sets every such context's poll limit and waits until
// each has called safepoint() or leave(). A suspended fiber (waiting inside a marker's slow path) has left, with its
// stack scannable. Runtime threads that touch guest memory (I/O threads applying a diff) use GuestAccess.
#pragma once

#include <functional>
#include <memory>

#include "runtime/abi/context.h"

namespace jvmc::rt {

class World {
 public:
  static std::unique_ptr<World> create();
  virtual ~World() = default;

  /// Waits while the world is stopped. Sets ctx.barrierFlags.
  virtual void enter(ThreadContext&) = 0;
  /// The context touches no guest memory until it enters again. Its stack from the caller's frame up, and the registers
  /// that the caller holds now, stay visible to the collector until enter() or remove().
  virtual void leave(ThreadContext&) = 0;
  /// The fiber is done with this context: its stack holds no references any more. After leave(), before the fiber goes
  /// back to its pool or the context is destroyed.
  virtual void remove(ThreadContext&) = 0;
  /// Stands still while the world is stopped. Called by poll's slow path and by allocation; registers are spilled and
  /// the caller's stack is scannable meanwhile.
  virtual void safepoint(ThreadContext&) = 0;

  /// Runs `body` while no context is in guest code (the caller's own counts as standing still). One at a time: a
  /// second caller first obeys the stop of the first. `self` may be null (a runtime thread).
  virtual void stop(ThreadContext* self, const std::function<void()>& body) = 0;
  /// Inside `body` of stop: every context that has a fiber, in guest code or suspended.
  virtual void forEachContext(const std::function<void(ThreadContext&)>& visit) = 0;
  /// Inside `body` of stop: the native stacks of these contexts, as words in [low, high), and copies of their
  /// registers.
  virtual void forEachStack(const std::function<void(const uint64_t* low, const uint64_t* high)>& visit) = 0;

  /// The same for one context that stands still.
  virtual void visitStack(const ThreadContext& ctx,
                          const std::function<void(const uint64_t* low, const uint64_t* high)>& visit) = 0;

  /// Frame pointer at which a walk of its frames begins; 0: it has none (runtime/prof/stack_walk.h).
  virtual uint64_t standingFrame(const ThreadContext& ctx) const = 0;

  /// Sets the poll limit of every context (for a handshake that needs no stop).
  virtual void pollAll() = 0;

  /// Sets barrierFlags of every context, now and whenever one enters. Inside `body` of stop no store escapes; otherwise
  /// contexts in guest code see it soon.
  virtual void setBarrierFlags(uint32_t flags) = 0;

  /// Guest memory access by a runtime thread: the world is not stopped while one exists. May be nested, and is free in
  /// guest code (it never waits for a stop that waits for its own thread). No fiber switch in between.
  class GuestAccess {
   public:
    explicit GuestAccess(World& world);
    ~GuestAccess();
    GuestAccess(const GuestAccess&) = delete;

   private:
    World& world_;
    const bool nested_;
  };

 protected:
  virtual void enterRuntimeThread() = 0;
  virtual void leaveRuntimeThread() = 0;
};

}  // namespace jvmc::rt
