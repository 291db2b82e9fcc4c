// The parts of a guest thread that others touch while it runs: requests, and the flags that mail sets.
#include "runtime/thread.h"

#include <utility>

namespace jvmc::rt {

const char* waitName(WaitKind kind) {
  switch (kind) {
    case WaitKind::None:
      return "";
    case WaitKind::Sleep:
      return "sleep";
    case WaitKind::MonitorEnter:
      return "monitor";
    case WaitKind::MonitorWait:
      return "wait";
    case WaitKind::Join:
      return "join";
    case WaitKind::Park:
      return "park";
    case WaitKind::ClassInit:
      return "class-init";
    case WaitKind::Outside:
      return "outside";
    case WaitKind::Access:
      return "access";
    case WaitKind::Yield:
      return "yield";
  }
  return "unknown";
}

void GuestThread::request(ThreadRequest bit) {
  requests.fetch_or(bit, std::memory_order_release);
  // The poll limit is written after the bit, and the owner restores the limit before it reads the bits: none is missed.
  if (ThreadContext* running = context.load(std::memory_order_acquire))
    running->pollLimit.store(kPollRequested, std::memory_order_release);
}

uint64_t GuestThread::beginWait(WaitKind kind, ObjectRef object, bool interruptible) {
  std::scoped_lock lock(mutex);
  wait.kind = kind;
  wait.object = object;
  wait.interruptible = interruptible;
  wait.remainingNanos = 0;
  earlyAnswer.reset();
  return ++wait.ticket;
}

void GuestThread::setPinned(bool value) {
  std::scoped_lock lock(mutex);
  pinned = value;
}

void GuestThread::endWait() {
  std::scoped_lock lock(mutex);
  wait.kind = WaitKind::None;
  wait.object = kNullRef;
  earlyAnswer.reset();
}

bool GuestThread::takeInterrupted() {
  std::scoped_lock lock(mutex);
  return std::exchange(interrupted, false);
}

bool GuestThread::takeParkPermit() {
  std::scoped_lock lock(mutex);
  return std::exchange(parkPermit, false);
}

}  // namespace jvmc::rt
