// Which synchronisation requests publish a thread's writes, and which make it see those of others (JLS 17.4.4).
#include "runtime/object_space.h"

namespace jvmc::rt {

bool SyncRequest::isRelease() const {
  switch (op) {
    case SyncOp::MonitorExit:
    case SyncOp::MonitorWait:
    case SyncOp::ThreadStart:
    case SyncOp::ThreadEnd:
    case SyncOp::ClassInitEnd:
    case SyncOp::Unpark:
    case SyncOp::Interrupt:
      return true;
    case SyncOp::Atomic:
      return atomicOp != AtomicOp::Load;
    default:
      return false;
  }
}

bool SyncRequest::isAcquire() const {
  switch (op) {
    case SyncOp::MonitorEnter:
    case SyncOp::MonitorWait:
    case SyncOp::ThreadJoin:
    case SyncOp::ThreadIsAlive:
    case SyncOp::ClassInitBegin:
    case SyncOp::IsInterrupted:
      return true;
    case SyncOp::Atomic:
      return atomicOp != AtomicOp::Store;
    default:
      return false;
  }
}

}  // namespace jvmc::rt
