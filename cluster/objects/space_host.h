// What the object space needs of the node it serves: the heap, the classes, sleeping fibers, the operations of
// SyncHome. The VM's is in cluster/node_services.cpp; protocol tests bring a small one of their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "ir/support/result.h"
#include "runtime/object_space.h"
#include "runtime/prof/tracer.h"

namespace jvmc::cluster {

using rt::NodeId;
using rt::ObjectRef;

/// A fiber that waits inside a slow path, or is about to.
using WaitToken = std::shared_ptr<void>;

class SpaceHost {
 public:
  virtual ~SpaceHost() = default;

  // -- memory. Callers are in guest code or inside accessGuest().
  /// Null if no object can have this class index.
  virtual const rt::ClassInfo* classInfo(uint32_t index) = 0;
  /// A reference from another node may be stored or used: null is not asked for.
  virtual bool plausible(ObjectRef object) = 0;
  /// It may be lent: nothing but threads and messages about its fields changes them, and code has no other way to it
  /// than a reference (so it is neither a Thread nor holds a class's statics).
  virtual bool isOrdinary(ObjectRef) { return true; }
  /// The object is known to another node from now on.
  virtual void exportObject(ObjectRef object) = 0;
  /// Before a reference that came in a message is stored into an object homed here.
  virtual void beforeReferenceStore(ObjectRef object, uint64_t offset, ObjectRef value) = 0;
  /// Visits what the operations of homes here refer to (waiters, monitors). World stopped.
  virtual void visitHomeRoots(const std::function<void(ObjectRef)>& visit) = 0;
  /// Runs `body` on this runtime thread while the world is not stopped. May be nested.
  virtual void accessGuest(const std::function<void()>& body) = 0;

  // -- waiting in a slow path: prepareWait and wait on the fiber, wake from any thread, once, perhaps before wait.
  virtual WaitToken prepareWait(rt::ThreadContext& ctx) = 0;
  virtual void wait(rt::ThreadContext& ctx, WaitToken token) = 0;
  virtual void wake(const WaitToken& token) = 0;

  /// Carries out a request at its home, which is here. An answer at once, or later as mail. Never blocks.
  virtual std::optional<rt::Resumption> carryOut(const rt::SyncRequest& request, NodeId from) = 0;
  /// Sends mail to a thread, wherever it is. Any thread; never blocks.
  virtual void post(const rt::ThreadRef& to, const rt::ThreadMail& mail) = 0;

  /// For the timeline, if one is recorded. Any thread.
  virtual void trace(const rt::TraceEvent&) {}

  /// The program cannot go on: a home is lost or a peer speaks nonsense. Called once for each loss noticed; returns.
  virtual void fatal(Error error) = 0;
};

}  // namespace jvmc::cluster
