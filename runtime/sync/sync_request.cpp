// Which synchronisation operations, and which answers, order memory.
#include "runtime/object_space.h"

namespace jvmc::rt {
namespace {

enum Order : uint8_t { kNone = 0, kRelease = 1, kAcquire = 2, kBoth = 3 };

Order orderOf(AtomicOp op, bool isElement) {
  switch (op) {
    case AtomicOp::Load:
      return kAcquire;
    case AtomicOp::Store:
      // The thread may read the element next by a plain load, and must not find a copy from before its store. A
      // volatile field is never read plainly.
      return isElement ? kBoth : kRelease;
    case AtomicOp::Cas:
    case AtomicOp::Add:
    case AtomicOp::Swap:
      return kBoth;
  }
  return kBoth;
}

Order orderOf(const SyncRequest& request) {
  switch (request.op) {
    case SyncOp::MonitorEnter:
      return kAcquire;
    case SyncOp::MonitorExit:
      return kRelease;
    case SyncOp::MonitorWait:
      return kBoth;
    case SyncOp::MonitorNotify:
    case SyncOp::MonitorNotifyAll:
    case SyncOp::CancelWait:
      return kNone;
    case SyncOp::Atomic:
      return orderOf(request.atomicOp, request.isElement);
    case SyncOp::ThreadStart:
    case SyncOp::ThreadEnd:
      return kRelease;
    case SyncOp::ThreadJoin:
    case SyncOp::ThreadIsAlive:
      return kAcquire;
    case SyncOp::ClassInitBegin:
      return kAcquire;
    case SyncOp::ClassInitEnd:
      return kRelease;
    case SyncOp::Unpark:
    case SyncOp::Interrupt:
      return kRelease;
    case SyncOp::IsInterrupted:
      return kAcquire;
  }
  return kBoth;
}

}  // namespace

bool SyncRequest::isRelease() const {
  return orderOf(*this) & kRelease;
}
bool SyncRequest::isAcquire() const {
  return orderOf(*this) & kAcquire;
}
bool SyncRequest::mayWait() const {
  return op == SyncOp::MonitorEnter || op == SyncOp::MonitorWait || op == SyncOp::ThreadJoin ||
         op == SyncOp::ClassInitBegin;
}
bool SyncRequest::isOnMonitor() const {
  switch (op) {
    case SyncOp::MonitorEnter:
    case SyncOp::MonitorExit:
    case SyncOp::MonitorWait:
    case SyncOp::MonitorNotify:
    case SyncOp::MonitorNotifyAll:
    case SyncOp::CancelWait:
      return true;
    default:
      return false;
  }
}

ThreadMail ThreadMail::reply(bool interrupted) const {
  ThreadMail mail{Kind::Answer, ticket, {}, {}, {}};
  mail.answer.value = interrupted;
  mail.answer.acquire = true;
  mail.answer.remote = interrupted;
  return mail;
}

}  // namespace jvmc::rt
